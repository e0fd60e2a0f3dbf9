"""Lays the sound of a file on the clock of its video."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import av
import numpy as np

from data.media.channels import mixed, parts
from data.media.remarks import Remarks

# Sound whose time stamps disagree by less than this is joined without a seam.
_JITTER_SECONDS = 0.04


class AudioTimeline:
    """Mono int16 samples, laid out by their time stamps and taken window by window.

    Attributes:
      end: index after the last sample that has been decoded.
    """

    def __init__(self, frames: Iterable[av.AudioFrame], sample_rate_hz: int, origin_seconds: float, remarks: Remarks):
        """Takes decoded frames of any format; sample 0 will be at `origin_seconds` of the file.

        What is noteworthy of them comes into `remarks` as they are taken.
        """
        self._chunks = _resampled(_resampled_frames(frames, sample_rate_hz, remarks), sample_rate_hz, origin_seconds)
        self._held: list[tuple[int, np.ndarray]] = []
        self.end = 0

    def take(self, first: int, last: int) -> np.ndarray:
        """Returns the samples [first, last).

        Windows may overlap, but are asked for in the order of their first samples. Where the file
        has a gap they are zero; where it has nothing at all, the result is `[0]`.
        """
        self._held = [chunk for chunk in self._held if _end(chunk) > first]
        while not self._held or _end(self._held[-1]) <= last:
            if (chunk := next(self._chunks, None)) is None:
                break
            self.end = _end(chunk)
            if _end(chunk) > first:
                self._held.append(chunk)
        window = None
        for start, samples in self._held:
            if start < last:
                window = np.zeros(last - first, np.int16) if window is None else window
                inside = samples[max(0, first - start) : last - start]
                window[max(0, start - first) :][: len(inside)] = inside
        return np.zeros(0, np.int16) if window is None else window


def _end(chunk: tuple[int, np.ndarray]) -> int:
    return chunk[0] + len(chunk[1])


def _resampled(
    frames: Iterator[av.AudioFrame], sample_rate_hz: int, origin_seconds: float
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (index of the first sample, int16 samples) of frames that are mono at the given rate."""
    cursor = None
    for resampled in frames:
        samples = resampled.to_ndarray()[0]
        if resampled.time is not None:
            position = round((resampled.time - origin_seconds) * sample_rate_hz)
            if cursor is None or abs(position - cursor) > _JITTER_SECONDS * sample_rate_hz:
                cursor = position
        cursor = cursor or 0
        yield cursor, samples
        cursor += len(samples)


def _resampled_frames(
    frames: Iterable[av.AudioFrame], sample_rate_hz: int, remarks: Remarks
) -> Iterator[av.AudioFrame]:
    # A track may change its layout midway (broadcast recordings); each part has its own resampler.
    for part, members in itertools.groupby(parts(frames, remarks), key=lambda pair: pair[0]):
        resampler = av.AudioResampler(format="s16", layout="mono", rate=sample_rate_hz)
        for _, frame in members:
            yield from resampler.resample(mixed(part, frame))
        yield from resampler.resample(None)
