"""Nash-MTL: the Nash bargaining solution: the update with the largest product of gains."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer
from harmonization.solvers.normalized import normalized, resolution, to_float32

TRIPS = 60


class NashMTL(GramHarmonizer):
    """Takes the Nash bargaining solution: the update with the largest product of gains g_i . d.

    Rule: w > 0 with G w = 1 / w, entry by entry. For two objectives
      w_i = 1 / (|g_i| sqrt(1 + cos(g_1, g_2))).
    Source: Navon et al. (2022, ICML), "Multi-Task Learning as a Bargaining Game", Claim 3.1 and
      Algorithm 1.
    Promises: permutation-equivariant; conflicts with no gradient; the update does not depend on the
      lengths of the gradients, and its own length is sqrt(n) before clipping.
    Costs: one backward pass per objective and the Gram matrix; for more than two objectives Newton's
      method on n x n in the graph.
    Not for: relying on the gradients' lengths: the update is as long near a minimum as far from it.
      That is why the authors clip it, and why the learning rate has to decay.

    Solved in every step from scratch, by Newton's method on the convex function
    w . G w / 2 - sum log w; the authors' code solves a sequence of linearized programs with CVXPY,
    20 at most, every few steps, and starts from the last solution. Where gradients cancel, no
    bargain exists: the update is zero. A zero gradient weighs zero (our choices).

    Args:
      max_norm: The update is shortened to this length if it is longer. 1 is the authors'; as the
        length is sqrt(n) before clipping, this normalizes the update. `None` does not clip.

    Raises:
      ValueError: If `max_norm` is not positive.
    """

    def __init__(self, max_norm: float | None = 1.0, name: str | None = None):
        super().__init__(name=name)
        if max_norm is not None and not 0.0 < max_norm < float("inf"):
            raise ValueError(f"`max_norm` should be None or a finite number > 0. Found {max_norm}.")
        self._max_norm = max_norm

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms, cosines = normalized(gram)
        objectives, present = norms.shape[0], tf.cast(norms > 0.0, tf.float64)
        # A zero gradient becomes one that is orthogonal to all others and does not disturb them.
        regular = tf.linalg.set_diag(cosines, tf.fill([objectives], tf.constant(1.0, tf.float64)))
        regular += resolution(objectives) * tf.eye(objectives, dtype=tf.float64)
        shares = present * (_bargain_of_two if objectives == 2 else _bargain)(regular)
        # A bargain that is mostly regularization is none: the gradients cancel.
        blind = resolution(objectives) * tf.reduce_sum(shares**2) > 0.5 * tf.reduce_sum(present)
        shares = tf.where(blind, tf.zeros_like(shares), shares)
        if self._max_norm is not None:
            square = tf.tensordot(shares, tf.linalg.matvec(cosines, shares), 1)
            shares *= self._max_norm / tf.maximum(tf.sqrt(tf.nn.relu(square)), self._max_norm)
        return to_float32(tf.math.divide_no_nan(shares, norms))


def _bargain_of_two(regular: tf.Tensor) -> tf.Tensor:
    return tf.math.rsqrt(regular[0] + regular[1])


def _bargain(regular: tf.Tensor) -> tf.Tensor:
    """The y > 0 with `regular` y = 1 / y, [objectives] float64.

    Damped Newton: the function is self-concordant, so that steps of 1 / (1 + decrement) keep y
    positive and end in quadratic convergence, wherever they start.
    """
    ones = tf.ones(regular.shape[:1], tf.float64)
    return tf.while_loop(
        lambda _, decrement: decrement > 1e-9,
        lambda shares, _: _improved(shares, regular),
        (ones, tf.constant(1.0, tf.float64)),
        parallel_iterations=1,
        maximum_iterations=TRIPS,
    )[0]


def _improved(shares: tf.Tensor, regular: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One Newton step in the logarithms' scale, and its decrement before the step."""
    objectives = shares.shape[0]
    scaled = shares[:, None] * regular * shares[None, :]
    # The best multiple of the current point comes free: there, y . `regular` y = n.
    scaled *= objectives / tf.reduce_sum(scaled)
    shares *= tf.sqrt(objectives / tf.tensordot(shares, tf.linalg.matvec(regular, shares), 1))
    missing = 1.0 - tf.reduce_sum(scaled, axis=1)
    factor = tf.linalg.cholesky(scaled + tf.eye(objectives, dtype=tf.float64))
    change = tf.linalg.cholesky_solve(factor, missing[:, None])[:, 0]
    decrement = tf.sqrt(tf.nn.relu(tf.tensordot(missing, change, 1)))
    step = tf.where(decrement > 0.25, 1.0 / (1.0 + decrement), 1.0)
    return shares * (1.0 + step * change), decrement
