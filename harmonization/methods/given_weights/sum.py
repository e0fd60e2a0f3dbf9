"""The plain sum of the gradients: what VATT does."""

import tensorflow as tf

from harmonization.groups import Groups
from harmonization.harmonizer import Decision, GramHarmonizer, Group


class Sum(GramHarmonizer):
    """Adds the gradients up: every objective weighs 1, every step is taken.

    Rule: w_i = 1.
    Source: VATT (Akbari et al., 2021, NeurIPS), which minimizes the sum of its losses; the row
      "VATT" of the table in Wu et al. (2022).
    Promises: permutation-equivariant, linear under scaling; the gradient of the summed loss.
    Costs: one backward pass of the summed loss, unless the gradients are to be measured.
    Not for: objectives of very different gradient norms, of which the largest decides alone.
    """

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        return tf.ones(gram.shape[:1])

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`."""
        return Decision(tf.ones([group.size]))

    def needs_gram(self, groups: Groups | None) -> bool:
        """See `Harmonizer.needs_gram`: never."""
        del groups
        return False
