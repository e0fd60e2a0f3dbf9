"""Lays the frames of a file on a fixed clock."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from data.errors import DataError
from data.media.containers import last_frame_seconds
from data.media.decoding import TrackDecoder
from data.media.frame_order import in_time_order
from data.media.interlacing import deinterlaced
from data.media.orientation import Orientation, orientation_of
from data.media.remarks import Remarks
from data.media.tone_mapping import kind_of, tone_mapped

# A frame shown for longer than this, past the end that the file is known to have, has a broken time stamp (our choice).
_LONGEST_FRAME_SECONDS = 600.0
_NOTED_FRAME_SECONDS = 60.0
# Containers round time stamps to a millisecond or more (Matroska, FLV).
_TIME_TOLERANCE_SECONDS = 2e-3
# Pixels wider or higher than this come from a broken header (our choice): the widest in use are 2 to 1, or a bit more.
_LARGEST_ASPECT = 10.0


def ticks_before(seconds: float, rate: float) -> int:
    """Returns how many ticks, of `rate` per second from 0 on, a video that ends at `seconds` has."""
    return max(0, math.ceil((seconds - _TIME_TOLERANCE_SECONDS) * rate))


class _Shown(NamedTuple):
    """A frame, from when on it is on screen, and which way up."""

    seconds: float
    frame: av.VideoFrame
    orientation: Orientation


class VideoTimeline:
    """RGB frames, one per tick of a fixed clock, taken window by window.

    Frames between the windows are decoded, but not converted.

    Attributes:
      decoded_seconds: how far the file has been decoded.
    """

    def __init__(
        self,
        decoder: TrackDecoder,
        stream: av.video.stream.VideoStream,
        origin_seconds: float,
        known_seconds: Callable[[], float],
        frames_per_second: float,
        image_size_px: int,
        remarks: Remarks,
    ):
        """Takes the decoder of a track.

        Args:
          decoder: gives all frames of the track, in the order in which they are shown.
          stream: the track.
          origin_seconds: what the track's time stamps call the time of the first tick.
          known_seconds: gives `data.media.containers.known_seconds`, before which no time stamp is doubted; called only
            when there is a doubt.
          frames_per_second: rate of the clock.
          image_size_px: the shorter side of a frame is scaled down to this, never up.
          remarks: what is noteworthy of the frames comes in here as they are taken.

        Raises:
          DataError: the file says that its pixels are far from square; few seconds of such frames would fill the memory.
        """
        self.decoded_seconds = 0.0
        self._rate, self._image_size_px, self._known_seconds = frames_per_second, image_size_px, known_seconds
        self._aspect, self._remarks = _aspect_of(stream), remarks
        rate = float(stream.average_rate or frames_per_second)
        frames = in_time_order(deinterlaced(decoder, remarks), decoder, origin_seconds, rate)
        self._ticks = self._on_the_grid(self._timed(frames, rate))
        self._scaler, self._shape, self._colors = VideoReformatter(), None, kind_of(stream.codec_context)
        if self._colors:
            remarks.add("high_dynamic_range", f"{self._colors}: brought to the range of ordinary screens")
        self._first, self._held = 0, deque()

    def take(self, first: int, last: int) -> list[np.ndarray]:
        """Returns the frames [first, last), uint8 `[height, width, 3]` each, or those that there are.

        Windows may overlap, but are asked for in the order of their first frames.
        """
        length = max(0, last - first)
        while self._held and self._first < first:
            self._held.popleft()
            self._first += 1
        if self._first < first:
            skipped = itertools.islice(self._ticks, first - self._first)
            self._first += sum(1 for _ in skipped)
        if self._first == first:
            missing = itertools.islice(self._ticks, max(0, length - len(self._held)))
            self._held.extend(map(self._pixels, missing))
        return list(itertools.islice(self._held, length))

    def _on_the_grid(self, shown_frames: Iterator[_Shown]) -> Iterator[_Shown]:
        """Yields, for each tick of the clock, the frame that is on screen at that time."""
        ticks, shown, spacing = 0, None, 1.0 / self._rate
        for upcoming in shown_frames:
            if shown is not None:
                until = ticks_before(upcoming.seconds, self._rate)
                yield from itertools.repeat(shown, max(0, until - ticks))
                ticks = max(ticks, until)
                spacing = min(upcoming.seconds - shown.seconds, 1.0)
            shown = upcoming
            self.decoded_seconds = shown.seconds + spacing
        if shown is not None:
            duration = float((shown.frame.duration or 0) * (shown.frame.time_base or 0))
            seconds = last_frame_seconds(spacing, duration, lambda: self._known_seconds() - shown.seconds)
            self._note_held(seconds)
            self.decoded_seconds = shown.seconds + seconds
            yield from itertools.repeat(shown, max(0, ticks_before(self.decoded_seconds, self._rate) - ticks))

    def _timed(self, frames: Iterator[tuple[float | None, av.VideoFrame]], rate: float) -> Iterator[_Shown]:
        """Yields the frames with their times and orientations, strictly forward in time."""
        previous, orientation = None, Orientation()
        for seconds, frame in frames:
            orientation = orientation_of(frame) or orientation
            if seconds is None:
                seconds = 0.0 if previous is None else previous + 1.0 / rate
            if previous is not None and seconds <= previous:
                continue
            held = seconds - (previous or 0.0)
            if held > _LONGEST_FRAME_SECONDS and seconds > self._known_seconds() + 1.0:
                return
            self._note_held(held)
            yield _Shown(seconds, frame, orientation)
            previous = seconds

    def _note_held(self, seconds: float) -> None:
        if seconds > _NOTED_FRAME_SECONDS:
            self._remarks.add("held_frames", f"one frame is shown for {seconds:.0f} s")

    def _pixels(self, shown: _Shown) -> np.ndarray:
        """Returns uint8 `[height, width, 3]` RGB, the way up that the file says, as an ordinary screen shows it."""
        height, width = self._stored_shape(shown)
        # One thread: starting the scaler's own threads costs more than scaling a small frame.
        pixels = self._scaler.reformat(
            shown.frame,
            width=width,
            height=height,
            format="rgb48le" if self._colors else "rgb24",
            interpolation=Interpolation.AREA,
            threads=1,
        ).to_ndarray()
        return shown.orientation.apply(tone_mapped(pixels, self._colors) if self._colors else pixels)

    def _stored_shape(self, shown: _Shown) -> tuple[int, int]:
        """Returns height and width of a frame before it is turned."""
        # One shape for the whole file, even where the stream changes its own, or is turned, midway.
        step = -1 if shown.orientation.transposed else 1
        if self._shape is None:
            self._shape = _target_shape(shown.frame, self._image_size_px, self._aspect)[::step]
        return self._shape[::step]


def _aspect_of(stream: av.video.stream.VideoStream) -> float:
    """Returns the width of a stored pixel over its height."""
    aspect = float(stream.sample_aspect_ratio or 1)
    if not 1 / _LARGEST_ASPECT <= aspect <= _LARGEST_ASPECT:
        raise DataError(f"a broken header: each pixel should be shown {aspect:g} times as wide as high")
    return aspect


def _target_shape(frame: av.VideoFrame, image_size_px: int, aspect: float) -> tuple[int, int]:
    """Returns height and width that bring the shorter side down to `image_size_px`.

    `aspect` is the width of a stored pixel over its height: frames come out with square pixels.
    """
    height, width = frame.height, frame.width * aspect
    scale = min(1.0, image_size_px / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
