"""Fixed weights on the objectives: the paper's baselines RW(VA) and RW(VT)."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from harmonization.groups import Groups
from harmonization.harmonizer import Decision, GramHarmonizer, Group


class Reweight(GramHarmonizer):
    """Gives every objective a fixed weight.

    Rule: w_i = the i-th of the given weights.
    Source: rows RW(VA) and RW(VT) of the table in Wu et al. (2022).
    Promises: permutation-equivariant, if the weights are permuted too; linear under scaling.
    Costs: one backward pass of the weighted loss, unless the gradients are to be measured.
    Not for: objectives whose gradients change their lengths much while training: the weights stay
      fixed and have to be tuned.

    RW(VA) and RW(VT) are rows of the table in Wu et al. (2022), but the sources do not say what
    they are; "re-weighting" is how the letters read, and RW(VA)'s loss in text-video retrieval fits
    a preference for the video-audio loss. Our choice: `(1.5, 0.5)` for RW(VA) and `(0.5, 1.5)` for
    RW(VT). The favored loss weighs three times the other, and the weights add up to 2 as those of
    the plain sum do, so that the learning rate keeps its meaning.

    Args:
      weights: One finite number >= 0 per objective, not all zero.

    Raises:
      ValueError: If the weights do not meet this.
    """

    def __init__(self, weights: Sequence[float], name: str | None = None):
        super().__init__(name=name)
        self._weights = tuple(float(weight) for weight in weights)
        usable = all(math.isfinite(weight) and weight >= 0 for weight in self._weights)
        if not usable or not any(self._weights):
            raise ValueError(
                f"`weights` should be finite numbers >= 0, one per objective, not all zero. Found {self._weights}."
            )

    @classmethod
    def example_options(cls, objectives: int = 2) -> dict[str, Any]:
        """See `Harmonizer.example_options`: the weights of RW(VA), in turn."""
        return {"weights": tuple(itertools.islice(itertools.cycle((1.5, 0.5)), objectives))}

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`; raises a ValueError unless there is a weight per objective."""
        del groups
        self._check(objectives)

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`; raises a ValueError as `build`."""
        self._check(gram.shape[0])
        return tf.constant(self._weights, tf.float32)

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`."""
        if group.objectives is None:
            return super().decide(group)
        weights = [self._weights[objective] for objective in group.objectives]
        return Decision(tf.constant(weights, tf.float32))

    def needs_gram(self, groups: Groups | None) -> bool:
        """See `Harmonizer.needs_gram`: never."""
        del groups
        return False

    def _check(self, objectives: int) -> None:
        if objectives != len(self._weights):
            raise ValueError(f"`weights` should have one entry per objective ({objectives}). Found {self._weights}.")
