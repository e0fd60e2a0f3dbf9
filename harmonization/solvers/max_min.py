"""The vector of a ball whose smallest inner product with the gradients is the largest.

CAGrad's problem: maximize the level t = min_i g_i . d over |d - g_0| <= radius. For a given t, the
nearest such d to g_0 solves a quadratic program whose right-hand side is linear in t, so that its
solution is piecewise linear in t. We follow it from t = min_i g_i . g_0, where d = g_0, upward until
the radius is spent: one pivot per piece, no search for a multiplier, exact.
"""

from typing import NamedTuple

import tensorflow as tf

from harmonization.solvers.normalized import resolution
from harmonization.solvers.quadratic import swept


class _Path(NamedTuple):
    tableau: tf.Tensor  # [n, n + 2]: the last columns are the values at level 0 and their slopes
    active: tf.Tensor  # [n] bool, gradients that d has the inner product `level` with
    level: tf.Tensor  # [], in units of the shortest gradient
    going: tf.Tensor  # [] bool


def highest_level(cosines: tf.Tensor, lengths: tf.Tensor, center: tf.Tensor, radius: tf.Tensor) -> tf.Tensor:
    """What to add to the center of the ball.

    Where 0 is a convex combination of the gradients, no vector agrees with all of them; then the
    result is the shortest one that conflicts with none, if the ball has one. A zero gradient makes
    it so, too.

    Args:
      cosines: [objectives, objectives] float64.
      lengths: [objectives] float64, norms of the gradients in units of the longest.
      center: [objectives] float64, coefficients of the unit gradients in g_0.
      radius: [] float64, in the same units.

    Returns:
      [objectives] float64 >= 0, coefficients of the unit gradients.
    """
    objectives = lengths.shape[0]
    regular = cosines + resolution(objectives) * tf.eye(objectives, dtype=cosines.dtype)
    shortest = tf.reduce_min(tf.where(lengths > 0.0, lengths, 1.0))
    rates = tf.math.divide_no_nan(shortest, lengths)
    products = tf.linalg.matvec(cosines, center)
    levels = tf.where(lengths > 0.0, tf.math.divide_no_nan(products, rates), products.dtype.max)
    path = _Path(
        tableau=tf.concat([regular, products[:, None], -rates[:, None]], axis=1),
        active=tf.zeros([objectives], tf.bool),
        level=tf.reduce_min(levels),
        going=tf.constant(True),
    )
    some_zero = tf.reduce_any(lengths <= 0.0)
    path = tf.while_loop(
        lambda path: path.going,
        lambda path: (_advanced(path, cosines, radius, some_zero),),
        (path,),
        parallel_iterations=1,
        maximum_iterations=6 * objectives + 6,
    )[0]
    return tf.nn.relu(_point(path))


def _point(path: _Path) -> tf.Tensor:
    start, slope = path.tableau[:, -2], path.tableau[:, -1]
    return tf.where(path.active, start + path.level * slope, 0.0)


def _advanced(path: _Path, cosines, radius, some_zero) -> _Path:
    """Moves to the next piece of the path, or to its end."""
    start, slope = path.tableau[:, -2], path.tableau[:, -1]
    infinity = slope.dtype.max
    falls = slope < -1e-14
    gaps = tf.where(falls, tf.nn.relu(-start / slope - path.level), infinity)
    direction = tf.where(path.active, slope, 0.0)
    turned = tf.linalg.matvec(cosines, direction)
    square = tf.nn.relu(tf.tensordot(direction, turned, 1))
    # A direction that is mostly regularization is none: its gradients cancel, and the level cannot rise above 0. If one
    # of its coefficients falls, though, they only depend on each other, and the pivot at once takes one of them away.
    blind = square <= resolution(slope.shape[0]) * tf.reduce_sum(direction**2)
    canceling = blind & tf.reduce_any(path.active) & ~tf.reduce_any(path.active & falls)
    capped = some_zero | canceling
    end = tf.minimum(
        _distance_to_sphere(_point(path), cosines, turned, square, radius),
        tf.where(capped, tf.nn.relu(-path.level), infinity),
    )
    going = tf.reduce_min(gaps) < end
    pivot = tf.one_hot(tf.argmin(gaps), gaps.shape[0], dtype=gaps.dtype)
    pivot *= tf.cast(going, gaps.dtype)
    step = tf.minimum(tf.reduce_min(gaps), end)
    return _Path(
        tableau=swept(path.tableau, pivot),
        active=tf.math.logical_xor(path.active, pivot > 0.0),
        level=path.level + tf.where(step < infinity, step, 0.0),
        going=going,
    )


def _distance_to_sphere(point, cosines, turned, square, radius) -> tf.Tensor:
    """How far the level may rise until the added vector is as long as the radius."""
    missing = tf.nn.relu(radius**2 - tf.tensordot(point, tf.linalg.matvec(cosines, point), 1))
    half = tf.tensordot(point, turned, 1)
    divisor = half + tf.sqrt(half**2 + square * missing)
    return tf.where(divisor > 0.0, missing / divisor, tf.where(missing > 0.0, square.dtype.max, 0.0))
