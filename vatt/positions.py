"""Learned positions, one table per axis."""

import numpy as np
import tensorflow as tf

from vatt.keras import keras
from vatt.layers.norms import LayerNormalization


class AxialPositions(keras.layers.Layer):
    """The sum of one learned vector per axis and bucket (VATT, eq. 1).

    Inputs of another length or resolution than the tables' get tables that are stretched on the way; the tables keep
    their size, and learn through the stretching.

    Args:
      width: Size of a token.
      grid: Buckets along each axis, for instance `(8, 14, 14)`.
      normalize: Put a LayerNorm on the sum, as the published code does. The paper has none, nor does this toolbox by default:
        positions of unit size drown the tokens of a model that has just begun to learn.
      from_edges: See `stretch_matrix`.
      transposed: Give token (i, j), the first axis slowest, the position of the other order, as the published code does
        to spectrograms; it looks like a mistake there, and is not our default.
    """

    def __init__(
        self,
        width: int,
        grid: tuple[int, ...],
        normalize: bool = False,
        from_edges: bool = False,
        transposed: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width, self.grid = width, tuple(grid)
        self.from_edges, self.transposed = from_edges, transposed
        self.layer_norm = LayerNormalization() if normalize else None

    def build(self, input_shape):
        """Creates the weights."""
        normal = keras.initializers.TruncatedNormal  # one per table: an instance repeats its values
        self.tables = [
            self.add_weight(f"axis_{axis}", (buckets, self.width), initializer=normal(stddev=self.width**-0.5))
            for axis, buckets in enumerate(self.grid)
        ]

    def call(self, pieces: tf.Tensor, grid: tuple[int, ...]) -> tf.Tensor:
        """Returns `[positions, width]`, the first axis slowest, for `pieces` with so many along each axis as `grid` says."""
        total = tf.zeros([1] * len(grid) + [self.width], self.compute_dtype)
        for axis, table in enumerate(self.tables):
            shape = [1] * len(grid) + [self.width]
            shape[axis] = grid[axis]
            total += tf.reshape(self._stretched(table, grid[axis]), shape)
        if self.transposed:
            total = tf.transpose(total, [*reversed(range(len(grid))), len(grid)])
        positions = tf.reshape(total, [-1, self.width])
        return positions if self.layer_norm is None else self.layer_norm(positions)

    def _stretched(self, table, buckets):
        if buckets != table.shape[0]:
            matrix = tf.constant(stretch_matrix(table.shape[0], buckets, self.from_edges), tf.float32)
            table = tf.matmul(matrix, tf.cast(table, tf.float32))
        return tf.cast(table, self.compute_dtype)


def stretch_matrix(entries: int, buckets: int, from_edges: bool = False) -> np.ndarray:
    """Returns what turns a table of `entries` rows into one of `buckets`: float64 [buckets, entries].

    The natural cubic spline through the entries (VATT, A.2.5: "bi-cubic interpolation"), straight outside of them: in one
    dimension that is the polyharmonic spline of order 3, which the published code uses. There the system is solved in
    float32, whose rounding moves its results by up to 2e-3 of a table with unit variance; we solve it in float64.

    Args:
      entries: Rows of the table.
      buckets: Rows wanted.
      from_edges: Align the left edges of the patches, i / entries with j / buckets, as the published code does. By default
        their centers are aligned, which is where a patch is.
    """
    if entries == 1:
        return np.ones([buckets, 1])
    shift = 0.0 if from_edges else 0.5
    known, wanted = (np.arange(entries) + shift) / entries, (np.arange(buckets) + shift) / buckets

    def line(places):
        return np.stack([places, np.ones_like(places)], axis=1)

    def cubes(places):
        return np.abs(places[:, None] - known) ** 3

    system = np.block([[cubes(known), line(known)], [line(known).T, np.zeros([2, 2])]])
    right_side = np.concatenate([np.eye(entries), np.zeros([2, entries])])
    return np.concatenate([cubes(wanted), line(wanted)], axis=1) @ np.linalg.solve(system, right_side)
