"""The plain mean of the gradients."""

import tensorflow as tf

from harmonization.groups import Groups
from harmonization.harmonizer import Decision, GramHarmonizer, Group


class Mean(GramHarmonizer):
    """Averages the gradients: n objectives weigh 1 / n each.

    Rule: w_i = 1 / n.
    Source: none; the usual baseline ("linear scalarization", "equal weighting") of the field.
    Promises: permutation-equivariant, linear under scaling; the gradient of the mean loss.
    Costs: one backward pass of the mean loss, unless there are groups or the gradients are to be measured.
    Not for: comparing with methods whose weights add up to n (`Sum`): it takes steps n times
      shorter. n counts the objectives that reach a group.
    """

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        return tf.fill(gram.shape[:1], 1.0 / gram.shape[0])

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`."""
        return Decision(tf.fill([group.size], 1.0 / group.size))

    def needs_gram(self, groups: Groups | None) -> bool:
        """See `Harmonizer.needs_gram`: with groups, each of which counts the objectives that reach it."""
        return groups is not None
