"""Uncertainty weighting: every loss divided by a variance that is learned with it."""

from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Group
from harmonization.methods.loss_weights.base import check_length
from harmonization.methods.loss_weights.learned_scales import LearnedScales
from harmonization.state import own_entries

FACTORS = {"regression": 0.5, "classification": 1.0}


class UncertaintyWeights(LearnedScales):
    """Learns a variance for every objective, and divides its loss by it.

    Rule: w_i = c_i exp(-s_i), where s_i is learned to minimize c_i exp(-s_i) L_i + s_i / 2, with c_i = 1 / 2
      for regression and 1 for classification; s = 0 at first.
    Source: Kendall, Gal and Cipolla (2018, CVPR), "Multi-Task Learning Using Uncertainty to Weigh Losses
      for Scene Geometry and Semantics", with s the logarithm of the variance, as the authors advise.
    Promises: positive weights; where they have settled, w_i L_i = 1 / 2 for every objective.
    Costs: one backward pass of the weighted loss, unless the gradients are to be measured, and four
      numbers of state per objective.
    Not for: losses that reach zero or may be negative: their weights grow to exp(60).

    The source trains s with the model's optimizer. Our choice is an Adam of its own, with the learning
    rate that GradNorm and FAMO have here. A loss that is not finite moves nothing.

    Args:
      likelihood: "regression" or "classification"; one for all objectives, or one per objective.
      learning_rate: Of s.

    Raises:
      ValueError: If an option is not such.
    """

    def __init__(
        self, likelihood: str | Sequence[str] = "regression", learning_rate: float = 0.025, name: str | None = None
    ):
        super().__init__(0.5, learning_rate, name=name)
        self._likelihood = likelihood if isinstance(likelihood, str) else tuple(likelihood)
        if unknown := set(tf.nest.flatten(self._likelihood)) - set(FACTORS):
            raise ValueError(f"`likelihood` should be among {list(FACTORS)}. Found {sorted(unknown)}.")

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`; raises a ValueError unless there is a likelihood per objective."""
        check_length("likelihood", self._likelihood, objectives)
        super().build(objectives, groups)

    def factors(self, group: Group) -> tf.Tensor | float:
        """See `LearnedScales.factors`."""
        if isinstance(self._likelihood, str):
            return FACTORS[self._likelihood]
        return own_entries(tf.constant([FACTORS[each] for each in self._likelihood]), group)
