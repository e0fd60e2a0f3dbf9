"""Base class of the methods that learn a scale per objective: uncertainty weighting and IMTL-L."""

import math
from collections.abc import Sequence

import tensorflow as tf

from harmonization.groups import Groups
from harmonization.harmonizer import Decision, Group
from harmonization.methods.loss_weights.base import LossWeights
from harmonization.state import adam_step, check_made_for, own_entries, state_variables, with_own_entries

LARGEST_LOG, LARGEST_SLOPE = 60.0, 1e15


class LearnedScales(LossWeights):
    """Learns s_i for a sum over i of c_i exp(-s_i) L_i + a s_i, by Adam. A subclass gives c_i and a.

    Args:
      slope: a.
      learning_rate: Of s.

    Raises:
      ValueError: If the learning rate is not a finite number >= 0.
    """

    def __init__(self, slope: float, learning_rate: float, name: str | None = None):
        super().__init__(name=name)
        self._slope, self._learning_rate = slope, float(learning_rate)
        self._learned = None
        if not (math.isfinite(self._learning_rate) and self._learning_rate >= 0):
            raise ValueError(f"`learning_rate` should be a finite number >= 0. Found {learning_rate}.")

    def factors(self, group: Group) -> tf.Tensor | float:
        """c_i of the objectives that take part in the group, [objectives] float32 or one for all."""
        del group
        return 1.0

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        if self._learned is not None:
            return check_made_for(self._learned, objectives, groups)
        # Rows: s, Adam's mean and mean square of its slopes, the number of Adam's steps.
        self._learned = state_variables(tf.zeros([4, objectives]), groups, "learned_scales")

    def weigh(self, losses: tf.Tensor, group: Group) -> Decision:
        """See `LossWeights.weigh`."""
        variable = self._learned[group.name]
        everyone = tf.unstack(tf.convert_to_tensor(variable))
        scales, mean, square, updates = rows = [own_entries(row, group) for row in everyone]
        weights = self.factors(group) * tf.exp(-scales)
        usable = tf.math.is_finite(losses)
        slopes = self._slope - weights * tf.where(usable, losses, 0.0)
        # Its square is to stay finite, too; by then only the sign counts to Adam.
        slopes = tf.clip_by_value(slopes, -LARGEST_SLOPE, LARGEST_SLOPE)
        step, *moments = adam_step(slopes, mean, square, updates, self._learning_rate)
        learned = [tf.clip_by_value(scales - step, -LARGEST_LOG, LARGEST_LOG), *moments]
        learned = [tf.where(usable, new, old) for new, old in zip(learned, rows, strict=True)]
        new = [with_own_entries(row, own, group) for row, own in zip(everyone, learned, strict=True)]
        return Decision(weights, state=[(variable, tf.stack(new))])

    def needs_gram(self, groups: Groups | None) -> bool:
        """See `Harmonizer.needs_gram`: never, since no objective's weight depends on the others."""
        del groups
        return False
