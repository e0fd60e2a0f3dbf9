"""Clips straight from media files, for use with a trained model and no prepared data set."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from data.errors import DataError
from data.media.containers import (
    decoding,
    first_sound_time,
    first_video_time,
    open_container,
    presented_seconds,
)
from data.media.reader import INT16_RANGE, DecodedClip, MediaFormat, MediaReader
from data.media.tracks import is_sound_only, sound_stream, video_stream, why_no_video
from data.media.video_timeline import ticks_before
from data.pipeline.spec import ClipSpec


@dataclasses.dataclass(frozen=True, eq=False)
class FileClip:
    """A window of a media file, as a model takes it.

    Attributes:
      file: the file's path.
      start_seconds: where in the file the window starts.
      end_seconds: where it ends; where the file ends, if that is earlier.
      has_video, has_audio: whether the file has video, and audio in this window.
      video: float32 `[frames, size, size, 3]` in [-1, 1]; zeros without video.
      waveform: float32 `[samples]` in [-1, 1]; zeros without audio.
    """

    file: str
    start_seconds: float
    end_seconds: float
    has_video: bool
    has_audio: bool
    video: np.ndarray
    waveform: np.ndarray


def read_clips(
    path: str | os.PathLike, spec: ClipSpec, windows: int | None = 1, image_size_px: int = 256
) -> Iterator[FileClip]:
    """Cuts windows out of a media file, as `eval_batches` cuts them out of a prepared record.

    Any file that FFmpeg reads: mp4, webm, mkv, avi, mov, flv, or audio alone (wav, flac, mp3,
    ogg, m4a). Frames lie on a clock of `spec.frames_per_second` and are cropped to the square in
    their middle; a window that is longer than the file repeats the last frame and is padded with
    silence. The file is read as a stream: one window is in memory, not the file. What
    lies before a window is decoded to get there.

    Args:
      path: the file.
      spec: what a clip is; its candidates and words do not matter here.
      windows: how many, evenly spaced: 1 is the one in the middle, more reach from the first frame
        to the last, fewer come from a file that is too short for so many different ones. None is
        one window after the other; a remainder of less than half a window is skipped, unless the
        file has nothing else (our choice).
      image_size_px: as in `experiments.prepare_data`, the shorter side of a frame is first scaled
        down to this, or to `spec.image_size` where that is larger.

    Yields:
      The clips in the order of their starts.

    Raises:
      DataError: the file cannot be opened or decoded, or has neither video nor audio; or `windows`
        is less than 1.
    """
    if windows is not None and windows < 1:
        raise DataError(f"windows should be at least 1, or None for all of them. Found {windows}.")
    scaled_px = max(image_size_px, spec.image_size)
    clock = MediaFormat(spec.frames_per_second, scaled_px, spec.sample_rate_hz)
    ticks, sound_only = _measure(path, clock)
    for clip in _decode(MediaReader(path, clock), clock, _window_ticks(spec), windows, ticks, sound_only):
        end_tick = round(clip.start_seconds * clock.frames_per_second) + len(clip.frames)
        end_seconds = (ticks if sound_only else end_tick) / clock.frames_per_second
        yield FileClip(
            file=os.fspath(path),
            start_seconds=clip.start_seconds,
            end_seconds=min(end_seconds, clip.start_seconds + spec.clip_seconds),
            has_video=len(clip.frames) > 0,
            has_audio=clip.audio.size > 0,
            video=_center_view(clip.frames, spec),
            waveform=_waveform(clip.audio, spec),
        )


def _window_ticks(spec: ClipSpec) -> int:
    if spec.sparse_seconds is None:
        return spec.frames
    return max(1, round(spec.sparse_seconds * spec.frames_per_second))


def _measure(path: str | os.PathLike, clock: MediaFormat) -> tuple[int, bool]:
    """Returns the file's length on the clock, and whether there is only sound in it."""
    with decoding(), open_container(path) as container:
        sound_only = is_sound_only(container)
        stream = sound_stream(container) if sound_only else video_stream(container)
        if stream is None:
            nothing = "no video or audio track that can be decoded"
            raise DataError(why_no_video(container) if container.streams.video else nothing)
        origin = (first_sound_time if sound_only else first_video_time)(container)
        seconds = presented_seconds(container, stream) - origin
    return max(1, ticks_before(seconds, clock.frames_per_second)), sound_only


def _decode(
    reader: MediaReader,
    clock: MediaFormat,
    window: int,
    windows: int | None,
    ticks: int,
    sound_only: bool,
) -> Iterator[DecodedClip]:
    cut = reader.sound_windows if sound_only else reader.windows
    clips = cut(_starts(ticks, window, windows), window)
    first = next(clips, None)
    if first is None and reader.decoded_seconds > 0:
        # The end cannot be decoded, or its time stamps are wrong: only what is before it counts.
        ticks = ticks_before(reader.decoded_seconds, clock.frames_per_second)
        clips = cut(_starts(ticks, window, windows), window)
        first = next(clips, None)
    if first is None:
        raise DataError(f"no {'audio' if sound_only else 'video frame'} could be decoded")
    yield from itertools.chain([first], clips)


def _starts(ticks: int, window: int, windows: int | None) -> Sequence[int]:
    if windows is None:
        whole, rest = divmod(ticks, window)
        return range(0, window * max(1, whole + (2 * rest >= window)), window)
    last = max(0, ticks - window)
    if windows == 1:
        return [last // 2]
    if windows > last:  # one for each possible start
        return range(last + 1)
    return sorted({last * index // (windows - 1) for index in range(windows)})


def _center_view(frames: np.ndarray, spec: ClipSpec) -> np.ndarray:
    size = spec.image_size
    if not len(frames):
        return np.zeros((spec.frames, size, size, 3), np.float32)
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = frames[_shown(len(frames), spec), top : top + side, left : left + side]
    with tf.device("CPU:0"):
        return (2.0 * (tf.image.resize(square, [size, size]) / 255.0) - 1.0).numpy()


def _shown(available: int, spec: ClipSpec) -> np.ndarray:
    """Chooses the frames of a clip [frames]; sparse ones are the middle ones of equal parts."""
    if spec.sparse_seconds is None:
        return np.minimum(np.arange(spec.frames), available - 1)
    borders = min(_window_ticks(spec), available) * np.arange(spec.frames + 1) // spec.frames
    return np.minimum((borders[:-1] + borders[1:]) // 2, available - 1)


def _waveform(audio: np.ndarray, spec: ClipSpec) -> np.ndarray:
    waveform = np.zeros(spec.waveform_samples, np.float32)
    samples = audio[: spec.waveform_samples]
    waveform[: len(samples)] = samples / INT16_RANGE
    return waveform
