"""The plain sum of the gradients: what VATT does."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer


class Sum(GramHarmonizer):
    """Adds the gradients up: every objective weighs 1, every step is taken.

    Rule: w_i = 1.
    Source: VATT (Akbari et al., 2021, NeurIPS), which minimizes the sum of its losses; the row
      "VATT" of the table in Wu et al. (2022).
    Promises: permutation-equivariant, linear under scaling; the gradient of the summed loss.
    Costs: nothing that one backward pass of the summed loss would not do; use that if you need no
      report on the gradients.
    Not for: objectives of very different gradient norms, of which the largest decides alone.
    """

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        return tf.ones(gram.shape[:1])
