"""Gradient-based curriculum learning (CL): steps whose gradients disagree too much are left out."""

import tensorflow as tf

from harmonization.harmonizer import (
    Decision,
    Harmonizer,
    defined_pairs,
    pairwise_cosines,
    smallest_over_pairs,
)
from harmonization.schedule import ConstantSchedule, Schedule

INDICATORS = ("cosine", "dot")


class GradientCurriculum(Harmonizer):
    """CL of Wu et al. (2022), Algorithm 2, "the soft way": keep iff the indicator > gamma(step).

    What is kept is the plain sum; what is not leaves no trace.

    The source contradicts itself: its text says cosine, its pseudo-code the raw dot product. The
    default is the cosine, the only one of the two for which a threshold means the same at every
    scale of the gradients; the dot product is there for parity.

    For more than two objectives (our choice) the indicator is the smallest over the pairs. Pairs
    with a zero gradient (a batch without any text has no video-text gradient) say nothing and are
    skipped; if no pair is left, the step is kept.

    Args:
      schedule: gamma over the steps; a number is a constant gamma.
      indicator: "cosine" or "dot".

    Raises:
      ValueError: If the indicator is neither, or the schedule of a cosine leaves [-1, 1), where 1
        would keep no step.
    """

    def __init__(
        self, schedule: Schedule | float, indicator: str = "cosine", name: str | None = None
    ):
        super().__init__(name=name)
        self._schedule = schedule if isinstance(schedule, Schedule) else ConstantSchedule(schedule)
        self._indicator = indicator
        if indicator not in INDICATORS:
            raise ValueError(
                f"`indicator` should be one of {', '.join(INDICATORS)}. Found {indicator!r}."
            )
        if indicator == "cosine" and not -1.0 <= self._schedule.start <= self._schedule.end < 1.0:
            raise ValueError(
                "The threshold on a cosine should stay within [-1, 1). "
                f"Found a schedule from {self._schedule.start} to {self._schedule.end}."
            )

    def decide(self, gram: tf.Tensor, step: tf.Tensor | None = None) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without a step, unless gamma is constant."""
        if step is None and not isinstance(self._schedule, ConstantSchedule):
            raise ValueError(
                f"A {type(self._schedule).__name__} needs the training step. "
                "Pass `step=` to `harmonize`."
            )
        pairs = defined_pairs(gram)
        values = pairwise_cosines(gram) if self._indicator == "cosine" else gram
        aligned = smallest_over_pairs(values, pairs) > self._schedule(step)
        return Decision(tf.ones(gram.shape[:1]), aligned | ~tf.reduce_any(pairs))
