"""The input pipelines: shuffled clips without end to train on, clips in order to evaluate."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from data.augmentation import Augmentation
from data.clips import Clip, ClipReader
from data.dataset import PreparedDataset
from data.errors import DataError
from data.order import ClipOrder, clip_order
from data.spec import ClipSpec

Tokenizer = Callable[[tf.Tensor], tf.Tensor]
_TRAINING_SPLIT = "train"


def train_batches(
    prepared: PreparedDataset | Sequence[PreparedDataset],
    spec: ClipSpec,
    tokenizer: Tokenizer | None = None,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    shuffle_window: int = 1024,
    augmentation: Augmentation = Augmentation(),  # noqa: B008 (frozen)
    video: bool = True,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Builds the training batches from a step on.

    Step k's batch is the same, bit for bit, whatever `start_step` the pipeline began with; starting
    late costs at most the reading of one shuffle window. Batches run on over the borders of
    windows and epochs: nothing is dropped, and every epoch holds every clip once.

    Args:
      prepared: The data set; its split `train` is used. Of several sets, clips are taken in turn,
        one of each, as VATT mixes its sets in equal shares; a small set starts its next epoch sooner.
      spec: What a clip is.
      tokenizer: Strings [...] to int32 [..., words]; None for batches without captions.
      batch_size: Clips per step over all replicas of all hosts.
      seed: Seed of the order and of every random change.
      start_step: Steps already trained.
      shuffle_window: Clips that are shuffled together, roughly (see `data.order`). Two windows of
        records are kept in memory.
      augmentation: Ranges of the random changes.
      video: Whether the batches have `video`. False decodes no frame, for whoever needs sound only;
        all else stays the same. A set of sounds, whose records have no frames, needs it.
      input_context: Given by `tf.distribute`; see `distributed_train_batches`.

    Returns:
      Infinite data set of dicts: `video` [batch, frames, size, size, 3] and `waveform`
      [batch, samples], float32 in [-1, 1]; `text` [batch, candidates, words] int32, 0 = padding;
      `has_audio`, `has_text` [batch] bool; `label` [batch] int32, -1 where there is none. Without
      a tokenizer there is no `text` and no `has_text`. Of a multi-label set alone there is
      `labels` [batch, classes] float32, 1 for the clip's classes; several sets share no classes.
      `batch` is `batch_size`, or with an `input_context` the share of one replica.

    Raises:
      DataError: The rates do not fit, the split is empty, the records have no frames for `video`,
        or a number is out of range.
    """
    _require_whole("batch_size", batch_size, least=1)
    _require_whole("start_step", start_step, least=0)
    _require_whole("shuffle_window", shuffle_window, least=1)
    _require_whole("seed", seed, least=0)
    context = input_context or tf.distribute.InputContext()
    replica_batch = _replica_batch_size(batch_size, context)
    sets = [prepared] if isinstance(prepared, PreparedDataset) else list(prepared)
    start = start_step * (batch_size // context.num_input_pipelines)
    streams = []
    for turn, one_set in enumerate(sets):
        one_set.require_split(_TRAINING_SPLIT)
        reader = ClipReader(one_set, spec, tokenizer, video, labels=len(sets) == 1)
        order = _training_order(one_set, context, seed, shuffle_window)

        def transform(position: tf.Tensor, record: tf.Tensor, reader=reader, turn=turn) -> Clip:
            place = position * len(sets) + turn  # among the clips of all sets
            return reader.training_clip(record, augmentation, seed, context.input_pipeline_id, place)

        records = order.records(-((turn - start) // len(sets)))
        streams.append(records.map(transform, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True))
    clips = _in_turn(streams, start)
    return _finish(clips.batch(replica_batch, drop_remainder=True))


def _in_turn(streams: list[tf.data.Dataset], start: int) -> tf.data.Dataset:
    if len(streams) == 1:
        return streams[0]
    turns = tf.data.Dataset.range(start, tf.int64.max).map(lambda place: place % len(streams))
    return tf.data.Dataset.choose_from_datasets(streams, turns)


def distributed_train_batches(
    strategy: tf.distribute.Strategy,
    prepared: PreparedDataset | Sequence[PreparedDataset],
    spec: ClipSpec,
    tokenizer: Tokenizer | None = None,
    **options: Any,
) -> tf.distribute.DistributedDataset:
    """Spreads `train_batches` over the replicas of a strategy.

    Each host reads its own files. On one host the replicas' batches, joined in replica order, are
    the batch that one replica alone would get; hence `distribute_datasets_from_function`, which
    deals consecutive batches to a host's replicas and leaves the data set as it is.

    Args:
      strategy: Any of `tf.distribute`.
      prepared: The data set or sets; the split `train` is used.
      spec: What a clip is.
      tokenizer: Strings [...] to int32 [..., words]; None for batches without captions.
      **options: The keyword arguments of `train_batches`; `batch_size` counts all replicas.

    Raises:
      DataError: As `train_batches`, or the replicas do not divide `batch_size`.
    """
    return strategy.distribute_datasets_from_function(
        lambda context: train_batches(prepared, spec, tokenizer, input_context=context, **options)
    )


def eval_batches(
    prepared: PreparedDataset,
    split: str,
    spec: ClipSpec,
    tokenizer: Tokenizer | None = None,
    *,
    batch_size: int,
    windows: int = 1,
    crops: int = 1,
    video: bool = True,
) -> tf.data.Dataset:
    """Builds the batches of a split in the order of its records, without any randomness.

    Args:
      prepared: The data set.
      split: `train`, `validation` or `test`, or another that the set has, such as `test2`.
      spec: What a clip is.
      tokenizer: Strings [...] to int32 [..., words]; None for batches without captions.
      batch_size: Clips per batch; the last batch holds what is left.
      windows: Windows per record, evenly spaced; 1 is the middle one.
      crops: Square crops of each window's frames, evenly spaced along the longer side; 1 is the
        one in the center. VATT takes 4 windows x 3 crops (arXiv 2104.11178, appendix A.2.5).
      video: As for `train_batches`.

    Returns:
      Finite data set of the dicts of `train_batches` and `clip_id` [batch] string,
      `text_aligned`, `audio_aligned` [batch] int32. With more than one window or crop, `video` is
      [batch, windows * crops, frames, size, size, 3], the crops of a window one after the other;
      with more than one window, `waveform` is [batch, windows, samples]. `text` is
      [batch, candidates, words] as always, the captions nearest to the middle of the record.

    Raises:
      DataError: The rates do not fit, the split is empty, the records have no frames for `video`,
        or a number is out of range.
    """
    _require_whole("batch_size", batch_size, least=1)
    _require_whole("windows", windows, least=1)
    _require_whole("crops", crops, least=1)
    prepared.require_split(split)
    reader = ClipReader(prepared, spec, tokenizer, video)
    records = tf.data.TFRecordDataset(list(prepared.shard_paths[split]))
    clips = records.map(
        lambda record: reader.evaluation_clip(record, windows, crops),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return _finish(clips.batch(batch_size))


def _training_order(
    prepared: PreparedDataset, context: tf.distribute.InputContext, seed: int, shuffle_window: int
) -> ClipOrder:
    return clip_order(
        prepared.shard_paths[_TRAINING_SPLIT],
        prepared.shard_lengths[_TRAINING_SPLIT],
        seed=seed,
        shuffle_window=shuffle_window,
        pipelines=context.num_input_pipelines,
        pipeline=context.input_pipeline_id,
    )


def _replica_batch_size(batch_size: int, context: tf.distribute.InputContext) -> int:
    try:
        return context.get_per_replica_batch_size(batch_size)
    except ValueError as error:
        raise DataError(
            f"batch_size = {batch_size} cannot be shared out evenly among "
            f"{context.num_replicas_in_sync} replicas; make it a multiple of that number."
        ) from error


def _finish(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # The files have been shared out among the hosts already (see `data.order.clip_order`).
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)


def _require_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise DataError(f"{name} must be a whole number >= {least}, but is {value!r}.")
