"""Learned positions, one table per axis."""

import tensorflow as tf

from vatt.keras import keras


class AxialPositions(keras.layers.Layer):
    """The sum of one learned vector per axis and bucket (VATT, eq. 1).

    Args:
      width: Size of a token.
      grid: Buckets along each axis, for instance `(8, 14, 14)`.
      normalize: Put a LayerNorm on the sum, as the published code does. The paper has none, nor have we by default:
        positions of unit size drown the tokens of a model that has just begun to learn.
    """

    def __init__(self, width: int, grid: tuple[int, ...], normalize: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.width, self.grid = width, tuple(grid)
        self.layer_norm = keras.layers.LayerNormalization(epsilon=1e-6) if normalize else None

    def build(self, input_shape):
        """Creates the weights."""
        normal = keras.initializers.TruncatedNormal  # one per table: an instance repeats its values
        self.tables = [
            self.add_weight(f"axis_{axis}", (buckets, self.width), initializer=normal(stddev=self.width**-0.5))
            for axis, buckets in enumerate(self.grid)
        ]

    def call(self, _=None) -> tf.Tensor:
        """Returns `[positions, width]`, the first axis slowest."""
        total = tf.zeros([1] * len(self.grid) + [self.width], self.compute_dtype)
        for axis, table in enumerate(self.tables):
            shape = [1] * len(self.grid) + [self.width]
            shape[axis] = self.grid[axis]
            total += tf.reshape(tf.cast(table, self.compute_dtype), shape)
        positions = tf.reshape(total, [-1, self.width])
        return positions if self.layer_norm is None else self.layer_norm(positions)
