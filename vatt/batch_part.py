"""Parts of a batch that pass through the model one after the other."""

from typing import NamedTuple

import tensorflow as tf


class BatchPart(NamedTuple):
    """One of several equal parts of a batch.

    A part has a run of neighboring clips from each quarter of the batch. Clips a quarter of the batch apart share the random
    words of a dropout, so a part needs no word that another part needs, too: see `vatt.randomness`.

    Attributes:
      index: [] int32, or a number; which part it is.
      count: How many parts the batch has. The clips of a part are a multiple of `RUNS`.
      RUNS: Runs of neighboring clips in a part; as many clips share a random word of a dropout.
    """

    RUNS = 4

    index: tf.Tensor | int
    count: int

    def of(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the part's rows, `[clips / count, ...]`, of `[clips, ...]`, whose shape is static."""
        rows = values.shape[0] // (self.RUNS * self.count)
        runs = tf.reshape(values, [self.RUNS, self.count, rows, *values.shape[1:]])
        return tf.reshape(tf.gather(runs, self.index, axis=1), [self.RUNS * rows, *values.shape[1:]])


def whole_batch(parts: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all parts, `[parts, clips, ...]`, in the order of the batch, `[parts * clips, ...]`."""
    count, clips, *rest = parts.shape
    runs = tf.reshape(parts, [count, BatchPart.RUNS, clips // BatchPart.RUNS, *rest])
    order = [1, 0, *range(2, runs.shape.rank)]
    return tf.reshape(tf.transpose(runs, order), [count * clips, *rest])
