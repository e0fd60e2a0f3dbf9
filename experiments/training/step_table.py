"""Keeps what happened in each step of a loop, so that Python, which may see only the loop's end, misses no step."""

from collections.abc import Mapping, Sequence

import tensorflow as tf


class StepTable(tf.Module):
    """A table of the loop's steps: one row per step, one column per quantity.

    It lives on the host, outside any distribution strategy: create it outside a strategy's scope.

    Args:
      capacity: The most steps a loop may have.
      fields: Names of the columns with one number per step; the last is `data_wait_seconds`.
      layer_fields: Names of the columns with a number per layer.
      layers: Names of the layers.
    """

    def __init__(
        self, capacity: int, fields: Sequence[str], layer_fields: Sequence[str] = (), layers: Sequence[str] = ()
    ):
        super().__init__()
        self.fields, self.layer_fields, self.layers = tuple(fields), tuple(layer_fields), tuple(layers)
        self._widths = [1] * len(self.fields) + [len(self.layers)] * len(self.layer_fields)
        with tf.device("CPU:0"):
            self.rows = tf.Variable(tf.zeros([capacity, sum(self._widths)]), trainable=False)
            self.count = tf.Variable(0, trainable=False)

    def append(self, row: Mapping[str, tf.Tensor], data_wait_seconds: tf.Tensor | float) -> None:
        """Adds one step, [] or [layers] float32 per column; call it in cross-replica context."""
        row = {**row, "data_wait_seconds": tf.cast(data_wait_seconds, tf.float32)}
        values = tf.concat([tf.reshape(row[field], [-1]) for field in (*self.fields, *self.layer_fields)], axis=0)
        self.rows.scatter_nd_update([[self.count]], [values])
        self.count.assign_add(1)

    def clear(self) -> None:
        """Forgets all steps."""
        self.count.assign(0)

    def read(self) -> dict[str, tf.Tensor]:
        """Returns each column as float32 [steps], those of the layers as float32 [steps, layers]."""
        columns = tf.split(self.rows[: self.count], self._widths, axis=1)
        scalars = [column[:, 0] for column in columns[: len(self.fields)]]
        return dict(zip((*self.fields, *self.layer_fields), (*scalars, *columns[len(self.fields) :]), strict=True))
