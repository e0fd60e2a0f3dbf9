"""Gradient-based curriculum learning (CL): steps whose gradients disagree too much are skipped."""

from typing import Any

import tensorflow as tf

from harmonization.harmonizer import (
    Decision,
    Group,
    Harmonizer,
    defined_pairs,
    pairwise_cosines,
    smallest_over_pairs,
)
from harmonization.methods.given_weights.sum import Sum
from harmonization.schedule import ConstantSchedule, LinearSchedule, Schedule

INDICATORS = ("cosine", "dot")


class GradientCurriculum(Harmonizer):
    """Skips the steps in which the gradients agree less than a threshold that rises with time.

    Rule: w_i = 1; the step is kept iff cos(g_i, g_j) > gamma(step).
    Source: Wu et al. (2022, NeurIPS), "Scaling Multimodal Pre-Training via Cross-Modality Gradient
      Harmonization", Algorithm 2 (CL, "the soft way").
    Promises: permutation-equivariant; a skipped step leaves no trace. With the cosine, the
      decision does not change when the gradients are scaled.
    Costs: one backward pass per objective, also in skipped steps.
    Not for: objectives that conflict for good reasons: the data of such steps are never learned.

    The source contradicts itself: its text says cosine, its pseudo-code the raw dot product. The
    default is the cosine, the only one of the two for which a threshold means the same at every
    scale of the gradients; the dot product is there for parity.

    For more than two objectives (our choice) the indicator is the smallest over the pairs. Pairs
    with a zero gradient (a batch without any text has no video-text gradient) say nothing and are
    skipped; if no pair is left, the step is kept.

    The source also speaks of single samples. `sample_weights` is our version of that reading: the
    same rule and the same gamma for each sample's gradients, which the caller must have computed.

    Args:
      schedule: gamma over the steps; a number is a constant gamma.
      indicator: "cosine" or "dot".

    Raises:
      ValueError: If the indicator is neither, or the schedule of a cosine leaves [-1, 1), where 1
        would keep no step.
    """

    def __init__(self, schedule: Schedule | float, indicator: str = "cosine", name: str | None = None):
        super().__init__(name=name)
        self._schedule = schedule if isinstance(schedule, Schedule) else ConstantSchedule(schedule)
        self._indicator = indicator
        if indicator not in INDICATORS:
            raise ValueError(f"`indicator` should be one of {', '.join(INDICATORS)}. Found {indicator!r}.")
        if indicator == "cosine" and not -1.0 <= self._schedule.start <= self._schedule.end < 1.0:
            raise ValueError(
                "The threshold on a cosine should stay within [-1, 1). "
                f"Found a schedule from {self._schedule.start} to {self._schedule.end}."
            )

    @classmethod
    def example_options(cls, objectives: int = 2) -> dict[str, Any]:
        """See `Harmonizer.example_options`: the schedule of a long training."""
        del objectives
        return {"schedule": LinearSchedule(steps=500_000)}

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without a step, unless gamma is constant."""
        agreement, judged = self.agreement(group.gram)
        return Decision(tf.ones(group.gram.shape[:1]), (agreement > self._threshold(group.step)) | ~judged)

    def split_gate(self) -> tuple["GradientCurriculum", Harmonizer]:
        """See `Harmonizer.split_gate`."""
        return self, Sum()

    def agreement(self, gram: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The indicator of some steps, or of some samples, and whether they have one.

        Args:
          gram: [..., objectives, objectives] float32, finite.

        Returns:
          [...] float32, zero where there is none, and [...] bool.
        """
        pairs = defined_pairs(gram)
        values = pairwise_cosines(gram) if self._indicator == "cosine" else gram
        return smallest_over_pairs(values, pairs), tf.reduce_any(pairs, axis=[-2, -1])

    def sample_weights(self, gram: tf.Tensor, step: tf.Tensor | int | None, softness: float = 0.0) -> tf.Tensor:
        """Weights of single samples' losses; our choice, see above.

        Args:
          gram: [samples, objectives, objectives] float32, of each sample's own gradients.
          step: [] int64 training step from 0; `None` suffices for a constant gamma.
          softness: 0 gates: a weight is 1 or 0. Above, it is sigmoid((indicator - gamma) / softness),
            the probability that the indicator exceeds gamma if it is only known up to logistic noise
            of that scale; one half at gamma, and the gate in the limit of no noise.

        Returns:
          [samples] float32 in [0, 1]; 1 for a sample that has no indicator.
        """
        agreement, judged = self.agreement(gram)
        threshold = self._threshold(step)
        if softness:
            weights = tf.sigmoid((agreement - threshold) / softness)
        else:
            weights = tf.cast(agreement > threshold, tf.float32)
        return tf.where(judged, weights, 1.0)

    def _threshold(self, step: tf.Tensor | int | None) -> tf.Tensor:
        if step is None and not isinstance(self._schedule, ConstantSchedule):
            raise ValueError(f"A {type(self._schedule).__name__} needs the training step. Pass `step=` to `harmonize`.")
        return self._schedule(step)
