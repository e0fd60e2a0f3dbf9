"""MGDA: the shortest vector in the convex hull of the gradients."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer
from harmonization.solvers.normalized import normalized, to_float32
from harmonization.solvers.quadratic import nonnegative_minimum


class MGDA(GramHarmonizer):
    """Takes the shortest convex combination of the gradients.

    Rule: w minimizes |sum_i w_i g_i| over w >= 0, sum w = 1. For two objectives
      w_1 = clip((|g_2|^2 - g_1 . g_2) / |g_1 - g_2|^2, 0, 1).
    Source: Desideri (2012, C. R. Math.), "Multiple-gradient descent algorithm"; Sener and Koltun
      (2018, NeurIPS), "Multi-Task Learning as Multi-Objective Optimization".
    Promises: conflicts with no gradient; permutation-equivariant; weights >= 0 that add up to 1;
      zero where (and only where) no direction improves all objectives.
    Costs: one backward pass per objective and the Gram matrix; for more than two objectives an exact
      quadratic program in the graph.
    Not for: gradients of very different lengths, since the shortest one governs the update; a
      gradient of zero stops it.

    Both sources' solvers iterate (Frank-Wolfe), TorchJD's 100 times at most; the active set here is exact. Of several zero
    gradients each has the same weight (our choice).
    """

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms, cosines = normalized(gram)
        zero = tf.cast(norms <= 0.0, tf.float64)
        solve = _shortest_of_two if norms.shape[0] == 2 else _shortest
        weights = tf.where(tf.reduce_any(zero > 0.0), zero, solve(norms, cosines))
        return to_float32(weights / tf.reduce_sum(weights))


def _shortest_of_two(norms: tf.Tensor, cosines: tf.Tensor) -> tf.Tensor:
    lengths = tf.math.divide_no_nan(norms, tf.reduce_max(norms))
    product = lengths[0] * lengths[1] * cosines[0, 1]
    square = tf.reduce_sum(lengths**2) - 2.0 * product
    share = tf.math.divide_no_nan(lengths[1] ** 2 - product, square)
    share = tf.where(square > 0.0, tf.clip_by_value(share, 0.0, 1.0), 0.5)
    return tf.stack([share, 1.0 - share])


def _shortest(norms: tf.Tensor, cosines: tf.Tensor) -> tf.Tensor:
    # The shortest vector x is that with g_i . x >= |x|^2 for all i. Longer by a factor it is the
    # shortest with g_i . x >= 1, whose multipliers are the weights: a program without sum.
    shares = tf.math.divide_no_nan(tf.reduce_min(norms), norms)
    return shares * nonnegative_minimum(cosines, -shares[None])[0]
