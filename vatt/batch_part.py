"""Parts of a batch that pass through the model one after the other."""

from typing import NamedTuple

import tensorflow as tf


class BatchPart(NamedTuple):
    """One of several equal parts of a batch, each a run of neighboring clips.

    Attributes:
      index: [] int32, or a number; which part it is.
      count: How many parts the batch has. The clips of a part are a multiple of `CLIPS_PER_WORD`.
      CLIPS_PER_WORD: As many neighboring clips share the random words of a dropout, so that no part needs a word that another
        part needs, too: see `vatt.randomness`.
    """

    CLIPS_PER_WORD = 4

    index: tf.Tensor | int
    count: int

    def of(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the part's rows, `[clips / count, ...]`, of `[clips, ...]`, whose shape is static."""
        clips, *rest = values.shape
        rows = clips // self.count
        return tf.slice(values, [self.index * rows, *[0] * len(rest)], [rows, *rest])
