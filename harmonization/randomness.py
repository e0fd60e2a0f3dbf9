"""Random numbers that are the same in every run, on every replica, and with XLA on or off."""

import math
from collections.abc import Sequence

import tensorflow as tf


def random_key(seed: int, step: tf.Tensor, *place: int) -> tf.Tensor:
    """The key of one draw.

    Args:
      seed: The seed of the run.
      step: [] int64 training step.
      *place: Where in the step the draw is made, say the positions of a group and of a variable.

    Returns:
      [2] int64, for `standard_normal`.
    """
    key = tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)])
    for number in place:
        key = tf.random.experimental.stateless_fold_in(key, tf.constant(number, tf.int64), alg="philox")
    return key


def standard_normal(shape: Sequence[int] | tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Draws from the standard normal distribution, within +-5.5.

    `tf.random.stateless_normal` gives other numbers under XLA: the bits are the same, but not what
    is made of them (TensorFlow 2.20). So we start from the bits.

    Args:
      shape: Of the result.
      key: [2] int64, from `random_key`.

    Returns:
      float32 tensor.
    """
    bits = tf.random.stateless_uniform(shape, key, minval=None, maxval=None, dtype=tf.int32, alg="philox")
    return normal_from_bits(bits)


def normal_from_bits(bits: tf.Tensor) -> tf.Tensor:
    """Maps uniform random bits to standard normal numbers.

    Args:
      bits: int32 tensor.

    Returns:
      float32 tensor, finite for all bits.
    """
    # 24 bits and a half step: all of (-1, 1) that float32 spaces evenly, without the ends.
    steps = tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32)
    uniform = (steps + 0.5) / 2.0**23
    # TensorFlow rounds the largest number below 1 to 1, whose `erfinv` is infinite; not so near -1.
    return -math.sqrt(2.0) * tf.sign(uniform) * tf.math.erfinv(-tf.abs(uniform))
