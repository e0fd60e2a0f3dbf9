"""One record to one clip: a window in time, decoded, augmented and tokenized."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_datasets as tfds

from data.errors import DataError
from data.media.reader import INT16_RANGE
from data.pipeline.augmentation import Augmentation, random_color_factors, random_crop_box, random_flip
from data.pipeline.finishing import finish_on_host, orders_for_device
from data.pipeline.noise import add_noise, random_noise
from data.pipeline.pair_weights import PairLookup
from data.pipeline.seeds import CLIP, derive_key
from data.pipeline.spec import ClipSpec
from data.records.prepared_dataset import PreparedDataset

Clip = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class ClipReader:
    """Turns the serialized records of a data set into clips of a `ClipSpec`.

    Attributes:
      prepared: The data set.
      spec: What a clip is.
      tokenizer: Strings [...] to int32 [..., words]; None omits `text` and `has_text`.
      video: Whether clips have `video`. False decodes no frame; nothing else changes.
      labels: Whether clips of a multi-label set have `labels`.
      canvas: Height and width that no training crop exceeds: a larger one is scaled down to it. None for no limit.
      finish: Whether training clips are finished here; if not, see `orders_for_device`, which needs a canvas, and
        `random_noise`.
      only_aligned: Whether narrations and sounds that the record says are of another scene are treated as missing.
      pair_weights: What weighs the text and the sound of training clips; None where all count alike. Needs a tokenizer.
      clip_slots: Rows of a table about the training clips; above 0 each has a `clip_slot`, a hash of its name.

    Raises:
      DataError: The records' rates do not fit the spec's, or they have no frames for `video`.
    """

    prepared: PreparedDataset
    spec: ClipSpec
    tokenizer: Callable[[tf.Tensor], tf.Tensor] | None
    video: bool = True
    labels: bool = True
    canvas: tuple[int, int] | None = None
    finish: bool = True
    only_aligned: bool = False
    pair_weights: PairLookup | None = None
    clip_slots: int = 0

    def __post_init__(self) -> None:
        if self.video and not self.prepared.has_video:
            raise DataError(f"{self.prepared.directory} holds audio without video; read it with video=False.")
        ratio = self.prepared.frames_per_second / self.spec.frames_per_second
        strided = self.prepared.has_video and self.spec.sparse_seconds is None
        if strided and (round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-3):
            raise DataError(
                f"{self.prepared.directory} holds {self.prepared.frames_per_second:g} frames/s, "
                f"which is not a whole multiple of the requested {self.spec.frames_per_second:g}. Set "
                f"`ClipSpec.frames_per_second = {self.prepared.frames_per_second:g}`, or half or a third of it, or prepare the "
                f"data set again with `--frames_per_second={self.spec.frames_per_second:g} --overwrite`."
            )
        if self.prepared.sample_rate_hz != self.spec.sample_rate_hz:
            raise DataError(
                f"{self.prepared.directory} holds audio at {self.prepared.sample_rate_hz} Hz, but "
                f"{self.spec.sample_rate_hz} Hz is requested. Set ClipSpec.sample_rate_hz = "
                f"{self.prepared.sample_rate_hz}, or prepare the data set again."
            )

    def training_clip(
        self,
        record: tf.Tensor,
        augmentation: Augmentation,
        seed: int,
        pipeline: int,
        position: tf.Tensor,
    ) -> Clip:
        """Cuts a random window out of a record and changes it at random.

        Args:
          record: A serialized record.
          augmentation: The ranges of the changes.
          seed: Seed of the run.
          pipeline: Index of the input pipeline.
          position: int64 scalar, the clip's place in the pipeline since step 0, so that a clip
            is changed differently in every epoch, and in the same way after a restart.

        Returns:
          `video` float32 [frames, size, size, 3] and `waveform` float32 [samples], both in [-1, 1];
          `text` int32 [candidates, words]; `has_audio`, `has_text` bool; `label` int32, -1 where
          there is none; in a multi-label set `labels` float32 [classes], 1 for the clip's own.
          Without `finish`, what `orders_for_device` returns takes the place of `video`, and the waveform has no noise yet, but
          what `random_noise` returns joins it. With `pair_weights`,
          `text_weight` and `audio_weight` float32, and no text or sound that weighs 0. With `clip_slots`, `clip_slot` int32.
        """
        example = self._parse(record)
        key = derive_key(seed, pipeline, CLIP, position)
        time_key, *frame_keys, noise_key = tf.unstack(tf.random.experimental.stateless_split(key, 5), num=5)
        last = self._last_start(example)
        start = tf.random.stateless_uniform([], time_key, maxval=last + 1, dtype=tf.int32)
        clip = self._sound_and_text(example, start)
        clip |= self._noisy(clip["waveform"], augmentation, noise_key)
        clip["label"] = tf.cast(example["label"], tf.int32)
        if self.pair_weights is not None:
            clip = self.pair_weights.apply(example["clip_id"], clip)
        if self.clip_slots:
            name = tf.strings.join([self.prepared.name, example["clip_id"]], "/")
            clip["clip_slot"] = tf.cast(tf.strings.to_hash_bucket_fast(name, self.clip_slots), tf.int32)
        if not self.video:
            return clip
        jpegs = self._window_frames(example["video"], start, time_key)
        return {**self._augmented_frames(jpegs, augmentation, frame_keys), **clip}

    def evaluation_clip(self, record: tf.Tensor, windows: int, crops: int = 1) -> Clip:
        """Cuts evenly spaced windows out of a record; nothing is drawn at random.

        Args:
          record: A serialized record.
          windows: How many. One is taken from the middle; more reach from the first frame to the
            last, and put an axis [windows] before those of `video` and `waveform`.
          crops: Square crops of each window's frames, evenly spaced along the longer side; one is
            taken from the middle. More put an axis [windows * crops] before those of `video`, the
            crops of a window one after the other.

        Returns:
          What `training_clip` returns, with the captions nearest to the record's middle, and
          `clip_id` string, `label`, `text_aligned`, `audio_aligned` int32 scalars.
        """
        example = self._parse(record)
        last = self._last_start(example)
        clip = self._sound_and_text(example, last // 2)
        starts = _even_starts(last, windows)
        waveforms, has_audio = zip(*[self._window_sound(example["audio"], start) for start in starts], strict=True)
        clip |= {"waveform": _stack(waveforms), "has_audio": tf.reduce_any(has_audio)}
        if self.video:
            clip["video"] = _stack([view for start in starts for view in self._crops(example, start, crops)])
        for name in ("label", "text_aligned", "audio_aligned"):
            clip[name] = tf.cast(example[name], tf.int32)
        return {**clip, "clip_id": example["clip_id"]}

    @property
    def _stride(self) -> int:
        return round(self.prepared.frames_per_second / self.spec.frames_per_second)

    @property
    def _ticks_per_second(self) -> float:
        """Rate of the clock on which windows begin: that of the stored frames, without any that of the samples."""
        return self.prepared.frames_per_second if self.prepared.has_video else self.prepared.sample_rate_hz

    @property
    def _window_length(self) -> int:
        """Ticks that last as long as a clip."""
        if not self.prepared.has_video:
            return self.spec.waveform_samples
        if self.spec.sparse_seconds is None:
            return self.spec.frames * self._stride
        return max(1, round(self.spec.sparse_seconds * self.prepared.frames_per_second))

    def _parse(self, record: tf.Tensor) -> dict:
        # The JPEG bytes of frames outside the window are never decoded.
        decoders = {"video": tfds.decode.SkipDecoding()}
        return self.prepared.features.deserialize_example(record, decoders=decoders)

    def _last_start(self, example: dict) -> tf.Tensor:
        ticks = tf.size(example["video" if self.prepared.has_video else "audio"])
        return tf.maximum(ticks - self._window_length, 0)

    def _window_frames(self, jpegs: tf.Tensor, start: tf.Tensor, key: tf.Tensor | None = None) -> tf.Tensor:
        """Chooses the JPEGs of a window [frames]; `key` draws sparse frames, else the middle ones."""
        if self.spec.sparse_seconds is None:
            indices = start + self._stride * tf.range(self.spec.frames)
        else:
            indices = start + self._sparse_offsets(tf.size(jpegs) - start, key)
        # Our choice: a record shorter than the window stands still on its last frame.
        return tf.gather(jpegs, tf.minimum(indices, tf.size(jpegs) - 1))

    def _sparse_offsets(self, stored: tf.Tensor, key: tf.Tensor | None) -> tf.Tensor:
        """Chooses one frame of each equal part; of a record that ends early, of what there is."""
        parts = self.spec.frames
        borders = tf.minimum(self._window_length, stored) * tf.range(parts + 1) // parts
        if key is None:
            return (borders[:-1] + borders[1:]) // 2
        # `key` itself has drawn the window's start.
        draws = tf.random.stateless_uniform([parts], tf.random.experimental.stateless_fold_in(key, 0))
        lengths = tf.cast(borders[1:] - borders[:-1], tf.float32)
        return borders[:-1] + tf.cast(draws * lengths, tf.int32)

    def _start_seconds(self, start: tf.Tensor) -> tf.Tensor:
        return tf.cast(start, tf.float64) / self._ticks_per_second

    def _window_sound(self, sound: tf.Tensor, start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first = tf.round(self._start_seconds(start) * self.spec.sample_rate_hz)
        samples = sound[tf.cast(first, tf.int32) :][: self.spec.waveform_samples]
        # Our choice: sound that ends before the window does is followed by silence.
        padded = tf.pad(samples, [[0, self.spec.waveform_samples - tf.size(samples)]])
        waveform = tf.cast(padded, tf.float32) / INT16_RANGE
        return tf.ensure_shape(waveform, [self.spec.waveform_samples]), tf.size(samples) > 0

    def _sound_and_text(self, example: dict, start: tf.Tensor) -> Clip:
        if self.only_aligned:
            example = _without_misaligned(example)
        waveform, has_audio = self._window_sound(example["audio"], start)
        clip = {"waveform": waveform, "has_audio": has_audio}
        if self.labels and self.prepared.multi_label:
            rows = tf.one_hot(example["labels"], len(self.prepared.class_names))
            clip["labels"] = tf.minimum(tf.reduce_sum(rows, axis=0), 1.0)
        if self.tokenizer is not None:
            clip["text"] = self._nearest_captions(example["captions"], start)
            clip["has_text"] = tf.reduce_any(clip["text"] != 0)
        return clip

    def _nearest_captions(self, captions: Clip, start: tf.Tensor) -> tf.Tensor:
        first = tf.cast(self._start_seconds(start), tf.float32)
        before = first - captions["end_seconds"]
        after = captions["start_seconds"] - (first + self.spec.clip_seconds)
        distances = tf.maximum(tf.maximum(before, after), 0.0)
        nearest = tf.argsort(distances, stable=True)[: self.spec.candidates]
        tokens = self.tokenizer(tf.gather(captions["text"], nearest))
        padded = tf.pad(tokens, [[0, self.spec.candidates - tf.size(nearest)], [0, 0]])
        return tf.ensure_shape(padded, [self.spec.candidates, self.spec.words])

    def _noisy(self, waveform: tf.Tensor, augmentation: Augmentation, key: tf.Tensor) -> Clip:
        noise = random_noise(waveform, augmentation, key)
        if self.finish and noise:
            return {"waveform": add_noise(waveform, **noise)}
        return {"waveform": waveform, **noise}

    def _augmented_frames(self, jpegs: tf.Tensor, augmentation: Augmentation, keys: list[tf.Tensor]) -> Clip:
        crop_key, flip_key, color_key = keys
        box = random_crop_box(tf.image.extract_jpeg_shape(jpegs[0]), augmentation, crop_key)
        frames = self._within_canvas(self._decode(jpegs, box))
        changes = random_flip(augmentation, flip_key), random_color_factors(augmentation, color_key)
        if self.finish:
            return {"video": finish_on_host(frames, *changes, self.spec.image_size)}
        return orders_for_device(frames, *changes, self.canvas)

    def _within_canvas(self, frames: tf.Tensor) -> tf.Tensor:
        if self.canvas is None:
            return frames
        size = tf.shape(frames)[1:3]
        fitting = tf.minimum(size, self.canvas)

        def scale() -> tf.Tensor:
            return tf.cast(tf.round(tf.image.resize(tf.cast(frames, tf.float32), fitting)), tf.uint8)

        return tf.cond(tf.reduce_all(size == fitting), lambda: frames, scale)

    def _crops(self, example: dict, start: tf.Tensor, crops: int) -> list[tf.Tensor]:
        """Returns squares of a window's frames, as large as they can be, along the longer side."""
        jpegs = self._window_frames(example["video"], start)
        shape = tf.image.extract_jpeg_shape(jpegs[0])
        side = tf.minimum(shape[0], shape[1])
        tops, lefts = _even_starts(shape[0] - side, crops), _even_starts(shape[1] - side, crops)
        boxes = [tf.stack([top, left, side, side]) for top, left in zip(tops, lefts, strict=True)]
        views = [
            tf.image.resize(tf.cast(self._decode(jpegs, box), tf.float32), [self.spec.image_size] * 2) for box in boxes
        ]
        return [2.0 * (view / 255.0) - 1.0 for view in views]

    def _decode(self, jpegs: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
        """Decodes a box (top, left, height, width) of all frames; uint8 [frames, height, width, 3]."""
        frames = tf.unstack(jpegs, num=self.spec.frames)
        return tf.stack([tf.image.decode_and_crop_jpeg(frame, box, channels=3) for frame in frames])


def _without_misaligned(example: dict) -> dict:
    """Empties the sound and the captions of a record that says that they are of another scene."""
    sound = example["audio"][: _size_if(example["audio_aligned"] != 0, example["audio"])]
    captions = example["captions"]
    count = _size_if(example["text_aligned"] != 0, captions["text"])
    return {**example, "audio": sound, "captions": {name: values[:count] for name, values in captions.items()}}


def _size_if(kept: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    return tf.where(kept, tf.size(values), 0)


def _even_starts(last: tf.Tensor, windows: int) -> list[tf.Tensor]:
    if windows == 1:
        return [last // 2]
    return [last * index // (windows - 1) for index in range(windows)]


def _stack(views: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.stack(views) if len(views) > 1 else views[0]
