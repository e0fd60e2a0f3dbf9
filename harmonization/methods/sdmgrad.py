"""SDMGrad: weights that move a little in every step, toward the shortest combination of the expected gradients."""

from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group, Harmonizer, gradient_norms
from harmonization.solvers.normalized import to_float32
from harmonization.state import check_made_for, own_entries, state_variables, with_own_entries


class SDMGrad(Harmonizer):
    """Keeps weights that descend to the shortest combination of the gradients, and adds a share of their mean.

    Rule: v, which starts at u = (1 / n, ..., 1 / n), becomes in every step, `inner_steps` times, the nearest point to
      v - learning_rate A (v + toward_mean u) with v_i >= 0, sum v = 1; w = (v + toward_mean u) / (1 + toward_mean).
      A are inner products of gradients of different examples, in units of the sum of |g_i|^2.
    Source: Xiao, Ban and Ji (2023, NeurIPS), "Direction-oriented Multi-objective Learning: Simple and Provable
      Stochastic Algorithms". Without the mean and with one inner step it is MoDo: Chen et al. (2023, NeurIPS),
      "Three-Way Trade-Off in Multi-Objective Learning: Optimization, Generalization and Conflict-Avoidance".
    Promises: permutation-equivariant, homogeneous; weights >= 0 that add up to 1. With `part_gram`, the noise of the
      gradients does not bias the direction in which the weights move.
    Costs: one backward pass per objective, the Gram matrix, and a number of state per objective; with `part_gram`
      also the gradients of all parts of the batch.
    Not for: conflicts of a single step, which weights with a memory answer late; a gradient of zero draws the weights
      to itself, as with `MGDA`.

    Products of a gradient with itself contain its noise: from one batch, `MGDA` and its relatives turn to the objective
    that is measured best. Pass `part_gram` to `harmonize`, and A comes from different parts of the batch, which have no
    noise in common. Without it A is the batch's Gram matrix. Either way the update has the gradients of the whole batch,
    where the source has one more batch. In units of the sum of squares a learning rate below 2 never overshoots; the
    authors' code (units of the squared mean length, a rate of 10, with momentum) does, and its weights jump between
    corners (our choice).

    Args:
      toward_mean: How much of the mean gradient is added, lambda in the source; >= 0. Much of it makes this `Mean`.
      learning_rate: Of the weights; positive.
      inner_steps: How often the weights move in a training step.

    Raises:
      ValueError: If an option is out of its range.
    """

    def __init__(
        self, toward_mean: float = 0.3, learning_rate: float = 1.0, inner_steps: int = 20, name: str | None = None
    ):
        super().__init__(name=name)
        self._toward_mean, self._learning_rate = float(toward_mean), float(learning_rate)
        self._inner_steps, self._shares = int(inner_steps), None
        whole = self._inner_steps == inner_steps and inner_steps >= 1
        if not (0.0 <= toward_mean < float("inf") and 0.0 < learning_rate < float("inf") and whole):
            raise ValueError(
                "`toward_mean` should be finite and >= 0, `learning_rate` finite and > 0, `inner_steps` a whole number >= 1. "
                f"Found {toward_mean}, {learning_rate} and {inner_steps}."
            )

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        if self._shares is not None:
            return check_made_for(self._shares, objectives, groups)
        self._shares = state_variables(tf.fill([objectives], 1.0 / objectives), groups, "sdmgrad_shares")

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`."""
        variable, objectives = self._shares[group.name], group.gram.shape[0]
        everyone = tf.convert_to_tensor(variable)
        shares = tf.cast(own_entries(everyone, group), tf.float64)
        mean = tf.fill([objectives], tf.constant(self._toward_mean / objectives, tf.float64))
        shares = self._moved(shares, _products(group), mean)
        new = with_own_entries(everyone, tf.cast(shares, tf.float32), group)
        return Decision(to_float32((shares + mean) / (1.0 + self._toward_mean)), state=[(variable, new)])

    def _moved(self, shares: tf.Tensor, products: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
        def move(shares, _):
            return _nearest_shares(shares - self._learning_rate * tf.linalg.matvec(products, shares + mean))

        return tf.foldl(move, tf.range(self._inner_steps), shares)


def _products(group: Group) -> tf.Tensor:
    """Inner products of the gradients in units of the sum of their squares, [objectives, objectives] float64."""
    squares = tf.cast(gradient_norms(group.gram), tf.float64) ** 2
    products = group.gram if group.gram_estimates is None else tf.reduce_mean(group.gram_estimates, axis=0)
    return tf.math.divide_no_nan(tf.cast(products, tf.float64), tf.reduce_sum(squares))


def _nearest_shares(point: tf.Tensor) -> tf.Tensor:
    """The nearest nonnegative numbers that add up to 1: all lowered by one amount, the largest that does it."""
    at_least = tf.cast(point[None, :] >= point[:, None], point.dtype)
    lowered_by = (tf.linalg.matvec(at_least, point) - 1.0) / tf.reduce_sum(at_least, axis=1)
    return tf.nn.relu(point - tf.reduce_max(lowered_by))
