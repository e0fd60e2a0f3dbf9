"""Writes mp4 files through PyAV."""

from __future__ import annotations

import fractions
import itertools
from typing import BinaryIO

import av
import numpy as np


def encode_mp4(
    target: str | BinaryIO,
    frames: np.ndarray,
    audio: np.ndarray | None,
    *,
    frames_per_second: float,
    sample_rate_hz: int,
    audio_bit_rate: int = 64000,
) -> None:
    """Writes an mp4 file: H.264 video and, where there is audio, AAC.

    Args:
      target: a path, or a binary file that can seek.
      frames: uint8 `[frames, height, width, 3]`, RGB; height and width even (H.264 with 4:2:0).
      audio: float32 `[samples]` in [-1, 1], or None for a file without an audio track.
      frames_per_second: rate of `frames`.
      sample_rate_hz: rate of `audio`; one that AAC knows (8000, 16000, 44100, 48000, ...).
      audio_bit_rate: bits per second of the AAC stream.
    """
    with av.open(target, "w", format="mp4") as container:
        rate = fractions.Fraction(frames_per_second).limit_denominator(1001)
        video_stream = container.add_stream("libx264", rate=rate)
        video_stream.height, video_stream.width = frames.shape[1:3]
        video_stream.pix_fmt = "yuv420p"
        # One thread: the frames are few and small, and the callers run clips side by side.
        video_stream.options = {"preset": "ultrafast", "crf": "20", "threads": "1"}
        if audio is not None:
            audio_stream = container.add_stream("aac", rate=sample_rate_hz, layout="mono")
            audio_stream.bit_rate = audio_bit_rate
            # The default search for quantizers takes several times longer for little.
            audio_stream.options = {"aac_coder": "fast"}
            sound = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(audio, np.float32)[None], format="fltp", layout="mono"
            )
            # With a time stamp the encoder says how many samples of priming it puts in front, and
            # the file tells players to skip them; without, sound would come 1024 samples late.
            sound.sample_rate, sound.pts = sample_rate_hz, 0
            sound.time_base = fractions.Fraction(1, sample_rate_hz)
            container.mux(itertools.chain(audio_stream.encode(sound), audio_stream.encode(None)))
        for pixels in frames:
            container.mux(video_stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video_stream.encode(None))
