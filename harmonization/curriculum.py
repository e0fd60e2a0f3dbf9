"""Gradient-based curriculum learning (CL): steps whose gradients disagree too much are left out."""

import tensorflow as tf

from harmonization.harmonizer import (
    Decision,
    Group,
    Harmonizer,
    defined_pairs,
    pairwise_cosines,
    smallest_over_pairs,
)
from harmonization.schedule import ConstantSchedule, Schedule

INDICATORS = ("cosine", "dot")


class GradientCurriculum(Harmonizer):
    """Leaves out the steps in which the gradients agree less than a threshold that rises with time.

    Rule: w_i = 1; the step is kept iff cos(g_i, g_j) > gamma(step).
    Source: Wu et al. (2022, NeurIPS), "Scaling Multimodal Pre-Training via Cross-Modality Gradient
      Harmonization", Algorithm 2 (CL, "the soft way").
    Promises: permutation-equivariant; a step that is left out leaves no trace. With the cosine, the
      decision does not change when the gradients are scaled.
    Costs: one backward pass per objective, also in the steps that are left out.
    Not for: objectives that conflict for good reasons: the data of such steps is never learned.

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

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without a step, unless gamma is constant."""
        gram = group.gram
        if group.step is None and not isinstance(self._schedule, ConstantSchedule):
            raise ValueError(
                f"A {type(self._schedule).__name__} needs the training step. "
                "Pass `step=` to `harmonize`."
            )
        pairs = defined_pairs(gram)
        values = pairwise_cosines(gram) if self._indicator == "cosine" else gram
        aligned = smallest_over_pairs(values, pairs) > self._schedule(group.step)
        return Decision(tf.ones(gram.shape[:1]), aligned | ~tf.reduce_any(pairs))
