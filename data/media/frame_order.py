"""Gives each frame its time on screen, where a container has only the times of decoding."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator

import av

from data.media.decoding import TrackDecoder

# The most frames that can be stored before one that is shown earlier (H.264).
_REORDERED_FRAMES = 16


def in_time_order(
    frames: Iterable[av.VideoFrame], decoder: TrackDecoder, origin_seconds: float, rate: float
) -> Iterator[tuple[float | None, av.VideoFrame]]:
    """Yields (seconds since the first frame, frame) of frames in the order in which they are shown.

    AVI, and what was made of it, has the times at which frames are decoded. Where these are stored in another
    order than shown, their times then jump. Sorted, they are right, but for the first one's delay.

    Args:
      frames: of `decoder`, and no others; one without a time comes with None.
      decoder: says whether its packets' times may be those of decoding.
      origin_seconds: what the file calls the time of its first frame.
      rate: frames per second.
    """
    held: deque[av.VideoFrame] = deque()
    times: list[float] = []
    delay, delay_is_known = 0.0, False
    for frame in _and_an_end(frames):
        time = None if frame is None else frame.time
        waiting = time is not None and decoder.times_may_be_of_decoding
        if time is not None and not waiting and not held:  # As in most files.
            delay_is_known = True
            yield time - origin_seconds - delay, frame
            continue
        if time is not None:
            held.append(frame)
            heapq.heappush(times, time - origin_seconds)
        while len(held) > (_REORDERED_FRAMES if waiting else 0):
            if not delay_is_known:
                delay_is_known = True
                if decoder.times_may_be_of_decoding and 0 < times[0] <= _REORDERED_FRAMES / rate:
                    delay = times[0]
            yield heapq.heappop(times) - delay, held.popleft()
        if frame is not None and time is None:
            yield None, frame


def _and_an_end(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame | None]:
    yield from frames
    yield None
