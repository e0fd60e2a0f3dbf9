"""CAGrad: near the mean gradient, the direction that is best for the worst objective."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer
from harmonization.solvers.max_min import highest_level
from harmonization.solvers.normalized import normalized, resolution, to_float32

RESCALE = ("square", "linear", "none")


class CAGrad(GramHarmonizer):
    """Moves from the mean gradient toward the objective that gains least, by a share c of its length.

    Rule: d maximizes min_i g_i . d over |d - g_0| <= c |g_0|, g_0 the mean gradient; that is
      d = g_0 + c |g_0| g_w / |g_w|, where w minimizes g_w . g_0 + c |g_0| |g_w| over w >= 0,
      sum w = 1, and g_w = sum_i w_i g_i.
    Source: Liu et al. (2021, NeurIPS), "Conflict-Averse Gradient Descent for Multi-task Learning",
      Algorithm 1.
    Promises: permutation-equivariant, homogeneous; weights that add up to 1 + c |g_0| / |g_w| before
      rescaling. c < 1 converges to a stationary point of the mean loss; c >= 1 conflicts with no
      gradient; c = 0 is the mean, and c to infinity points like MGDA.
    Costs: one backward pass per objective and the Gram matrix; for more than two objectives an exact
      path of small pivots in the graph.
    Not for: an update whose length is to stay comparable between values of c, unless rescaled.

    Where no direction improves all objectives, g_w vanishes if c >= 1 and the formula is 0 / 0. We
    then take the nearest vector to g_0 that conflicts with no gradient, the solution that the
    maximization has there; likewise if a gradient is zero. The sources' solvers (SLSQP, CVXPY) are
    replaced by exact ones. TorchJD's update is zero on many such matrices.

    Args:
      c: Radius of the search in lengths of the mean gradient, at least 0.
      rescale: Divides the update by 1 + c^2 ("square", LibMTL's default and the authors' for
        supervised learning), by 1 + c ("linear") or by nothing ("none", the paper and TorchJD).

    Raises:
      ValueError: If an argument is out of its range.
    """

    def __init__(self, c: float = 0.5, rescale: str = "none", name: str | None = None):
        super().__init__(name=name)
        if not 0.0 <= c < float("inf"):
            raise ValueError(f"`c` should be a finite number >= 0. Found {c}.")
        if rescale not in RESCALE:
            raise ValueError(f"`rescale` should be one of {RESCALE}. Found {rescale!r}.")
        self._c = float(c)
        self._divisor = {"square": 1.0 + c * c, "linear": 1.0 + c, "none": 1.0}[rescale]

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms, cosines = normalized(gram)
        lengths = tf.math.divide_no_nan(norms, tf.reduce_max(norms))
        mean = lengths / norms.shape[0]
        square = tf.tensordot(mean, tf.linalg.matvec(cosines, mean), 1)
        noise = resolution(norms.shape[0]) * tf.reduce_sum(mean**2)
        radius = self._c * tf.sqrt(tf.where(square > noise, square, 0.0))
        solve = _highest_level_of_two if norms.shape[0] == 2 else highest_level
        added = tf.math.divide_no_nan(solve(cosines, lengths, mean, radius), lengths)
        return to_float32((1.0 / norms.shape[0] + added) / self._divisor)


def _highest_level_of_two(cosines, lengths, center, radius) -> tf.Tensor:
    """As `highest_level`, in closed form.

    On the line g_2 + t (g_1 - g_2), |g_w|^2 = height^2 + square (t - foot)^2, and the derivative of
    g_w . g_0 + radius |g_w| is zero at one angle.
    """
    cosine = cosines[0, 1]
    product = lengths[0] * lengths[1] * cosine
    square = tf.reduce_sum(lengths**2) - 2.0 * product
    foot = tf.math.divide_no_nan(lengths[1] ** 2 - product, square)
    height = lengths[0] * lengths[1] * tf.sqrt(1.0 - cosine**2)  # times sqrt(square)
    slope = 0.5 * (lengths[0] ** 2 - lengths[1] ** 2)
    sine = tf.math.divide_no_nan(slope, radius * tf.sqrt(square))
    tangent = tf.math.divide_no_nan(sine, tf.sqrt(tf.nn.relu(1.0 - sine**2)))
    far = tf.sign(sine) * tf.cast(tf.abs(sine) >= 1.0, tf.float64)
    share = foot - tf.math.divide_no_nan(tangent * height, square) - 2.0 * far * (1.0 + tf.abs(foot))
    share = tf.where(square > 0.0, tf.clip_by_value(share, 0.0, 1.0), 0.5)
    return _stretched(tf.stack([share, 1.0 - share]) * lengths, cosines, center, radius)


def _stretched(direction, cosines, center, radius) -> tf.Tensor:
    """The direction at the length of the radius; the way to d = 0 where its gradients cancel."""
    square = tf.tensordot(direction, tf.linalg.matvec(cosines, direction), 1)
    cancels = square <= resolution(2) * tf.reduce_sum(direction**2)
    stretched = tf.math.divide_no_nan(radius * direction, tf.sqrt(tf.where(cancels, tf.zeros_like(square), square)))
    both = tf.reduce_all(center > 0.0)
    return tf.where(cancels & both & (radius > 0.0), -center, stretched)
