"""Lays the frames of a file on a fixed clock."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator

import av
import numpy as np
from av.video.reformatter import VideoReformatter

# A frame shown for longer than this is taken for a broken time stamp (our choice).
_LONGEST_FRAME_SECONDS = 600.0
# Containers round time stamps to a millisecond or more (Matroska, FLV).
_TIME_TOLERANCE_SECONDS = 2e-3


def ticks_before(seconds: float, rate: float) -> int:
    """Returns how many ticks, of `rate` per second from 0 on, a video that ends at `seconds` has."""
    return max(0, math.ceil((seconds - _TIME_TOLERANCE_SECONDS) * rate))


class VideoTimeline:
    """RGB frames, one per tick of a fixed clock, taken window by window.

    Frames between the windows are decoded, but not converted.

    Attributes:
      decoded_seconds: how far the file has been decoded.
    """

    def __init__(
        self,
        frames: Iterator[av.VideoFrame],
        stream: av.video.stream.VideoStream,
        origin_seconds: float,
        frames_per_second: float,
        image_size_px: int,
    ):
        """Takes the decoded frames of a track.

        Args:
          frames: all frames of the track, in the order in which they are shown.
          stream: the track.
          origin_seconds: what the track's time stamps call the time of the first tick.
          frames_per_second: rate of the clock.
          image_size_px: the shorter side of a frame is scaled down to this, never up.
        """
        self.decoded_seconds = 0.0
        self._rate, self._image_size_px = frames_per_second, image_size_px
        self._aspect = float(stream.sample_aspect_ratio or 1)
        timed = _timed(frames, origin_seconds, float(stream.average_rate or frames_per_second))
        self._ticks = self._on_the_grid(timed)
        self._scaler, self._shape = VideoReformatter(), None
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

    def _on_the_grid(self, timed_frames: Iterator[tuple[float, av.VideoFrame]]) -> Iterator[av.VideoFrame]:
        """Yields, for each tick of the clock, the frame that is on screen at that time."""
        ticks, shown, time, spacing = 0, None, 0.0, 1.0 / self._rate
        for next_time, frame in timed_frames:
            if shown is not None:
                until = ticks_before(next_time, self._rate)
                yield from itertools.repeat(shown, max(0, until - ticks))
                ticks = max(ticks, until)
                spacing = min(next_time - time, 1.0) if next_time > time else spacing
            shown, time = frame, next_time
            self.decoded_seconds = time + spacing
        if shown is not None:
            yield from itertools.repeat(shown, max(0, ticks_before(time + spacing, self._rate) - ticks))

    def _pixels(self, frame: av.VideoFrame) -> np.ndarray:
        """Returns uint8 `[height, width, 3]` RGB, turned as the file's rotation tag says."""
        # One shape for the whole file, even where the stream changes its own midway.
        self._shape = self._shape or _target_shape(frame, self._image_size_px, self._aspect)
        height, width = self._shape
        # One thread: starting the scaler's own threads costs more than scaling a small frame.
        pixels = self._scaler.reformat(
            frame, width=width, height=height, format="rgb24", interpolation="AREA", threads=1
        ).to_ndarray()
        quarter_turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def _timed(
    frames: Iterator[av.VideoFrame], origin_seconds: float, rate: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yields (seconds since the first frame, frame), strictly forward in time."""
    previous = None
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
