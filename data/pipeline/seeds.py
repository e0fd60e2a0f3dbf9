"""Stateless random keys: every draw of the input pipeline is a function of a few numbers."""

from __future__ import annotations

import tensorflow as tf

# Purposes of the keys, so that two kinds of draw never share a key.
SHARD_ORDER, WINDOW_ORDER, CLIP = range(3)


def derive_key(*numbers: int | tf.Tensor) -> tf.Tensor:
    """Folds numbers into one key for the stateless random functions.

    Args:
      *numbers: At least two integers, such as seed, pipeline, purpose, position.

    Returns:
      int64 [2]. Equal numbers in equal order give equal keys.
    """
    first, second, *rest = [tf.cast(number, tf.int64) for number in numbers]
    key = tf.stack([first, second])
    for number in rest:
        key = tf.random.experimental.stateless_fold_in(key, number)
    return key
