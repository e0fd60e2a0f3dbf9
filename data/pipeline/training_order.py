"""The order in which one input pipeline gives out the records of its sets."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import tensorflow as tf

from data.errors import DataError
from data.pipeline.mixture import Mixture, mixture
from data.pipeline.order import ClipOrder, clip_order
from data.records.prepared_dataset import PreparedDataset

TRAINING_SPLIT = "train"


@dataclasses.dataclass(frozen=True)
class TrainingOrder:
    """Order of the records of a set or of a mixture, without end.

    Attributes:
      sets: The order within each set.
      mixture: Which set's turn it is.
    """

    sets: tuple[ClipOrder, ...]
    mixture: Mixture

    def records(self, place: int) -> tf.data.Dataset:
        """Reads the records from a place on, without end.

        Args:
          place: Records that this pipeline has already given out.

        Returns:
          Dataset of (place int64, index of the set int64, serialized record). What is at a place is
          the same wherever the reading began.
        """
        streams = [
            order.records(count).map(lambda _, record: record)
            for order, count in zip(self.sets, self.mixture.counts(place), strict=True)
        ]
        turns = self.mixture.turns(place)
        mixed = streams[0] if len(streams) == 1 else tf.data.Dataset.choose_from_datasets(streams, turns)
        return tf.data.Dataset.zip((tf.data.Dataset.range(place, tf.int64.max), turns, mixed))

    def upcoming_files(self, place: int) -> Iterator[str]:
        """Yields the files in the order of reading from a place on, more or less.

        It ends when every file has been named at least once.
        """
        counts = self.mixture.counts(place)
        streams = (order.upcoming_windows(count) for order, count in zip(self.sets, counts, strict=True))
        for windows in itertools.zip_longest(*streams, fillvalue=()):
            yield from itertools.chain(*windows)


def training_order(
    prepared: Sequence[PreparedDataset],
    context: tf.distribute.InputContext,
    *,
    batch_size: int,
    seed: int,
    shuffle_window: int,
    weights: Sequence[float] | None = None,
) -> TrainingOrder:
    """Gives an input pipeline its share of the training records; see `data.train_batches`.

    Raises:
      DataError: A set has no training clips, or the weights do not fit.
    """
    weights = [1] * len(prepared) if weights is None else list(weights)
    if len(weights) != len(prepared):
        raise DataError(
            f"A mixture should have one weight for each of its sets, "
            f"{', '.join(one_set.name for one_set in prepared)}. Found {len(weights)}."
        )
    pipelines, pipeline = context.num_input_pipelines, context.input_pipeline_id
    for one_set in prepared:
        one_set.require_split(TRAINING_SPLIT)
    orders = [
        clip_order(
            one_set.shard_paths[TRAINING_SPLIT],
            one_set.shard_lengths[TRAINING_SPLIT],
            seed=seed,
            shuffle_window=shuffle_window,
            pipelines=pipelines,
            pipeline=pipeline,
        )
        for one_set in prepared
    ]
    return TrainingOrder(tuple(orders), mixture(weights, batch_size, pipelines, pipeline))
