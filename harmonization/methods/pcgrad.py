"""PCGrad: projecting conflicting gradients, one after the other in random order."""

import tensorflow as tf

from harmonization.harmonizer import Decision, GramHarmonizer, Group
from harmonization.randomness import random_key
from harmonization.solvers.normalized import added_up, check_reduction, normalized, to_float32


class PCGrad(GramHarmonizer):
    """Projects each gradient off every gradient it conflicts with, in random order, and adds them up.

    Rule: v_i = g_i; for j != i in random order: if v_i . g_j < 0, v_i -= (v_i . g_j / |g_j|^2) g_j;
      the update is the sum of the v_i.
    Source: Yu et al. (2020, NeurIPS), "Gradient Surgery for Multi-Task Learning", Algorithm 1.
    Promises: for two objectives, conflicts with no gradient, is permutation-equivariant and linear
      under scaling, and equals GR and UPGrad's sum. For more, nothing: a later projection may bring
      an earlier conflict back.
    Costs: one backward pass per objective, the Gram matrix, and n - 1 rounds of small products.
    Not for: many objectives that conflict with each other, where the random order is noise in the
      update; UPGrad projects on all of them at once.

    The projections are tracked as coefficients of the gradients, so that no gradient is touched
    before the one fused update. The order is drawn again in every step, separately for each objective,
    and depends on the seed and the step only; all groups of variables share it (our choice). The
    authors' TensorFlow 1 code discards the result of its shuffle and goes in order.

    Args:
      reduction: "sum" (the paper's) or "mean" of the projected gradients.
      seed: Of the random order.

    Raises:
      ValueError: If an argument is out of its range.
    """

    def __init__(self, reduction: str = "sum", seed: int = 0, name: str | None = None):
        super().__init__(name=name)
        check_reduction(reduction)
        self._mean, self._seed = reduction == "mean", int(seed)

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError as `weights`."""
        return Decision(self.weights(group.gram, group.step))

    def weights(self, gram: tf.Tensor, step: tf.Tensor | int | None = None) -> tf.Tensor:
        """See `GramHarmonizer.weights`.

        Args:
          gram: [objectives, objectives] float32, finite, symmetric.
          step: [] int64 training step from 0; two objectives do not need it.

        Raises:
          ValueError: If there are more than two objectives and no step.
        """
        norms, cosines = normalized(gram)
        rows = tf.linalg.set_diag(tf.zeros_like(cosines), tf.ones_like(norms))
        rounds = visits(norms.shape[0], self._seed, step)
        rows = tf.foldl(lambda rows, chosen: _projected(rows, cosines, chosen), rounds, rows)
        weights = added_up(rows, norms)
        return to_float32(weights / norms.shape[0] if self._mean else weights)


def _projected(rows: tf.Tensor, cosines: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    products = tf.reduce_sum(tf.matmul(rows, cosines) * chosen, axis=1, keepdims=True)
    return rows + tf.nn.relu(-products) * chosen


def visits(objectives: int, seed: int, step: tf.Tensor | int | None) -> tf.Tensor:
    """Returns which gradient each one is compared with, round by round.

    Args:
      objectives: How many there are.
      seed: Of the random order.
      step: [] training step; `None` will do for up to two objectives, which leave no choice.

    Returns:
      [objectives - 1, objectives, objectives] float64: rounds, each with one-hot rows.

    Raises:
      ValueError: If the step is missing.
    """
    if objectives <= 2:
        return tf.reverse(tf.eye(objectives, dtype=tf.float64), axis=[0])[None][: objectives - 1]
    if step is None:
        raise ValueError(
            f"With more than two objectives the order of projections is random, by seed and step. "
            f"Found {objectives} objectives and no step: pass `step`."
        )
    # Integers: from the same bits, XLA makes other floating-point numbers than TensorFlow does.
    draws = tf.random.stateless_uniform(
        [objectives, objectives],
        random_key(seed, step),
        minval=None,
        maxval=None,
        dtype=tf.uint32,
        alg="philox",
    )
    last = tf.fill([objectives], tf.constant(2.0**32, tf.float64))
    order = tf.argsort(tf.linalg.set_diag(tf.cast(draws, tf.float64), last), axis=1)
    return tf.one_hot(tf.transpose(order[:, :-1]), objectives, dtype=tf.float64)
