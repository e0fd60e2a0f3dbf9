"""Bilinear resizing of a box of each clip's frames, in static shapes: the pixels of `tf.image.resize`, which needs a crop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

_UPPER_BITS = 0xFFFFF000 - 2**32  # of a float32: what they keep has 12 significant bits
_BFLOAT16_BITS, _HALF_A_BFLOAT16_UNIT = 0xFFFF0000 - 2**32, 0x8000
_MIDDLE_LEVEL = 128.0


class Taps(NamedTuple):
    """The two stored pixels that each pixel along one axis of the result lies between.

    Attributes:
      lower, upper: int32 [batch, size], where these are.
      fraction: float32 [batch, size], the share of the upper one.
    """

    lower: tf.Tensor
    upper: tf.Tensor
    fraction: tf.Tensor


def taps(start: tf.Tensor, length: tf.Tensor, mirrored: tf.Tensor, size: int, stored: int) -> Taps:
    """Returns what one axis of the result is made of.

    Compiled by XLA, the places are those of `tf.image.resize` to the last bit. There a compiler may fuse the product and the
    sum, which rounds once instead of twice; so the product is taken as the sum of two that are exact.

    Args:
      start: int32 [batch], where the boxes begin.
      length: int32 [batch], pixels of the boxes; at least 1.
      mirrored: bool [batch], whether the box is read from its end.
      size: Pixels of the result.
      stored: The greatest length there is.
    """
    halves = tf.gather(tf.constant(np.arange(stored + 1, dtype=np.float32) / np.float32(2 * size)), length)[
        :, tf.newaxis
    ]
    upper_bits = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(halves, tf.int32), _UPPER_BITS), tf.float32)
    odd = tf.constant(2 * np.arange(size) + 1, tf.float32)
    place = odd * upper_bits + odd * (halves - upper_bits) - 0.5
    floor = tf.floor(place)
    start, last, mirrored = (value[:, tf.newaxis] for value in (start, length - 1, mirrored))

    def stored_place(offset: int) -> tf.Tensor:
        inside = tf.clip_by_value(tf.cast(floor, tf.int32) + offset, 0, last)
        return start + tf.where(mirrored, last - inside, inside)

    return Taps(stored_place(0), stored_place(1), place - floor)


def resize_by_gathers(frames: tf.Tensor, rows: Taps, columns: Taps) -> tf.Tensor:
    """Reads the four pixels around each one of the result; fast on CPUs and GPUs.

    Args:
      frames: uint8 [batch, frames, height, width, 3].
      rows: Where each line of the result comes from.
      columns: Likewise for its columns.

    Returns:
      float32 [batch, frames, size, size, 3] in [0, 255].
    """
    batch, count, height, width, _ = frames.shape
    lines = tf.reshape(frames, [batch, count, height, width * 3])
    lines = _between(lines, rows, axis=2)
    pixels = tf.reshape(lines, [batch, count, rows.lower.shape[1], width, 3])
    return _between(pixels, columns, axis=3)


def _between(values, places, axis):
    def read(indices: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(values, indices, axis=axis, batch_dims=1), tf.float32)

    lower = read(places.lower)
    fraction = tf.reshape(
        places.fraction, [-1, *[1] * (axis - 1), places.fraction.shape[1], *[1] * (lower.shape.rank - axis - 1)]
    )
    return lower + (read(places.upper) - lower) * fraction


def resize_by_products(frames: tf.Tensor, rows: Taps, columns: Taps) -> tf.Tensor:
    """Multiplies by a matrix of weights on each side; for TPUs, which are slow to gather. See `resize_by_gathers`.

    A TPU rounds the factors of a product to bfloat16, which has 8 significant bits. Levels of a byte fit into these; weights
    and the pixels between the products are sums of two parts that do.
    """
    height, width = frames.shape[2:4]
    levels = tf.cast(frames, tf.float32) - _MIDDLE_LEVEL  # from -128 to 127: half the rounding
    # Columns first: frames are wider than high, so that less is left between the products.
    lines = tf.add_n([tf.einsum("bsw,bfhwc->bfhsc", part, levels) for part in _parts(_weights(columns, width))])
    upper, rest = _parts(lines)
    first, second = _parts(_weights(rows, height))
    pairs = ((first, upper), (first, rest), (second, upper))
    return tf.add_n([tf.einsum("brh,bfhsc->bfrsc", part, pixels) for part, pixels in pairs]) + _MIDDLE_LEVEL


def _weights(places, stored):
    """Returns the matrix, float32 [batch, size, stored], whose product with the stored pixels is the result."""
    fraction = places.fraction[:, :, tf.newaxis]
    return (1.0 - fraction) * tf.one_hot(places.lower, stored) + fraction * tf.one_hot(places.upper, stored)


def _parts(values):
    """Splits float32 in two that bfloat16 holds: the first exactly. By its bits, as compilers drop casts to and fro."""
    bits = tf.bitcast(values, tf.int32) + _HALF_A_BFLOAT16_UNIT
    upper = tf.bitcast(tf.bitwise.bitwise_and(bits, _BFLOAT16_BITS), tf.float32)
    return upper, values - upper
