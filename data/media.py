"""Reads media files through PyAV: video files become frames and samples on fixed clocks.

One clock for both modalities: time 0 is the first video frame the file presents, and audio is
placed by its time stamps on that clock, so encoder priming, late tracks and gaps do not shift it.
Reading is streaming: only the clip being cut is in memory.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from data.audio_timeline import AudioTimeline
from data.containers import (
    can_be_decoded,
    first_video_time,
    open_container,
    promised_seconds,
    video_stream,
    why_no_video,
)
from data.errors import DataError

# A frame shown for longer than this is taken for a broken time stamp (our choice).
_LONGEST_FRAME_SECONDS = 600.0
# Containers round time stamps to a millisecond or more (Matroska, FLV).
_TIME_TOLERANCE_SECONDS = 2e-3


@dataclasses.dataclass(frozen=True)
class MediaFormat:
    """The fixed clocks and size that decoded media are brought to.

    Attributes:
      frames_per_second: rate of the frames.
      image_size_px: the shorter side of a frame is scaled down to this; smaller frames are left
        as they are, since enlarging adds bytes and no detail (our choice).
      sample_rate_hz: rate of the mono audio.
    """

    frames_per_second: float = 10.0
    image_size_px: int = 256
    sample_rate_hz: int = 48000

    def samples_at(self, frames: int) -> int:
        """Returns the number of audio samples that last as long as `frames` frames."""
        return round(frames * self.sample_rate_hz / self.frames_per_second)


class DecodedClip(NamedTuple):
    """A stretch of a file on the fixed clocks.

    Attributes:
      start_seconds: where in the file the clip starts.
      frames: uint8 `[frames, height, width, 3]`, RGB.
      audio: int16 `[samples]`, as long as the frames last; `[0]` where the file has no sound.
    """

    start_seconds: float
    frames: np.ndarray
    audio: np.ndarray


class MediaReader:
    """Cuts one media file into clips, reading it once from start to end.

    Damaged packets are dropped as players do; a file that breaks off gives the clips before the
    break. What was lost can be asked for afterwards: `damaged_packets`, `missing_seconds`.
    """

    def __init__(
        self,
        source: str | os.PathLike | bytes,
        media_format: MediaFormat,
        sound_source: str | os.PathLike | None = None,
    ):
        """Takes a path, or the bytes of a file, and the clocks to bring it to.

        `sound_source` is a file to take the sound from instead; it starts with the first frame.
        """
        self._source = source
        self._format = media_format
        self._sound_source = sound_source
        self.damaged_packets = 0
        self.decoded_seconds = 0.0
        self.promised_seconds = 0.0
        self.has_audio_track = False

    @property
    def missing_seconds(self) -> float:
        """How much shorter the decoded video is than the file's header promises (0 if unknown)."""
        return max(0.0, self.promised_seconds - self.decoded_seconds)

    def clips(
        self,
        clip_seconds: float,
        minimum_seconds: float = 0.0,
        start_seconds: float = 0.0,
        end_seconds: float | None = None,
    ) -> Iterator[DecodedClip]:
        """Yields consecutive clips.

        Args:
          clip_seconds: length of every clip but the last.
          minimum_seconds: a last clip shorter than this is dropped, unless it is the only one.
          start_seconds: where in the file the first clip starts.
          end_seconds: where the last one ends at the latest; None for the end of the file.

        Raises:
          DataError: if the file cannot be opened, has no video, not one frame can be decoded, or
            it holds something FFmpeg cannot convert.
        """
        first = round(start_seconds * self._format.frames_per_second)
        last = None if end_seconds is None else end_seconds * self._format.frames_per_second
        last = None if last is None else max(first + 1, round(last))
        try:
            yield from self._clips(clip_seconds, minimum_seconds, first, last)
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"decoding failed ({error})") from error

    def _clips(
        self, clip_seconds: float, minimum_seconds: float, start: int, end: int | None
    ) -> Iterator[DecodedClip]:
        clip_frames = max(1, round(clip_seconds * self._format.frames_per_second))
        minimum_frames = min(clip_frames, minimum_seconds * self._format.frames_per_second)
        with open_container(self._source) as video_container, self._open_sound() as audio_container:
            length = None if end is None else end - start
            frames = itertools.islice(self._frames(video_container, start), length)
            audio = self._audio(audio_container)
            for first in itertools.count(start, clip_frames):
                chunk = list(itertools.islice(frames, clip_frames))
                if not chunk and first == start:
                    where = f" from second {start / self._format.frames_per_second:g} on"
                    raise DataError(f"not one video frame could be decoded{where if start else ''}")
                if not chunk or (first > start and len(chunk) < minimum_frames):
                    return
                yield self._clip(first, np.stack(chunk), audio)

    def _clip(self, first_frame: int, frames: np.ndarray, audio: AudioTimeline) -> DecodedClip:
        first_sample = self._format.samples_at(first_frame)
        last_sample = self._format.samples_at(first_frame + len(frames))
        start_seconds = first_frame / self._format.frames_per_second
        return DecodedClip(start_seconds, frames, audio.take(first_sample, last_sample))

    def _open_sound(self) -> av.container.InputContainer:
        if self._sound_source is None:
            return open_container(self._source)
        try:
            return open_container(self._sound_source)
        except DataError as error:
            raise DataError(f"its sound file: {error}") from error

    def _frames(
        self, container: av.container.InputContainer, first: int
    ) -> Iterator[np.ndarray]:
        """Yields RGB frames `[height, width, 3]` at `frames_per_second`, from the first-th on."""
        stream = video_stream(container)
        if stream is None:
            raise DataError(why_no_video(container))
        stream.thread_type = "AUTO"
        self.promised_seconds = promised_seconds(container, stream)
        aspect = float(stream.sample_aspect_ratio or 1)
        rate = float(stream.average_rate or self._format.frames_per_second)
        shape, scaler = None, VideoReformatter()
        timed_frames = _timed(self._decoded(container, stream), container, rate)
        for frame in itertools.islice(self._on_the_grid(timed_frames), first, None):
            # One shape for the whole file, even where the stream changes its own midway.
            shape = shape or _target_shape(frame, self._format.image_size_px, aspect)
            yield _pixels(frame, *shape, scaler)

    def _on_the_grid(
        self, timed_frames: Iterator[tuple[float, av.VideoFrame]]
    ) -> Iterator[av.VideoFrame]:
        """Yields, for each tick of the fixed clock, the frame that is on screen at that time."""
        rate = self._format.frames_per_second
        ticks, shown, time, spacing = 0, None, 0.0, 1.0 / rate
        for next_time, frame in timed_frames:
            while shown is not None and ticks / rate < next_time - _TIME_TOLERANCE_SECONDS:
                yield shown
                ticks += 1
            if shown is not None and next_time > time:
                spacing = min(next_time - time, 1.0)
            shown, time = frame, next_time
            self.decoded_seconds = time + spacing
        while shown is not None and ticks / rate < time + spacing - _TIME_TOLERANCE_SECONDS:
            yield shown
            ticks += 1

    def _audio(self, container: av.container.InputContainer) -> AudioTimeline:
        stream = next(filter(can_be_decoded, container.streams.audio), None)
        self.has_audio_track = stream is not None
        frames = self._decoded(container, stream) if stream is not None else iter(())
        return AudioTimeline(frames, self._format.sample_rate_hz, first_video_time(container))

    def _decoded(
        self, container: av.container.InputContainer, stream: av.stream.Stream
    ) -> Iterator[av.frame.Frame]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:  # The file breaks off here.
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self.damaged_packets += 1
                continue
            yield from frames


def _timed(
    frames: Iterator[av.VideoFrame], container: av.container.InputContainer, rate: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yields (seconds since the first frame, frame), strictly forward in time."""
    origin_seconds, previous = first_video_time(container), None
    for frame in frames:
        if frame.time is not None:
            time = frame.time - origin_seconds
        else:
            time = 0.0 if previous is None else previous + 1.0 / rate
        if previous is not None and time <= previous:
            continue
        if time - (previous or 0.0) > _LONGEST_FRAME_SECONDS:
            return
        yield time, frame
        previous = time


def _target_shape(frame: av.VideoFrame, image_size_px: int, aspect: float) -> tuple[int, int]:
    """Returns height and width that bring the shorter side down to `image_size_px`.

    `aspect` is the width of a stored pixel over its height: frames come out with square pixels.
    """
    height, width = frame.height, frame.width * aspect
    scale = min(1.0, image_size_px / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _pixels(frame: av.VideoFrame, height: int, width: int, scaler: VideoReformatter) -> np.ndarray:
    """Returns uint8 `[height, width, 3]` RGB, turned as the file's rotation tag says."""
    # One thread: starting the scaler's own threads costs more than scaling a small frame.
    pixels = scaler.reformat(
        frame, width=width, height=height, format="rgb24", interpolation="AREA", threads=1
    ).to_ndarray()
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels
