"""The order of the training clips: a pure function of (seed, pipeline, position).

An input iterator cannot be saved under `tf.distribute`, so nothing here needs saving: the files and
the shuffle of any position in any epoch can be computed, and a restart reads at most one shuffle
window that it does not use. The scheme (our choice): each epoch permutes the shard files;
neighbors in that order form windows; the records of a window are read together and permuted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from data.errors import DataError
from data.pipeline.seeds import SHARD_ORDER, WINDOW_ORDER, derive_key

_MAXIMUM_PARALLEL_READS = 16

WRONG_LENGTHS = (
    "The record files do not hold as many records as their dataset_info.json says. Prepare the data set again; "
    "python -m experiments.check_data names the files."
)
"""What the errors of `ClipOrder.records` and `in_order` say."""


@dataclasses.dataclass(frozen=True)
class ClipOrder:
    """Shuffled order of one input pipeline's clips, without end.

    Attributes:
      paths: TFRecord files of this pipeline.
      lengths: Records in each of them.
      shards_per_window: Files whose records are shuffled together.
      seed: Seed of the run.
      pipeline: Index of this input pipeline among those of the run; 0 for all that share their files.
      sharing: How many pipelines take turns at the clips of these files.
      turn: Which of them this one is.
    """

    paths: tuple[str, ...]
    lengths: tuple[int, ...]
    shards_per_window: int
    seed: int
    pipeline: int = 0
    sharing: int = 1
    turn: int = 0

    @property
    def clips_per_epoch(self) -> int:
        """Records in all files, those of the pipelines that share them included."""
        return sum(self.lengths)

    @property
    def windows_per_epoch(self) -> int:
        """Shuffle windows in an epoch; the last one may hold fewer files than the others."""
        return -(-len(self.paths) // self.shards_per_window)

    def epoch_shards(self, epoch: int | tf.Tensor) -> tf.Tensor:
        """Returns the order (int64 [files]) in which an epoch goes through the files."""
        key = derive_key(self.seed, self.pipeline, SHARD_ORDER, epoch)
        shards = tf.range(len(self.paths), dtype=tf.int64)
        return tf.random.experimental.stateless_shuffle(shards, seed=key)

    def locate(self, position: int) -> tuple[int, int]:
        """Finds a position from the lengths of the files alone.

        Args:
          position: Clips that this pipeline has already given out since step 0.

        Returns:
          The window (counted from step 0) that holds the next clip, and the clip's index in it.
        """
        epoch, remaining = divmod(position * self.sharing + self.turn, self.clips_per_epoch)
        with tf.device("CPU:0"):  # Where tf.data draws the same numbers.
            shards = self.epoch_shards(epoch).numpy()
        lengths = np.asarray(self.lengths)[shards]
        first_shards = np.arange(0, len(shards), self.shards_per_window)
        window_ends = np.cumsum(np.add.reduceat(lengths, first_shards))
        window = int(np.searchsorted(window_ends, remaining, side="right"))
        skipped = remaining - (int(window_ends[window - 1]) if window else 0)
        return epoch * self.windows_per_epoch + window, skipped

    def records(self, start_position: int = 0) -> tf.data.Dataset:
        """Reads the clips from a position on, without end.

        Args:
          start_position: Clips that this pipeline has already given out.

        Returns:
          Dataset of (position int64 scalar, serialized record). Every position's record is the same
          whatever `start_position`; each run of `clips_per_epoch` positions that starts at a
          multiple of it, counted over the pipelines that share the files, holds every clip once.
          Reading a file whose number of records is not that of `lengths` raises
          `tf.errors.InvalidArgumentError`.
        """
        window, skipped = self.locate(start_position)
        windows = tf.data.Dataset.range(window, tf.int64.max)
        # The next window is read while this one is being used: two windows of encoded records
        # are in memory.
        records = windows.flat_map(self._read_window).prefetch(1).unbatch()
        return records.skip(skipped).shard(self.sharing, 0).enumerate(start=start_position)

    def upcoming_windows(self, position: int) -> Iterator[list[str]]:
        """Yields the files of each window from that of a position on, to the end of the next epoch."""
        window, _ = self.locate(position)
        for number in range(window, (window // self.windows_per_epoch + 2) * self.windows_per_epoch):
            with tf.device("CPU:0"):
                shards = self._window_shards(number).numpy()
            yield [self.paths[shard] for shard in shards]

    def _window_shards(self, window: int | tf.Tensor) -> tf.Tensor:
        epoch, within = window // self.windows_per_epoch, window % self.windows_per_epoch
        start = within * self.shards_per_window
        return self.epoch_shards(epoch)[start : start + self.shards_per_window]

    def _read_window(self, window: tf.Tensor) -> tf.data.Dataset:
        shards = self._window_shards(window)
        paths = tf.gather(tf.constant(self.paths), shards)
        expected = tf.reduce_sum(tf.gather(tf.constant(self.lengths, tf.int64), shards))
        key = derive_key(self.seed, self.pipeline, WINDOW_ORDER, window)

        def shuffle(records_and_end: tf.Tensor) -> tf.Tensor:
            records = records_and_end[:-1]
            with tf.control_dependencies([_check_length(records, expected, paths)]):
                return tf.random.experimental.stateless_shuffle(records, seed=key)

        reads = min(self.shards_per_window, _MAXIMUM_PARALLEL_READS)
        records = tf.data.TFRecordDataset(paths, num_parallel_reads=reads)
        # Files without a record would give no batch, and be read again without end.
        with_end = records.concatenate(tf.data.Dataset.from_tensors(""))
        # One record more than expected, so that a file that is too long is noticed as well.
        return with_end.batch(expected + 2).map(shuffle)


def _check_length(records: tf.Tensor, expected: tf.Tensor, paths: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(
        tf.size(records, tf.int64) == expected,
        [WRONG_LENGTHS, "Expected", expected, ", read", tf.size(records), "from", paths],
        summarize=8,
    )


def in_order(paths: Sequence[str], lengths: Sequence[int]) -> tf.data.Dataset:
    """Reads files one after the other.

    Args:
      paths: TFRecord files.
      lengths: Records in each of them. Reading a file with another number of records raises
        `tf.errors.InvalidArgumentError`.

    Returns:
      Dataset of serialized records.
    """
    files = tf.data.Dataset.from_tensor_slices((list(paths), tf.constant(lengths, tf.int64)))
    return files.flat_map(_counted)


def _counted(path: tf.Tensor, expected: tf.Tensor) -> tf.data.Dataset:
    def count(read: tf.Tensor, item: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        record, ends = item
        fits = tf.where(ends, read == expected, read < expected)
        check = tf.debugging.Assert(fits, [WRONG_LENGTHS, "Expected", expected, "in", path])
        with tf.control_dependencies([check]):
            return read + 1, (tf.identity(record), ends)

    records = tf.data.TFRecordDataset(path).map(lambda record: (record, False))
    with_end = records.concatenate(tf.data.Dataset.from_tensors(("", True)))
    counted = with_end.scan(tf.constant(0, tf.int64), count)
    return counted.filter(lambda _, ends: tf.logical_not(ends)).map(lambda record, _: record)


def clip_order(
    paths: tuple[str, ...],
    lengths: tuple[int, ...],
    *,
    seed: int,
    shuffle_window: int,
    pipelines: int = 1,
    pipeline: int = 0,
) -> ClipOrder:
    """Assigns files to an input pipeline and sizes its shuffle windows.

    Where there are fewer files than pipelines, all pipelines read all files, and take turns at their clips.

    Args:
      paths: All TFRecord files of the split.
      lengths: Records in each of them; files without records are skipped.
      seed: Seed of the run.
      shuffle_window: Clips to shuffle together, roughly: a window is a fixed number of whole files,
        at least one.
      pipelines: Input pipelines of the run, one per host.
      pipeline: Index of this one. It takes the files pipeline, pipeline + pipelines, ...

    Raises:
      DataError: No file has records.
    """
    shards = [(path, length) for path, length in zip(paths, lengths, strict=True) if length]
    if not shards:
        raise DataError("The record files to train on should hold records. Found none. Prepare the data set again.")
    shared = len(shards) < pipelines
    own_paths, own_lengths = zip(*(shards if shared else shards[pipeline::pipelines]), strict=True)
    mean_length = sum(own_lengths) / len(own_lengths)
    return ClipOrder(
        paths=own_paths,
        lengths=own_lengths,
        shards_per_window=min(max(1, round(shuffle_window / mean_length)), len(own_paths)),
        seed=seed,
        pipeline=0 if shared else pipeline,
        sharing=pipelines if shared else 1,
        turn=pipeline if shared else 0,
    )
