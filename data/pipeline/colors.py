"""Changes of color by the formulas of `tf.image`, in two passes over the pixels instead of a dozen.

`tf.image` turns every pixel to hue and saturation and back, once for each, and takes longer than decoding the JPEG does.
Here each value of a pixel is computed from the three of it alone, in a form that XLA makes vector instructions of: a
hue, seen from one channel, is the same function of (this channel, the next, the one after), red being next to blue.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

# At either end of the joined frames: values read before the first and after the last one, but never used.
_MARGIN = 2
_CHANNELS = 3
_LEVELS = 255.0


def join_frames(frames: Sequence[tf.Tensor]) -> tf.Tensor:
    """Joins frames, float32 [height, width, 3] of one size, to the flat array that the functions below take."""
    margin = tf.zeros([_MARGIN])
    return tf.concat([margin, *(tf.reshape(frame, [-1]) for frame in frames), margin], axis=0)


@tf.function(jit_compile=True, autograph=False)
def rescale(joined: tf.Tensor) -> tf.Tensor:
    """Brings joined frames from [0, 255] to [-1, 1], flat."""
    return 2.0 * (joined[_MARGIN:-_MARGIN] / _LEVELS) - 1.0


def jitter(
    joined: tf.Tensor,
    shape: Sequence[int],
    brightness: tf.Tensor,
    saturation: tf.Tensor,
    contrast: tf.Tensor,
    hue: tf.Tensor,
) -> tf.Tensor:
    """Changes brightness, saturation, contrast and hue, in this order.

    Args:
      joined: What `join_frames` returns; values in [0, 255].
      shape: Frames, height, width.
      brightness: Added to colors in [0, 1].
      saturation: Factor, >= 0.
      contrast: Factor, about the mean of each frame's channel.
      hue: Turn, as a share of the color circle.

    Returns:
      float32 [frames, height, width, 3]: what `tf.image.adjust_*` return, to within rounding, clipped
      to [0, 1] and brought to [-1, 1].
    """
    frames, _, width = shape
    rows = _column_means(joined, brightness, saturation, shape=tuple(shape))
    means = tf.reduce_mean(tf.reshape(rows, [frames, width, _CHANNELS]), axis=1)
    # As arguments of a separate call: XLA would compute them again for every pixel.
    means = [tf.tile(tf.roll(means, -shift, axis=1), [1, width])[:, tf.newaxis] for shift in range(_CHANNELS)]
    changed = _change(joined, brightness, saturation, contrast, hue, means, shape=tuple(shape))
    return tf.reshape(changed, [*shape, _CHANNELS])


@tf.function(jit_compile=True, autograph=False)
def _column_means(joined, brightness, saturation, shape):
    return tf.reduce_mean(_saturate(joined, brightness, saturation, shape)[0], axis=1)


@tf.function(jit_compile=True, autograph=False)
def _change(joined, brightness, saturation, contrast, hue, means, shape):
    channels = _saturate(joined, brightness, saturation, shape)
    own, following, last = [(channel - mean) * contrast + mean for channel, mean in zip(channels, means, strict=True)]
    # Flat rows: an innermost axis of three would keep XLA from vector instructions.
    return 2.0 * tf.clip_by_value(_turn_hue(own, following, last, hue), 0.0, 1.0) - 1.0


def _saturate(joined, brightness, saturation, shape):
    """Returns each value's own channel, the next and the one after, [frames, height, width * 3] each."""
    channels = [channel / _LEVELS + brightness for channel in _channels(joined, shape)]
    high, low = _extremes(channels)
    # Saturation is (high - low) / high, and at most 1; where all is black or darker there is none to change.
    factor = tf.where(high > 0.0, tf.minimum(saturation, high / (high - low)), 0.0)
    return [high - factor * (high - channel) for channel in channels]


def _channels(joined, shape):
    frames, height, width = shape
    values = frames * height * width * _CHANNELS

    def shifted(places: int) -> tf.Tensor:
        start = _MARGIN + places
        return tf.reshape(joined[start : start + values], [frames, height, width * _CHANNELS])

    channel = tf.range(width * _CHANNELS) % _CHANNELS
    following = tf.where(channel == 2, shifted(-2), shifted(1))
    return shifted(0), following, tf.where(channel == 0, shifted(2), shifted(-1))


def _extremes(channels):
    own, following, last = channels
    return tf.maximum(tf.maximum(own, following), last), tf.minimum(tf.minimum(own, following), last)


def _turn_hue(own, following, last, turn):
    """Returns the own channel after the turn; hues go from 0 to 6, and the own channel's is 0."""
    high, low = _extremes((own, following, last))
    span = high - low
    scale = tf.where(span > 0.0, 1.0 / span, 0.0)
    hue = tf.where(
        high == own,
        (following - last) * scale,
        tf.where(high == following, (last - own) * scale + 2.0, (own - following) * scale + 4.0),
    )
    place = hue + 6.0 * turn + 5.0
    place -= 6.0 * tf.floor(place / 6.0)
    return high - span * tf.clip_by_value(tf.minimum(place, 4.0 - place), 0.0, 1.0)
