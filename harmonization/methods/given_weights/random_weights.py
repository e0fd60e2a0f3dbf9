"""Random loss weights (RLW): a baseline that every weighting method has to beat."""

import math

import tensorflow as tf

from harmonization.groups import Groups
from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.randomness import random_key, standard_normal


class RandomWeights(Harmonizer):
    """Draws new weights of the objectives in every step.

    Rule: w = total * softmax(z), z_i from the standard normal distribution.
    Source: Lin, Ye, Zhang and Tsang (2022, TMLR), "Reasonable Effectiveness of Random Weighting: A
      Litmus Test for Multi-Task Learning" (RLW).
    Promises: positive weights that add up to `total`; in the mean over the steps all are equal.
      Linear under scaling, since the gradients are not looked at.
    Costs: one backward pass of the weighted loss, unless the gradients are to be measured.
    Not for: anything but a baseline.

    The source's weights add up to 1, the default here; they compare with `Mean`. `total` = number
    of objectives compares with `Sum` at the same learning rate.

    The weights belong to the losses: one draw serves all groups, and in a group that some
    objectives do not reach the others keep the weights of that draw. A draw depends on the seed and
    the step alone, so that a resumed run draws what an uninterrupted one does.

    Args:
      seed: Of the draws.
      total: What the weights add up to, > 0.

    Raises:
      ValueError: If `total` is not a finite number > 0.
    """

    def __init__(self, seed: int = 0, total: float = 1.0, name: str | None = None):
        super().__init__(name=name)
        self._seed, self._total = int(seed), float(total)
        self._objectives = None
        if not (math.isfinite(self._total) and self._total > 0):
            raise ValueError(f"`total` should be a finite number > 0. Found {total}.")

    def build(self, objectives: int, groups: tuple[str, ...]) -> None:
        """See `Harmonizer.build`."""
        del groups
        self._objectives = objectives

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without a step."""
        if group.step is None:
            raise ValueError("RandomWeights needs the training step. Pass `step=` to `harmonize`.")
        draws = standard_normal([self._objectives or group.size], random_key(self._seed, group.step))
        weights = self._total * tf.nn.softmax(draws)
        return Decision(weights if group.objectives is None else tf.gather(weights, group.objectives))

    def needs_gram(self, groups: Groups | None) -> bool:
        """See `Harmonizer.needs_gram`: never."""
        del groups
        return False
