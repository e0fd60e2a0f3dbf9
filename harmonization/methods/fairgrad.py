"""FairGrad: a fair share of progress for every objective, from the plain sum to the worst-off first."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer
from harmonization.solvers.normalized import normalized, resolution, to_float32

TRIPS = 80
SMALLEST, LARGEST = 0.25, 4.0


class FairGrad(GramHarmonizer):
    """Divides progress fairly: the less an objective gains, the more it weighs.

    Rule: w > 0 with G w = w^(-1 / alpha), entry by entry; G w are the gains g_i . d.
    Source: Ban and Ji (2024, ICML), "Fair Resource Allocation in Multi-Task Learning".
    Promises: permutation-equivariant; conflicts with no gradient. Scaling all gradients by c scales the
      update by c^((1 - alpha) / (1 + alpha)).
    Costs: one backward pass per objective and the Gram matrix; Newton's method on n x n in the graph.
    Not for: relying on the gradients' lengths, which alpha = 1 ignores and alpha > 1 turns around: the
      shorter the gradients, the longer the update.

    alpha = 1 is `NashMTL` without clipping, alpha to 0 the plain sum, alpha to infinity the direction that is best
    for the objective that gains least. Solved in every step from scratch. Where gradients cancel, no fair share
    exists: the update is zero. A zero gradient weighs zero (our choices).

    Args:
      alpha: How much fairness counts, from 0.25 to 4, for which Newton's method is quick.

    Raises:
      ValueError: If alpha is out of its range.
    """

    def __init__(self, alpha: float = 2.0, name: str | None = None):
        super().__init__(name=name)
        if not SMALLEST <= alpha <= LARGEST:
            raise ValueError(f"`alpha` should be from {SMALLEST} to {LARGEST}. Found {alpha}.")
        self._power = 1.0 / float(alpha)

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms, cosines = normalized(gram)
        objectives, present = norms.shape[0], norms > 0.0
        # A zero gradient becomes one that is orthogonal to all others and does not disturb them.
        regular = tf.linalg.set_diag(cosines, tf.ones_like(norms))
        regular += resolution(objectives) * tf.eye(objectives, dtype=tf.float64)
        longest = tf.where(tf.reduce_any(present), tf.reduce_max(norms), 1.0)
        # In coefficients y = w |g| of the unit gradients the rule is C y = |g|^(p - 1) y^-p, with p = 1 / alpha.
        targets = tf.where(present, norms / longest, 1.0) ** (self._power - 1.0)
        shares = tf.where(present, _fair_shares(regular, targets, self._power), 0.0)
        # Shares that are mostly regularization are none: the gradients cancel.
        square = tf.tensordot(shares, tf.linalg.matvec(regular, shares), 1)
        blind = resolution(objectives) * tf.reduce_sum(shares**2) > 0.5 * square
        shares = tf.where(blind, tf.zeros_like(shares), shares)
        scale = longest ** ((self._power - 1.0) / (self._power + 1.0))
        return to_float32(tf.math.divide_no_nan(scale * shares, norms))


def _fair_shares(regular: tf.Tensor, targets: tf.Tensor, power: float) -> tf.Tensor:
    """The y > 0 with `regular` y = targets y^-power, [objectives] float64.

    Damped Newton on the convex y . `regular` y / 2 - sum_i targets_i y_i^(1 - power) / (1 - power). Its second
    derivatives change by a bounded factor while no y_i changes by more than a share 1 / (1 + power), so steps of
    that size always descend.
    """
    return tf.while_loop(
        lambda _, size: size > 1e-9,
        lambda shares, _: _improved(shares, regular, targets, power),
        (targets ** (1.0 / (1.0 + power)), tf.constant(1.0, tf.float64)),
        parallel_iterations=1,
        maximum_iterations=TRIPS,
    )[0]


def _improved(shares, regular, targets, power: float) -> tuple[tf.Tensor, tf.Tensor]:
    """One Newton step in the logarithms' scale, and its size before it is shortened."""
    # The best multiple of the current point comes free: there, the sums of both sides times y agree.
    left = tf.tensordot(shares, tf.linalg.matvec(regular, shares), 1)
    right = tf.reduce_sum(targets * shares ** (1.0 - power))
    shares *= (right / left) ** (1.0 / (1.0 + power))
    gains, wanted = shares[:, None] * regular * shares[None, :], targets * shares ** (1.0 - power)
    missing = wanted - tf.reduce_sum(gains, axis=1)
    # Scaled to a diagonal of ones, since the entries may be of very different sizes.
    inverse = tf.math.rsqrt(tf.linalg.diag_part(gains) + power * wanted)
    curvature = inverse[:, None] * gains * inverse[None, :] + tf.linalg.diag(power * wanted * inverse**2)
    change = inverse * tf.linalg.cholesky_solve(tf.linalg.cholesky(curvature), (inverse * missing)[:, None])[:, 0]
    size = (1.0 + power) * tf.reduce_max(tf.abs(change))
    return shares * tf.exp(change * tf.minimum(0.7 / tf.maximum(size, 1e-30), 1.0)), size
