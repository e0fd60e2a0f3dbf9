"""STCH: the gradient of a smooth maximum of the losses."""

import math
from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group
from harmonization.methods.loss_weights.base import LossWeights, check_length, plain_numbers
from harmonization.state import own_entries


class STCH(LossWeights):
    """Weighs the objective that is worst off most: the smooth Tchebycheff scalarization.

    Rule: w_i = lambda_i softmax(lambda_j (L_j - ideal_j) / mu)_i, the slopes of
      mu log sum_i exp(lambda_i (L_i - ideal_i) / mu).
    Source: Lin, Zhang, Yang, Liu, Wang and Zhang (2024, ICML), "Smooth Tchebycheff Scalarization for
      Multi-Objective Optimization".
    Promises: weights from 0 to lambda_i, which add up to 1 if all lambda_i are 1. Small mu: only the
      largest loss counts; large mu: all count alike.
    Costs: one backward pass of the weighted loss, unless there are groups or the gradients are to be
      measured.
    Not for: losses on different scales, unless `preferences` make up for them.

    A loss that is not finite counts as one at its ideal. Preferences of 1, not 1 / n, are our choice.

    Args:
      mu: How smooth the maximum is, > 0, in units of the losses.
      preferences: The factors lambda on the losses, > 0; a number, or one per objective.
      ideal: The best value that each loss can reach; a number, or one per objective.

    Raises:
      ValueError: If an option is out of its range.
    """

    def __init__(
        self,
        mu: float = 1.0,
        preferences: float | Sequence[float] = 1.0,
        ideal: float | Sequence[float] = 0.0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self._mu, self._preferences, self._ideal = float(mu), plain_numbers(preferences), plain_numbers(ideal)
        numbers = [mu, *tf.nest.flatten(self._preferences), *tf.nest.flatten(self._ideal)]
        positive = min(numbers[: len(tf.nest.flatten(self._preferences)) + 1]) > 0
        if not (positive and all(map(math.isfinite, numbers))):
            raise ValueError(
                "`mu` and `preferences` should be finite numbers > 0, `ideal` finite. "
                f"Found {mu}, {preferences} and {ideal}."
            )

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`; raises a ValueError unless there is an option per objective."""
        del groups
        check_length("preferences", self._preferences, objectives)
        check_length("ideal", self._ideal, objectives)

    def weigh(self, losses: tf.Tensor, group: Group) -> Decision:
        """See `LossWeights.weigh`."""
        preferences, ideal = _own(self._preferences, group), _own(self._ideal, group)
        distances = tf.where(tf.math.is_finite(losses), preferences * (losses - ideal), 0.0)
        return Decision(preferences * tf.nn.softmax(distances / self._mu))


def _own(option: float | tuple[float, ...], group: Group) -> tf.Tensor:
    values = tf.constant(option, tf.float32)
    return own_entries(values, group) if values.shape.rank else values
