"""Bilinear resizing of a box of each clip's frames, in static shapes: the pixels of `tf.image.resize`, which needs a crop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.compiler.xla import xla_data_pb2

_UPPER_BITS = 0xFFFFF000 - 2**32  # of a float32: what they keep has 12 significant bits
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

    It has to be compiled by XLA. A TPU rounds the factors of a product to bfloat16, which has 8 significant bits; with high
    precision, factors are sums of two parts of 8 bits each.
    """
    height, width = frames.shape[2:4]
    levels = tf.cast(frames, tf.float32) - _MIDDLE_LEVEL  # from -128 to 127: half the rounding
    # Columns first: frames are wider than high, so that less is left between the products.
    lines = _product(levels, _weights(columns, width), axis=3)  # [batch, frames, height, 3, size]
    pixels = _product(lines, _weights(rows, height), axis=2)  # [batch, frames, 3, columns, rows]
    return tf.transpose(pixels, [0, 1, 4, 3, 2]) + _MIDDLE_LEVEL


def _product(values, weights, axis):
    """Weighs an axis of `[batch, ...]` by `[batch, size, length of the axis]`; what becomes of it is the last axis.

    As XLA's own operation, since no other of TensorFlow says how exact a product of a TPU is to be.
    """
    dimensions = xla_data_pb2.DotDimensionNumbers(
        lhs_contracting_dimensions=[axis],
        rhs_contracting_dimensions=[2],
        lhs_batch_dimensions=[0],
        rhs_batch_dimensions=[0],
    )
    precision = xla_data_pb2.PrecisionConfig(operand_precision=[xla_data_pb2.PrecisionConfig.HIGH] * 2)
    return gen_xla_ops.xla_dot(values, weights, dimensions.SerializeToString(), precision.SerializeToString())


def _weights(places, stored):
    """Returns the matrix, float32 [batch, size, stored], whose product with the stored pixels is the result."""
    fraction = places.fraction[:, :, tf.newaxis]
    return (1.0 - fraction) * tf.one_hot(places.lower, stored) + fraction * tf.one_hot(places.upper, stored)
