"""Changes of color by the formulas of `tf.image`, in two passes over the pixels instead of a dozen.

`tf.image` turns every pixel to hue and saturation and back, once for each, and takes longer than decoding the JPEG does.
Here red, green and blue are planes of their own, so that XLA makes vector instructions of all that is done to a pixel.
"""

from __future__ import annotations

import tensorflow as tf

NEUTRAL = (0.0, 1.0, 1.0, 0.0)
"""The factors that change nothing: brightness, saturation, contrast, hue."""
_LEVELS = 255.0


@tf.function(jit_compile=True, autograph=False)
def rescale(video: tf.Tensor) -> tf.Tensor:
    """Brings float32 from [0, 255] to [-1, 1]."""
    return 2.0 * (video / _LEVELS) - 1.0


@tf.function(jit_compile=True, autograph=False)
def jitter(video: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Changes brightness, saturation, contrast and hue, in this order.

    Args:
      video: float32 [batch, frames, height, width, 3] in [0, 255].
      factors: float32 [batch, 4] of each clip: what is added to colors in [0, 1]; the factor >= 0 of the saturation; the
        factor of the contrast, about the mean of each frame's channel; the turn of the hue, as a share of the color circle.

    Returns:
      float32, as `video`: what `tf.image.adjust_*` return, to within rounding, clipped to [0, 1] and brought to [-1, 1].
    """
    brightness, saturation, contrast, hue = [_per_clip(factor) for factor in tf.unstack(factors, axis=1)]
    planes = tf.unstack(tf.transpose(video, [4, 0, 1, 2, 3]))
    planes = _saturate([plane / _LEVELS + brightness for plane in planes], saturation)
    planes = [_contrast(plane, contrast) for plane in planes]
    changed = [tf.clip_by_value(plane, 0.0, 1.0) for plane in _turn_hue(planes, hue)]
    return 2.0 * tf.transpose(tf.stack(changed), [1, 2, 3, 4, 0]) - 1.0


def _per_clip(factor):
    return factor[:, tf.newaxis, tf.newaxis, tf.newaxis]


def _saturate(planes, saturation):
    high, low = _extremes(planes)
    # Saturation is (high - low) / high, and at most 1; where all is black or darker there is none to change.
    factor = tf.where(high > 0.0, tf.minimum(saturation, high / (high - low)), 0.0)
    return [high - factor * (high - plane) for plane in planes]


def _contrast(plane, contrast):
    # Over the rows first, a sum that has vector instructions.
    mean = tf.reduce_mean(tf.reduce_mean(plane, axis=2), axis=2)[:, :, tf.newaxis, tf.newaxis]
    return (plane - mean) * contrast + mean


def _turn_hue(planes, turn):
    """Returns the planes after the turn; hues go from 0 to 6, red being 0, green 2 and blue 4."""
    red, green, blue = planes
    high, low = _extremes(planes)
    span = high - low
    scale = tf.where(span > 0.0, 1.0 / span, 0.0)
    hue = tf.where(
        high == red,
        (green - blue) * scale,
        tf.where(high == green, (blue - red) * scale + 2.0, (red - green) * scale + 4.0),
    )
    return [high - span * _lack(hue + 6.0 * turn - own_hue) for own_hue in (0.0, 2.0, 4.0)]


def _lack(distance):
    """Returns how much of a channel is missing, in [0, 1], at a distance in hue from its own color."""
    place = distance + 5.0
    place -= 6.0 * tf.floor(place / 6.0)
    return tf.clip_by_value(tf.minimum(place, 4.0 - place), 0.0, 1.0)


def _extremes(planes):
    red, green, blue = planes
    return tf.maximum(tf.maximum(red, green), blue), tf.minimum(tf.minimum(red, green), blue)
