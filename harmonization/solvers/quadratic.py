"""Small quadratic programs with nonnegative unknowns, solved exactly and in the graph.

An active-set method in the manner of Lawson and Hanson (1974, "Solving Least Squares Problems",
chapter 23), with one principal pivot ("sweep") of a tableau per trip of a `tf.while_loop`: no
factorization, no solver library, a graph of a few dozen small operations whatever the size, and the
same under XLA. The objective falls in every trip, so the method ends; a bound on the trips is there
for rounding only.
"""

from typing import NamedTuple

import tensorflow as tf

from harmonization.solvers.normalized import resolution

TOLERANCE = 1e-10
"""A gradient of the objective above minus this counts as not negative."""


class _Search(NamedTuple):
    """State of the search; leading axis: problems.

    `tableau` maps the values of the nonbasic quantities, all zero, to those of the basic ones. The
    unknowns that are free to move are basic; of the others, the derivatives are.
    """

    tableau: tf.Tensor  # [problems, unknowns, unknowns + 1]
    free: tf.Tensor  # [problems, unknowns] bool
    point: tf.Tensor  # [problems, unknowns], feasible
    going: tf.Tensor  # [problems] bool


def nonnegative_minimum(matrix: tf.Tensor, linear: tf.Tensor) -> tf.Tensor:
    """The z >= 0 that minimizes z . matrix z / 2 + linear . z, for several `linear` at once.

    The matrix is known to float32's resolution only, so that this much is added to its diagonal
    while the method looks for the unknowns that are positive. It makes the solution unique (of
    several, about the shortest) and is corrected for, to first order, at the end.

    Args:
      matrix: [unknowns, unknowns] float64, symmetric, positive semidefinite up to `resolution`, with
        ones or zeros on the diagonal.
      linear: [problems, unknowns] float64, about 1 at most.

    Returns:
      [problems, unknowns] float64.
    """
    problems, unknowns = linear.shape
    shift = resolution(unknowns)
    regular = matrix + shift * tf.eye(unknowns, dtype=matrix.dtype)
    regular = tf.tile(regular[None], [problems, 1, 1])
    search = _Search(
        tableau=tf.concat([regular, linear[..., None]], axis=-1),
        free=tf.zeros(linear.shape, tf.bool),
        point=tf.zeros_like(linear),
        going=tf.ones([problems], tf.bool),
    )
    search = tf.while_loop(
        lambda search: tf.reduce_any(search.going),
        lambda search: (_advanced(search),),
        (search,),
        parallel_iterations=1,
        maximum_iterations=6 * unknowns + 6,
    )[0]
    return tf.nn.relu(search.point + _correction(search, shift))


def _correction(search: _Search, shift: float) -> tf.Tensor:
    """What the shift of the diagonal withheld, to first order, as far as it leaves z >= 0."""
    inverse = search.tableau[..., :-1]  # in the rows and columns of the free unknowns
    change = tf.where(search.free, shift * tf.linalg.matvec(inverse, search.point), 0.0)
    room = tf.where(change < 0.0, -search.point / change, 1.0)
    return change * tf.minimum(tf.reduce_min(room, axis=-1, keepdims=True), 1.0)


def swept(tableau: tf.Tensor, pivot: tf.Tensor) -> tf.Tensor:
    """Exchanges a basic and a nonbasic quantity of the same index.

    Args:
      tableau: [..., n, n + constants] float64.
      pivot: [..., n] float64, one-hot, or zeros to leave the tableau as it is.
    """
    size = pivot.shape[-1]
    row = tf.linalg.matvec(tableau, pivot, transpose_a=True)
    column = tf.linalg.matvec(tableau[..., :size], pivot)
    corner = tf.reduce_sum(column * pivot, axis=-1)[..., None, None]
    nothing = tf.zeros_like(row[..., size:])
    column, row = column + pivot, row - tf.concat([pivot, nothing], axis=-1)
    return tableau - tf.math.divide_no_nan(column[..., :, None] * row[..., None, :], corner)


def _advanced(search: _Search) -> _Search:
    """Moves to the minimum over the free unknowns, or until one of them hits zero.

    That one is free no longer; if there is none, the unknown with the most negative derivative
    becomes free.
    """
    unknowns = search.free.shape[-1]
    values = search.tableau[..., -1]
    falling = search.free & (values < -TOLERANCE)
    fraction = tf.where(falling, search.point / (search.point - values), 1.0)
    length = tf.reduce_min(fraction, axis=-1, keepdims=True)
    target = tf.where(search.free, values, 0.0)
    blocked = tf.reduce_any(falling, axis=-1)
    leaving = tf.where(falling, fraction, 2.0)
    entering = tf.where(search.free, tf.zeros_like(values), values)
    scores = tf.where(blocked[:, None], leaving, entering)
    going = blocked | (tf.reduce_min(entering, axis=-1) < -TOLERANCE)
    pivot = tf.one_hot(tf.argmin(scores, axis=-1), unknowns, dtype=values.dtype)
    pivot *= tf.cast(going, values.dtype)[:, None]
    return _Search(
        tableau=swept(search.tableau, pivot),
        free=tf.math.logical_xor(search.free, pivot > 0.0),
        point=(search.point + length * (target - search.point)) * (1.0 - pivot),
        going=going,
    )
