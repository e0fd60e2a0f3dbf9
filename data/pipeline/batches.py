"""The input pipelines: shuffled clips without end to train on, clips in order to evaluate."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from data.errors import DataError
from data.pipeline.augmentation import Augmentation
from data.pipeline.clips import Clip, ClipReader
from data.pipeline.finishing import AUGMENT_ON, frame_canvas
from data.pipeline.mixture import mixture
from data.pipeline.options import input_options
from data.pipeline.order import in_order
from data.pipeline.pair_weights import PairWeights, lookups
from data.pipeline.service import DataService
from data.pipeline.spec import ClipSpec
from data.pipeline.training_order import training_order
from data.records.prepared_dataset import PreparedDataset

Tokenizer = Callable[[tf.Tensor], tf.Tensor]

# AutoGraph would find nothing to convert, and take longer than all else of building a pipeline.
_as_it_is = tf.autograph.experimental.do_not_convert


def train_batches(
    prepared: PreparedDataset | Sequence[PreparedDataset],
    spec: ClipSpec,
    tokenizer: Tokenizer | None = None,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    shuffle_window: int = 1024,
    weights: Sequence[float] | None = None,
    augmentation: Augmentation = Augmentation(),  # noqa: B008 (frozen)
    video: bool = True,
    augment_on: str = "host",
    only_aligned: bool = False,
    pair_weights: Sequence[PairWeights | None] | None = None,
    clip_slots: int = 0,
    input_context: tf.distribute.InputContext | None = None,
    data_service: DataService | None = None,
) -> tf.data.Dataset:
    """Builds the training batches from a step on.

    Step k's batch is the same, bit for bit, whatever `start_step` the pipeline began with; starting
    late costs at most the reading of one shuffle window. Batches run on over the borders of
    windows and epochs: nothing is dropped, and every epoch holds every clip once.

    Args:
      prepared: The data set; its split `train` is used. Several sets are mixed clip by clip, spread
        evenly (see `data.pipeline.mixture`); a small set starts its next epoch sooner.
      spec: What a clip is.
      tokenizer: Strings [...] to int32 [..., words]; None for batches without captions.
      batch_size: Clips per step over all replicas of all hosts.
      seed: Seed of the order and of every random change.
      start_step: Steps already trained.
      shuffle_window: Clips that are shuffled together, roughly (see `data.pipeline.order`). Two windows of
        records are kept in memory, of each set.
      weights: Shares of the sets, of which only the ratio matters; None for equal shares, as VATT
        mixes its sets: clips are then taken in turn.
      augmentation: Ranges of the random changes.
      video: Whether the batches have `video`. False decodes no frame, for programs that need only audio;
        the rest stays the same. An audio data set, whose records have no frames, needs it.
      augment_on: "host" crops, resizes, mirrors and colors the frames here, and adds noise to the sound; "device" leaves all but
        the crop to `finish_clips` in the training step, which is sent bytes instead of floats. Draws and pixels are the same;
        the noise is, too, except on TPUs (see `data.pipeline.noise`).
      only_aligned: Treats narrations and sounds that the records say are of another scene (`text_aligned`,
        `audio_aligned` 0) as missing; order, frames and every random change stay the same. What a method that finds
        misaligned clips could gain at most.
      pair_weights: For each set, what its clips' text and sound weigh, or None; it needs a tokenizer. What weighs 0 is
        taken from its clip: `has_text` or `has_audio` is False.
      clip_slots: Rows of a table about the clips; above 0 there is `clip_slot`, each clip's row, which is a hash of the names
        of its set and of the clip.
      input_context: Given by `tf.distribute`; see `distributed_train_batches`.
      data_service: Workers that make the batches; None for this process. The batches are the same,
        bit for bit. They can be iterated over once.

    Returns:
      Infinite data set of dicts: `video` [batch, frames, size, size, 3] and `waveform`
      [batch, samples], float32 in [-1, 1]; `text` [batch, candidates, words] int32, 0 = padding;
      `has_audio`, `has_text` [batch] bool; `label` [batch] int32, -1 where there is none. Without
      a tokenizer there is no `text` and no `has_text`. Of a multi-label set alone there is
      `labels` [batch, classes] float32, 1 for the clip's classes; several sets share no classes.
      With `pair_weights` there are `text_weight` and `audio_weight` [batch] float32, with `clip_slots` there is
      `clip_slot` [batch] int32.
      Of several sets there is `source` [batch] int32, the index of the set that each clip is of.
      With `augment_on="device"`, `video` is uint8 [batch, frames, height, width, 3], of a size that holds the frames of
      the sets, and there are `video_box` [batch, 4] int32, `video_flip` [batch] bool and, if colors are changed at all,
      `video_colors` [batch, 4] float32 (see `data.pipeline.finishing`). If waveforms get noise, there are `noise_key` [batch]
      int64 and `noise_deviation` [batch] float32 (see `data.pipeline.noise`).
      `batch` is `batch_size`, or with an `input_context` the share of one replica.

    Raises:
      DataError: The rates do not fit, the split is empty, the records have no frames for `video`,
        or a number is out of range.
    """
    _require_whole("batch_size", batch_size, least=1)
    _require_whole("start_step", start_step, least=0)
    _require_whole("shuffle_window", shuffle_window, least=1)
    _require_whole("seed", seed, least=0)
    _require_whole("clip_slots", clip_slots, least=0)
    if augment_on not in AUGMENT_ON:
        raise DataError(f"augment_on should be one of {', '.join(AUGMENT_ON)}. Found {augment_on!r}.")
    context = input_context or tf.distribute.InputContext()
    replica_batch = _replica_batch_size(batch_size, context)
    sets = [prepared] if isinstance(prepared, PreparedDataset) else list(prepared)
    order = training_order(
        sets, context, batch_size=batch_size, seed=seed, shuffle_window=shuffle_window, weights=weights
    )
    frames = dict(video=video, canvas=frame_canvas(sets, spec) if video else None, finish=augment_on == "host")
    options = dict(labels=len(sets) == 1, only_aligned=only_aligned, clip_slots=clip_slots, **frames)
    readers = [
        ClipReader(one_set, spec, tokenizer, pair_weights=lookup, **options)
        for one_set, lookup in zip(sets, lookups(pair_weights, len(sets)), strict=True)
    ]

    @_as_it_is
    def transform(place: tf.Tensor, source: tf.Tensor, record: tf.Tensor) -> Clip:
        def clip_of(reader: ClipReader) -> Clip:
            return reader.training_clip(record, augmentation, seed, context.input_pipeline_id, place)

        if len(readers) == 1:
            return clip_of(readers[0])
        source = tf.cast(source, tf.int32)
        clip = tf.switch_case(source, [functools.partial(clip_of, reader) for reader in readers])
        return {**clip, "source": source}

    def batches(records: tf.data.Dataset) -> tf.data.Dataset:
        clips = records.map(transform, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return clips.batch(replica_batch, drop_remainder=True)

    start = start_step * (batch_size // context.num_input_pipelines)
    records = order.records(start)
    if data_service is None:
        return _finish(batches(records))
    return _finish(data_service.in_order(records, batches, replica_batch, first=start // replica_batch))


def training_files(
    prepared: Sequence[PreparedDataset],
    *,
    batch_size: int,
    seed: int,
    step: int,
    shuffle_window: int = 1024,
    weights: Sequence[float] | None = None,
    input_context: tf.distribute.InputContext | None = None,
) -> Iterator[str]:
    """Yields the files that `train_batches` reads from a step on, more or less in that order, each at least once."""
    context = input_context or tf.distribute.InputContext()
    order = training_order(
        prepared, context, batch_size=batch_size, seed=seed, shuffle_window=shuffle_window, weights=weights
    )
    return order.upcoming_files(step * (batch_size // context.num_input_pipelines))


def mixed_clips(names: Sequence[str], clips: int, weights: Sequence[float] | None = None) -> dict[str, int]:
    """Returns how many of a run's first clips are of each set of a mixture; see `train_batches`."""
    whole = mixture(weights or [1] * len(names), batch_size=1)
    return dict(zip(names, whole.counts(clips), strict=True))


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
      batch_size: Clips per batch; the last batch holds the remainder.
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
    records = in_order(prepared.shard_paths[split], prepared.shard_lengths[split])
    clips = records.map(
        _as_it_is(lambda record: reader.evaluation_clip(record, windows, crops)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return _finish(clips.batch(batch_size))


def _replica_batch_size(batch_size: int, context: tf.distribute.InputContext) -> int:
    try:
        return context.get_per_replica_batch_size(batch_size)
    except ValueError as error:
        raise DataError(
            f"batch_size should be a multiple of the number of replicas, {context.num_replicas_in_sync}. Found {batch_size}."
        ) from error


def _finish(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = input_options()
    # The files have been shared out among the hosts already (see `data.pipeline.order.clip_order`).
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)


def _require_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise DataError(f"{name} should be a whole number >= {least}. Found {value!r}.")
