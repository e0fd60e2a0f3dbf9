"""GradNorm: weights that bring the objectives' gradients to norms that match their progress."""

import math
from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group, Harmonizer, gradient_norms
from harmonization.state import check_made_for, own_entries, state_variables, with_own_entries

LARGEST_RATIO = 1e6


class GradNorm(Harmonizer):
    """Learns weights that give every objective a gradient as long as its lag in training calls for.

    Rule: N_i = w_i |g_i|, wanted N_i* = mean(N) r_i^alpha, where r_i = (L_i / L_i(0)) / mean_j(L_j / L_j(0)).
      For the next step log w_i falls by learning_rate * sign(N_i - N_i*) * N_i / mean(N), then w is
      scaled to add up to n.
    Source: Chen, Badrinarayanan, Lee and Rabinovich (2018, ICML), "GradNorm: Gradient Normalization
      for Adaptive Loss Balancing in Deep Multitask Networks", Algorithm 1.
    Promises: positive weights that add up to n, so that learning rates are comparable with
      `Sum`; independent of the scale of all gradients together and of each loss.
    Costs: one backward pass per objective, the norms, and two numbers of state per objective.
    Not for: losses that start near zero or may be negative: L_i(0) is what progress is measured by.

    The source takes the slope of sum_i |N_i - N_i*|, N* held fixed, with respect to w, which is
    sign(N_i - N_i*) |g_i|: its length depends on the gradients' scale, and a step may turn a weight
    negative. Our choice: the slope with respect to log w, divided by mean(N). The norms are those
    over the group of variables, where the source takes the last shared layer; make that a separate group
    for the source's rule.

    Our choices, too: L_i(0) is the loss in the first step in which it is positive and its gradient
    not zero; an objective whose gradient is zero or whose loss is not finite is excluded from the step's
    means, and its weight only scaled; L_i / L_i(0) counts up to 1e6; weights are learned for every
    group of variables over the objectives that reach it.

    Args:
      alpha: How strongly an objective that lags is favored; 0 makes the norms equal.
      learning_rate: Of the logarithms of the weights.

    Raises:
      ValueError: If an option is not a finite number >= 0.
    """

    def __init__(self, alpha: float = 1.5, learning_rate: float = 0.025, name: str | None = None):
        super().__init__(name=name)
        self._alpha, self._learning_rate = float(alpha), float(learning_rate)
        self._log_weights, self._first_losses = None, None
        for option in (self._alpha, self._learning_rate):
            if not (math.isfinite(option) and option >= 0):
                raise ValueError(
                    f"`alpha` and `learning_rate` should be finite numbers >= 0. Found {alpha} and {learning_rate}."
                )

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        if self._log_weights is not None:
            return check_made_for(self._log_weights, objectives, groups)
        self._log_weights = state_variables(tf.zeros([objectives]), groups, "gradnorm_log_weights")
        # Zero until the objective has shown a loss.
        self._first_losses = state_variables(tf.zeros([objectives]), groups, "gradnorm_first_losses")

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without losses."""
        if group.losses is None:
            raise ValueError("GradNorm needs the losses. Pass `losses=` to `harmonize`.")
        all_logs, all_firsts = self._log_weights[group.name], self._first_losses[group.name]
        logs, firsts = own_entries(all_logs, group), own_entries(all_firsts, group)
        norms = gradient_norms(group.gram)
        usable = (norms > 0.0) & tf.math.is_finite(group.losses)
        losses = tf.where(usable, tf.nn.relu(group.losses), 0.0)
        firsts = tf.where(firsts > 0.0, firsts, losses)
        weights = group.gram.shape[0] * tf.nn.softmax(logs)
        logs = logs - self._learning_rate * self._slope(weights * norms, losses, firsts, usable)
        logs = with_own_entries(all_logs, logs - tf.reduce_logsumexp(logs), group)
        firsts = with_own_entries(all_firsts, firsts, group)
        return Decision(weights, state=[(all_logs, logs), (all_firsts, firsts)])

    def _slope(self, norms, losses, firsts, usable) -> tf.Tensor:
        norms = _relative_to_mean(norms, usable)
        left = tf.where(firsts > 0.0, tf.minimum(tf.math.divide_no_nan(losses, firsts), LARGEST_RATIO), 1.0)
        wanted = _relative_to_mean(left, usable) ** self._alpha
        return tf.where(usable, tf.sign(norms - wanted) * norms, 0.0)


def _relative_to_mean(values: tf.Tensor, usable: tf.Tensor) -> tf.Tensor:
    """The values, [objectives], divided by the mean of the usable ones; 1 where that is zero."""
    count = tf.math.count_nonzero(usable, dtype=tf.float32)
    mean = tf.math.divide_no_nan(tf.reduce_sum(tf.where(usable, values, 0.0)), count)
    return tf.where(mean > 0.0, tf.math.divide_no_nan(values, mean), 1.0)
