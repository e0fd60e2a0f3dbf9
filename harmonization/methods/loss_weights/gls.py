"""GLS: the gradient of the losses' geometric mean."""

import tensorflow as tf

from harmonization.harmonizer import Decision, Group
from harmonization.methods.loss_weights.base import LossWeights

LARGEST_EXPONENT = 80.0


class GLS(LossWeights):
    """Minimizes the geometric mean of the losses, whatever their scales.

    Rule: w_i = M / (n L_i), where M = (prod_i L_i)^(1 / n).
    Source: Chennupati, Sistu, Yogamani and Rawashdeh (2019, CVPR workshops), "MultiNet++: Multi-Stream
      Feature Aggregation and Geometric Loss Strategy for Multi-Task Learning".
    Promises: scaling a loss by c > 0 scales the update by c^(1 / n) and does not turn it.
    Costs: one backward pass of the weighted loss, unless there are groups or the gradients are to be
      measured.
    Not for: losses that may be zero or negative, or that reach zero: the smallest loss gets the
      largest weight.

    Our choice: a loss that is not positive and finite weighs zero and is not among the n.
    """

    def weigh(self, losses: tf.Tensor, group: Group) -> Decision:
        """See `LossWeights.weigh`."""
        del group
        usable = tf.math.is_finite(losses) & (losses > 0.0)
        count = tf.maximum(tf.reduce_sum(tf.cast(usable, tf.float32)), 1.0)
        logs = tf.where(usable, tf.math.log(tf.where(usable, losses, 1.0)), 0.0)
        exponents = tf.minimum(tf.reduce_sum(logs) / count - logs, LARGEST_EXPONENT)
        return Decision(tf.where(usable, tf.exp(exponents) / count, 0.0))
