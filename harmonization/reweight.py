"""Fixed weights on the objectives: the paper's baselines RW(VA) and RW(VT)."""

import math
from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Harmonizer


class Reweight(Harmonizer):
    """Every objective has a fixed weight and every step is taken.

    RW(VA) and RW(VT) are rows of the table in Wu et al. (2022), but the sources do not say what
    they are; "re-weighting" is how the letters read, and RW(VA)'s loss in text-video retrieval fits
    a preference for the video-audio loss. Our choice: `(1.5, 0.5)` for RW(VA) and `(0.5, 1.5)` for
    RW(VT). The favored loss weighs three times the other, and the weights add up to 2 as those of
    the plain sum do, so that the learning rate keeps its meaning.

    Args:
      weights: One finite number >= 0 per objective, not all zero.

    Raises:
      ValueError: If the weights are not such.
    """

    def __init__(self, weights: Sequence[float], name: str | None = None):
        super().__init__(name=name)
        self._weights = tuple(float(weight) for weight in weights)
        usable = all(math.isfinite(weight) and weight >= 0 for weight in self._weights)
        if not usable or not any(self._weights):
            raise ValueError(
                "`weights` should be finite numbers >= 0, one per objective, not all zero. "
                f"Found {self._weights}."
            )

    def decide(self, gram: tf.Tensor, step: tf.Tensor | None = None) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError unless there is a weight per objective."""
        del step
        if gram.shape[0] != len(self._weights):
            raise ValueError(
                f"`weights` should have one entry per objective ({gram.shape[0]}). "
                f"Found {self._weights}."
            )
        return Decision(tf.constant(self._weights, tf.float32), tf.constant(True))
