"""Thresholds for gradient-based curriculum learning: gamma(step), never decreasing."""

import math
from collections.abc import Sequence

import tensorflow as tf

from harmonization.options import RemembersOptions


class Schedule(RemembersOptions):
    """A threshold that never decreases over the training steps.

    The curriculum removes more misaligned samples as training proceeds (Wu et al., 2022). The
    sources give neither values nor shape nor length, so every default here is our choice.

    Args:
      start: Value at step 0.
      end: Value at the end.

    Raises:
      ValueError: If a value is not finite, or the end lies below the start.
    """

    def __init__(self, start: float, end: float):
        self.start, self.end = float(start), float(end)
        if not math.isfinite(self.start) or not math.isfinite(self.end) or self.end < self.start:
            raise ValueError(
                "A schedule should go from a finite `start` to a finite `end` not below it. "
                f"Found start={start}, end={end}."
            )

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """The threshold, [] float32, at `step`, [] int64 from 0. In the graph."""
        raise NotImplementedError(f"{type(self).__name__} should implement `__call__`.")


class ConstantSchedule(Schedule):
    """The same threshold throughout.

    Args:
      value: The threshold.
    """

    def __init__(self, value: float):
        super().__init__(value, value)

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """See `Schedule.__call__`."""
        del step
        return tf.constant(self.start, tf.float32)


class LinearSchedule(Schedule):
    """A straight line from `start` at step 0 to `end` at step `steps`, then flat.

    The toolbox's default. -0.3 -> 0 is our choice: early on only gross disagreement is skipped, in
    the end every conflict.

    Args:
      steps: Length of the ramp, usually that of the training.
      start: Value at step 0.
      end: Value from step `steps` on.

    Raises:
      ValueError: If `steps` is not a positive whole number, or for the values as in `Schedule`.
    """

    def __init__(self, steps: int, start: float = -0.3, end: float = 0.0):
        super().__init__(start, end)
        if not 1 <= steps < math.inf or int(steps) != steps:
            raise ValueError(f"`steps` should be a whole number >= 1. Found {steps}.")
        self.steps = int(steps)

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """See `Schedule.__call__`."""
        # Cut in integers: float32 does not hold step numbers beyond 2^24 exactly.
        within = tf.clip_by_value(tf.cast(step, tf.int64), 0, self.steps)
        progress = tf.cast(within, tf.float32) / float(self.steps)
        return self.start + (self.end - self.start) * self._shape(progress)

    def _shape(self, progress: tf.Tensor) -> tf.Tensor:
        return progress


class CosineSchedule(LinearSchedule):
    """As `LinearSchedule`, but along half a cosine: slow at both ends."""

    def _shape(self, progress: tf.Tensor) -> tf.Tensor:
        return 0.5 - 0.5 * tf.cos(math.pi * progress)


class StepSchedule(Schedule):
    """A staircase: `values[0]` at first, `values[k]` from step `boundaries[k - 1]` on.

    Args:
      boundaries: Strictly increasing steps, the first at least 1.
      values: Thresholds that do not decrease, one more than there are boundaries.

    Raises:
      ValueError: If they do not meet this.
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]):
        self.boundaries, self.values = tuple(boundaries), tuple(float(value) for value in values)
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                "`values` should have one entry more than `boundaries`. "
                f"Found {len(self.values)} values and {len(self.boundaries)} boundaries."
            )
        if list(self.boundaries) != sorted({int(step) for step in self.boundaries if step >= 1}):
            raise ValueError(f"`boundaries` should be strictly increasing steps >= 1. Found {self.boundaries}.")
        if not all(map(math.isfinite, self.values)):
            raise ValueError(f"`values` should be finite. Found {self.values}.")
        if list(self.values) != sorted(self.values):
            raise ValueError(f"`values` should not decrease. Found {self.values}.")
        super().__init__(self.values[0], self.values[-1])

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """See `Schedule.__call__`."""
        passed = tf.cast(step, tf.int64) >= tf.constant(self.boundaries, tf.int64)
        return tf.gather(tf.constant(self.values, tf.float32), tf.math.count_nonzero(passed))
