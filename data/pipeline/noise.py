"""Gaussian noise on waveforms, added on the host or in the training step, with the same samples.

`tf.random.stateless_normal` will not do: XLA makes other numbers of the same bits than TensorFlow's own kernel. So the noise is
made of the bits here, which are the same wherever they come from Philox: on CPUs and GPUs, with XLA or without. A TPU draws them
from its own generator, which is many times as fast there: its noise differs from the host's, but is the same in every run.
"""

from __future__ import annotations

import math

import tensorflow as tf

from data.pipeline.augmentation import Augmentation

ORDERS = ("noise_key", "noise_deviation")
_OF_THE_DEVICE = tf.random.Algorithm.AUTO_SELECT.value
_BITS = 16  # of a word, for each of two numbers


def random_noise(waveform: tf.Tensor, augmentation: Augmentation, key: tf.Tensor) -> dict[str, tf.Tensor]:
    """Draws what `add_noise` needs for a clip.

    Args:
      waveform: float32 [samples] in [-1, 1].
      augmentation: The ranges.
      key: int64 [2], the stateless seed; nothing else may be drawn with it.

    Returns:
      `noise_key` int64 and `noise_deviation` float32, the latter 0 for a silent clip. Empty if no clip gets noise.
    """
    if not augmentation.audio_noise:
        return {}
    deviation = augmentation.audio_noise * tf.reduce_max(tf.abs(waveform))
    return dict(zip(ORDERS, (key[0], deviation), strict=True))


def add_noise(waveform: tf.Tensor, noise_key: tf.Tensor, noise_deviation: tf.Tensor) -> tf.Tensor:
    """Adds noise to one waveform or to a batch.

    Two samples are made of 32 random bits (Box and Muller 1958, with 16 bits each for the radius and the angle), so none
    exceeds 4.9 standard deviations.

    Args:
      waveform: float32 [samples] or [batch, samples], of static length, in [-1, 1].
      noise_key: int64 [] or [batch].
      noise_deviation: float32 [] or [batch], the standard deviation; 0 leaves a waveform as it is.

    Returns:
      float32, as `waveform`, clipped to [-1, 1].
    """
    samples = waveform.shape[-1]
    count = -(-samples // 2)
    if len(noise_key.shape) == 0:
        words = _random_words(noise_key, count)
    else:  # one generator for all clips, and not one for each
        drawn = tf.TensorSpec([count], tf.uint32)
        words = tf.map_fn(lambda key: _random_words(key, count), noise_key, fn_output_signature=drawn)
    noise = noise_deviation[..., tf.newaxis] * _normal(words)[..., :samples]
    return tf.clip_by_value(waveform + noise, -1.0, 1.0)


def _random_words(key, count):
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[count],
        key=tf.bitcast(key, tf.uint64)[tf.newaxis],
        counter=tf.zeros([2], tf.uint64),
        alg=_OF_THE_DEVICE,
        dtype=tf.uint32,
    )


def _normal(words):
    """Returns two standard normal numbers, float32, for each of the words, uint32 [..., count]: [..., 2 * count]."""
    upper = tf.bitwise.right_shift(words, tf.constant(_BITS, tf.uint32))
    lower = tf.bitwise.bitwise_and(words, tf.constant(2**_BITS - 1, tf.uint32))
    radius = tf.sqrt(-2.0 * tf.math.log(_inside_one(upper)))
    angle = 2.0 * math.pi * _inside_one(lower)
    return tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=-1)


def _inside_one(level):
    """Returns the middle of one of 2^16 equal parts of the interval from 0 to 1."""
    return (tf.cast(tf.cast(level, tf.int32), tf.float32) + 0.5) / 2**_BITS
