"""DWA: weights by how slowly each loss has been falling."""

import math
from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group
from harmonization.methods.loss_weights.base import LossWeights
from harmonization.state import check_made_for, own_entries, state_variables, with_own_entries

LARGEST_RATIO = 1e6


class DWA(LossWeights):
    """Gives more weight to the objectives whose losses fall more slowly: dynamic weight average.

    Rule: w_i = n softmax(r / temperature)_i, where r_i = (mean of L_i in the last period) / (in the one
      before); w = 1 in the first two periods.
    Source: Liu, Johns and Davison (2019, CVPR), "End-to-End Multi-Task Learning with Attention" (DWA),
      whose periods are epochs.
    Promises: positive weights that add up to n, whatever the scales of the losses.
    Costs: one backward pass of the weighted loss, unless there are groups or the gradients are to be
      measured, and four numbers of state per objective.
    Not for: losses that may be zero or negative; trainings of few periods.

    Our choices: steps that are not taken do not count; a ratio is at most 1e6; while a mean of the period
    before is not positive, all weights are 1.

    Args:
      period: Steps to average over; use those of an epoch.
      temperature: Large values bring the weights together, > 0.

    Raises:
      ValueError: If an option is out of its range.
    """

    def __init__(self, period: int = 1000, temperature: float = 2.0, name: str | None = None):
        super().__init__(name=name)
        self._period, self._temperature = int(period), float(temperature)
        self._means = None
        if self._period != period or period < 1 or not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(
                "`period` should be a whole number >= 1, `temperature` a finite number > 0. "
                f"Found {period} and {temperature}."
            )

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        if self._means is not None:
            return check_made_for(self._means, objectives, groups)
        # Rows: the mean so far in this period, its steps, the means of the last period and of the one before.
        self._means = state_variables(tf.zeros([4, objectives]), groups, "dwa_means")

    def weigh(self, losses: tf.Tensor, group: Group) -> Decision:
        """See `LossWeights.weigh`."""
        variable = self._means[group.name]
        everyone = tf.unstack(tf.convert_to_tensor(variable))
        mean, steps, last, before = (own_entries(row, group) for row in everyone)
        ratios = tf.clip_by_value(tf.math.divide_no_nan(last, before), 0.0, LARGEST_RATIO)
        weights = group.size * tf.nn.softmax(ratios / self._temperature)
        weights = tf.where(tf.reduce_all(before > 0.0), weights, 1.0)
        losses = tf.where(tf.math.is_finite(losses), losses, 0.0)
        steps += 1.0
        mean += (losses - mean) / steps
        full = steps >= self._period
        rows = (
            tf.where(full, 0.0, mean), tf.where(full, 0.0, steps), tf.where(full, mean, last), tf.where(full, last, before)
        )  # fmt: skip
        new = [with_own_entries(row, own, group) for row, own in zip(everyone, rows, strict=True)]
        return Decision(weights, state=[(variable, tf.stack(new))])
