"""DB-MTL: gradients of the logarithms of the losses, all at the length of the longest."""

import tensorflow as tf

from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.solvers.normalized import normalized, to_float32


class DBMTL(Harmonizer):
    """Balances losses and gradients: takes logarithms of the losses, then brings their gradients to one length.

    Rule: w_i = max_k(|g_k| / L_k) / |g_i|; g_k / L_k is the gradient of log L_k.
    Source: Lin et al. (2023, arXiv 2308.12029), "Dual-Balancing for Multi-Task Learning", without the
      running average of the gradients; `CRMOGM` averages the weights instead.
    Promises: permutation-equivariant; every objective adds a part of the same length. Scaling a loss does
      not change the update.
    Costs: one backward pass per objective and the norms of the gradients.
    Not for: losses that may be zero or negative; gradients in conflict, which are only brought to one length.

    Our choice: a loss that is not positive and finite, or a zero gradient, does not count for the maximum; a zero
    gradient weighs zero. If no objective counts, so does the update.
    """

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without losses."""
        if group.losses is None:
            raise ValueError("DBMTL needs the losses. Pass `losses=` to `harmonize`.")
        norms, _ = normalized(group.gram)
        losses = tf.cast(group.losses, tf.float64)
        usable = tf.math.is_finite(losses) & (losses > 0.0)
        longest = tf.reduce_max(tf.where(usable, norms / tf.where(usable, losses, 1.0), 0.0))
        return Decision(to_float32(tf.math.divide_no_nan(longest, norms)))
