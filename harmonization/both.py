"""Both of the paper's methods: gate by the curriculum, then project what is kept."""

import tensorflow as tf

from harmonization.curriculum import GradientCurriculum
from harmonization.harmonizer import Decision, Harmonizer
from harmonization.realignment import GradientRealignment
from harmonization.schedule import Schedule


class Both(Harmonizer):
    """`GradientCurriculum`, then `GradientRealignment` (the row "Both" of Wu et al., 2022).

    The source does not give the order. Gating first is our choice: after the projection no gradient
    conflicts with the other original, so that nothing would be left to judge by. With a cosine it
    differs from the curriculum alone only while gamma < 0, since later on no conflicting step is
    kept.

    Args:
      schedule: gamma over the steps, as in `GradientCurriculum`; a number is a constant gamma.
      indicator: "cosine" or "dot".

    Raises:
      ValueError: As `GradientCurriculum`.
    """

    def __init__(
        self, schedule: Schedule | float, indicator: str = "cosine", name: str | None = None
    ):
        super().__init__(name=name)
        self._gate = GradientCurriculum(schedule, indicator)
        self._projection = GradientRealignment()

    def decide(self, gram: tf.Tensor, step: tf.Tensor | None = None) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without a step, unless gamma is constant."""
        return Decision(self._projection.decide(gram).weights, self._gate.decide(gram, step).keep)
