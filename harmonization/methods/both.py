"""Both of the paper's methods: gate by the curriculum, then project what is kept."""

from typing import Any

from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.methods.curriculum import GradientCurriculum
from harmonization.methods.realignment import GradientRealignment
from harmonization.schedule import Schedule


class Both(Harmonizer):
    """Skips steps by the curriculum, and projects the gradients of those it keeps.

    Rule: keep as `GradientCurriculum`, w as `GradientRealignment`.
    Source: Wu et al. (2022, NeurIPS), the row "Both" of their table.
    Promises: what the two promise.
    Costs: one backward pass per objective, and the Gram matrix.
    Not for: a gamma that is never negative: with a cosine nothing is left to project.

    The source does not give the order. Gating first is our choice: after the projection no gradient
    conflicts with the other original, so the gate would have nothing to decide. With a cosine it
    differs from the curriculum alone only while gamma < 0, since later on no conflicting step is
    kept.

    Args:
      schedule: gamma over the steps, as in `GradientCurriculum`; a number is a constant gamma.
      indicator: "cosine" or "dot".

    Raises:
      ValueError: As `GradientCurriculum`.
    """

    def __init__(self, schedule: Schedule | float, indicator: str = "cosine", name: str | None = None):
        super().__init__(name=name)
        self._gate = GradientCurriculum(schedule, indicator)
        self._projection = GradientRealignment()

    @classmethod
    def example_options(cls, objectives: int = 2) -> dict[str, Any]:
        """See `Harmonizer.example_options`: those of `GradientCurriculum`."""
        return GradientCurriculum.example_options(objectives)

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without a step, unless gamma is constant."""
        return Decision(self._projection.weights(group.gram), self._gate.decide(group).keep)

    def split_gate(self) -> tuple[GradientCurriculum, Harmonizer]:
        """See `Harmonizer.split_gate`."""
        return self._gate, self._projection
