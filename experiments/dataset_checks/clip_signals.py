"""What can be measured in a stored clip: light, motion, loudness, and hashes that tell clips apart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from data import INT16_RANGE

SILENT_DB = -60.0
"""Our choice: sound is silent if no sample is louder, in dB below full scale."""
_BLACK_LUMA, _BLACK_DEVIATION = 20.0, 6.0  # of 255; black in video is 16, and JPEG leaves some noise
_BLOCK_PX, _MOVED_LUMA = 8, 2.0  # noise of a codec averages out over such blocks
# A 64-bit hash of differences: of 8 rows with 9 columns each.
_ROWS, _COLUMNS = 8, 9
_FLAT_LUMA = 4.0
_LOWEST_HZ, _HIGHEST_HZ = 100.0, 4000.0
_MINIMUM_SEGMENT = 64
_BITS = 1 << np.arange(64, dtype=np.uint64)


class Picture(NamedTuple):
    """What the frames of a clip look like.

    Attributes:
      is_black: There is nothing to see in any frame.
      is_frozen: There are several frames, and all show the same.
      look: 64-bit hash of the middle frame, alike for pictures that look alike; 0 if it is flat.
    """

    is_black: bool
    is_frozen: bool
    look: int


def decode_luma(jpegs: Sequence[bytes]) -> list[np.ndarray]:
    """Decodes frames as the input pipeline does, but only their luma: uint8 `[height, width]` each.

    Raises:
      ValueError: One cannot be decoded; the message says which.
    """
    frames = []
    for number, jpeg in enumerate(jpegs):
        try:
            frames.append(tf.io.decode_jpeg(jpeg, channels=1).numpy()[..., 0])
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"frame {number} of {len(jpegs)} is not a decodable JPEG") from error
    return frames


def look_at(frames: Sequence[np.ndarray]) -> Picture:
    """Measures frames, uint8 `[height, width]`; at least one."""
    blocks = [_block_means(frame) for frame in frames]
    is_black = all(frame.mean() <= _BLACK_LUMA and frame.std() <= _BLACK_DEVIATION for frame in frames)
    same = all(one.shape == blocks[0].shape and np.abs(one - blocks[0]).max() < _MOVED_LUMA for one in blocks)
    return Picture(is_black, len(frames) > 1 and same, difference_hash(frames[len(frames) // 2]))


def difference_hash(luma: np.ndarray) -> int:
    """Returns the dHash of a picture, uint8 `[height, width]`: which of two neighbors in a small copy is brighter."""
    small = np.asarray(Image.fromarray(luma).resize((_COLUMNS, _ROWS), Image.Resampling.BILINEAR), np.float32)
    if np.ptp(small) < _FLAT_LUMA:
        return 0
    return _number(small[:, 1:] > small[:, :-1])


def sound_hash(audio: np.ndarray, sample_rate_hz: int) -> int:
    """Returns 64 bits that are alike for sounds that sound alike; 0 for silence and for very short sound.

    In nine stretches of time and nine bands of pitch: does the step to the next band grow with time?
    Haitsma and Kalker, A Highly Robust Audio Fingerprinting System (ISMIR 2002), coarser (our choice).

    Args:
      audio: int16 `[samples]`.
      sample_rate_hz: Its rate.
    """
    length = len(audio) // (_ROWS + 1)
    if peak_db(audio) <= SILENT_DB or length < _MINIMUM_SEGMENT:
        return 0
    stretches = audio[: length * (_ROWS + 1)].reshape(_ROWS + 1, length) / INT16_RANGE
    powers = np.abs(np.fft.rfft(stretches * np.hanning(length))) ** 2
    highest = min(_HIGHEST_HZ, sample_rate_hz / 2)
    edges = np.geomspace(min(_LOWEST_HZ, highest / 32), highest, _COLUMNS + 1) * length / sample_rate_hz
    sums = np.cumsum(np.pad(powers, ((0, 0), (1, 0))), axis=1)
    places = np.clip(np.round(edges).astype(int), 0, powers.shape[1])
    bands = np.log(np.diff(sums[:, places]) + 1e-9)
    return _number(np.diff(np.diff(bands, axis=1), axis=0) > 0)


def peak_db(audio: np.ndarray) -> float:
    """Returns the loudest sample of int16 `[samples]` in dB below full scale; -inf for digital silence."""
    peak = max(abs(int(audio.min())), abs(int(audio.max()))) if audio.size else 0
    return 20 * math.log10(peak / INT16_RANGE) if peak else -math.inf


def mean_db(audio: np.ndarray) -> float:
    """Returns the root mean square of int16 `[samples]` in dB below full scale; -inf for digital silence."""
    power = float(np.mean(np.square(audio, dtype=np.float32))) if audio.size else 0.0
    return 10 * math.log10(power / INT16_RANGE**2) if power else -math.inf


def sound_end(audio: np.ndarray) -> int:
    """Returns how many samples there are up to the last that is not zero: preparation fills up with zeros."""
    sounding = np.flatnonzero(audio)
    return int(sounding[-1]) + 1 if sounding.size else 0


def media_hash(jpegs: Sequence[bytes], audio: np.ndarray) -> int:
    """Returns a 64-bit hash of everything that is seen and heard; 0 if there is nothing."""
    digest = hashlib.blake2b(digest_size=8)
    for jpeg in jpegs:
        digest.update(jpeg)
    digest.update(audio.tobytes())
    return int.from_bytes(digest.digest(), "little") if len(jpegs) or audio.size else 0


def _block_means(luma: np.ndarray) -> np.ndarray:
    height, width = (max(1, side // _BLOCK_PX) for side in luma.shape)
    rows, columns = luma.shape[0] // height, luma.shape[1] // width
    cropped = luma[: height * rows, : width * columns]
    return cropped.reshape(height, rows, width, columns).mean(axis=(1, 3), dtype=np.float32)


def _number(bits: np.ndarray) -> int:
    return int(_BITS[bits.ravel()].sum())
