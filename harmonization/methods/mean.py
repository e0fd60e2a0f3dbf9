"""The plain mean of the gradients."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer


class Mean(GramHarmonizer):
    """Averages the gradients: n objectives weigh 1 / n each.

    Rule: w_i = 1 / n.
    Source: none; the usual baseline ("linear scalarization", "equal weighting") of the field.
    Promises: permutation-equivariant, linear under scaling; the gradient of the mean loss.
    Costs: nothing that one backward pass of the mean loss would not do.
    Not for: comparing with methods whose weights add up to n (`Sum`): it takes steps n times
      shorter. n counts the objectives that reach a group.
    """

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        return tf.fill(gram.shape[:1], 1.0 / gram.shape[0])
