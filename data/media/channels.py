"""Brings sound of any channels to one: how each block of a track is mixed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import av
import numpy as np

from data.media.decoding import is_sound
from data.media.remarks import Remarks

_BLOCK_FRAMES, _LOOKED_AT = 16, 4
# Channels whose sum has less than this share of their power cancel each other; 1 for unrelated ones (our choice).
_CANCELLING_SHARE = 0.02
_FLOATS = ("flt", "fltp", "dbl", "dblp")
_AUDIBLE_POWER = 1e-6  # -60 dB of full scale


class Part(NamedTuple):
    """What neighboring frames have in common that one resampler can convert.

    Attributes:
      sample_format, layout, sample_rate_hz: of the frames.
      mix: `FFmpeg`'s own, or what is done before it: the `first` channel or the `mean` is taken.
    """

    sample_format: str
    layout: str
    sample_rate_hz: int
    mix: str


def parts(frames: Iterable[av.AudioFrame], remarks: Remarks) -> Iterator[tuple[Part, av.AudioFrame]]:
    """Yields frames, each with how it becomes one channel."""
    frames, cancels = iter(frames), False
    while block := list(itertools.islice(frames, _BLOCK_FRAMES)):
        cancels = _cancel(block, cancels)
        for frame in block:
            yield _part(frame, cancels, remarks), frame


def with_sound(frames: Iterable[av.AudioFrame], remarks: Remarks) -> Iterator[av.AudioFrame]:
    """Yields the frames whose samples can be sound; others are dropped and noted."""
    for frame in frames:
        if frame.format.name not in _FLOATS or is_sound(frame.to_ndarray()):
            yield frame
        else:
            remarks.add("unusable_samples", "not finite or far beyond full scale; the rest is used")


def mixed(part: Part, frame: av.AudioFrame) -> av.AudioFrame:
    """Returns the frame that FFmpeg can convert: itself, or one of one channel, float32."""
    if part.mix == "FFmpeg":
        return frame
    channels = _channels(frame)
    one = channels[:1] if part.mix == "first" else channels.mean(0, keepdims=True)
    mono = av.AudioFrame.from_ndarray(np.ascontiguousarray(one, np.float32), format="fltp", layout="mono")
    mono.sample_rate, mono.pts, mono.time_base = frame.sample_rate, frame.pts, frame.time_base
    return mono


def _part(frame: av.AudioFrame, cancels: bool, remarks: Remarks) -> Part:
    layout, mix = frame.layout.name, "FFmpeg"
    if layout.startswith("ambisonic"):
        mix = "first"  # the sound from all directions
        remarks.add("unmixed_channels", f"{layout}: the first channel is used")
    elif cancels:
        mix = "first"
        remarks.add("cancelling_channels", "the mean of the channels is silent: the first is used")
    elif layout.endswith(" channels") and frame.layout.nb_channels > 1:
        mix = "mean"
        remarks.add("unmixed_channels", f"{layout} without positions: their mean is used")
    return Part(frame.format.name, layout, frame.sample_rate, mix)


def _cancel(frames: list[av.AudioFrame], before: bool) -> bool:
    """Returns whether a block's channels cancel each other; a block that is silent is like the one before it."""
    looked_at = [frame for frame in frames[:: max(1, len(frames) // _LOOKED_AT)] if frame.layout.nb_channels > 1]
    if not looked_at:
        return False
    power = of_sum = 0.0
    for channels in map(_channels, looked_at):
        power += float(np.square(channels).sum()) / channels.shape[1]
        of_sum += float(np.square(channels.sum(0)).sum()) / channels.shape[1]
    if power < _AUDIBLE_POWER * len(looked_at):
        return before
    return of_sum < _CANCELLING_SHARE * power


def _channels(frame: av.AudioFrame) -> np.ndarray:
    """Returns float32 `[channels, samples]`, full scale 1."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if samples.dtype.kind == "i":
        return samples / -np.float32(np.iinfo(samples.dtype).min)
    return samples.astype(np.float32, copy=False)
