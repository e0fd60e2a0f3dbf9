"""Changes of color compared with those of `tf.image`."""

import numpy as np
import pytest
import tensorflow as tf

from data.pipeline import colors


def by_tf_image(frames, brightness, saturation, contrast, hue):
    changed = frames / 255.0 + brightness
    changed = tf.image.adjust_saturation(changed, saturation)
    changed = tf.image.adjust_contrast(changed, contrast)
    return 2.0 * tf.clip_by_value(tf.image.adjust_hue(changed, hue), 0.0, 1.0) - 1.0


@pytest.fixture(scope="module")
def frames():
    """Noise, and pixels of every order of equal, least and greatest channels, black and white among them."""
    noise = tf.random.stateless_uniform([2, 20, 9, 3], [0, 1], 0.0, 255.0)
    levels = tf.constant([0.0, 20.0, 128.0, 250.0, 255.0])
    grid = tf.stack(tf.meshgrid(levels, levels, levels), axis=-1)
    return tf.concat([noise, tf.tile(tf.reshape(grid, [1, 25, 5, 3]), [2, 1, 2, 1])[:, :20, :9]], axis=0)


@pytest.mark.parametrize(
    "changes",
    [
        (0.0, 1.0, 1.0, 0.0),
        (0.12, 1.0, 1.0, 0.0),
        (-0.12, 1.4, 1.0, 0.0),  # colors below 0
        (0.0, 0.0, 1.0, 0.0),
        (0.0, 1.0, 0.6, 0.0),
        (0.0, 1.0, 1.0, 0.2),
        (0.1, 1.4, 1.4, -0.2),
        (-0.1, 0.6, 1.3, 0.5),
        (0.05, 1.2, 0.7, -0.5),
    ],
)
def test_jitter_is_that_of_tf_image(frames, changes):
    found = colors.jitter(frames[tf.newaxis], tf.constant([changes]))[0]
    assert found.shape == frames.shape
    np.testing.assert_allclose(found, by_tf_image(frames, *changes), atol=2e-5)


def test_each_clip_of_a_batch_has_its_own_change(frames):
    changes = tf.constant([(0.1, 1.4, 1.4, -0.2), (-0.1, 0.6, 1.3, 0.5)])
    found = colors.jitter(tf.stack([frames, frames[::-1]]), changes)
    for clip, video, change in zip(found, (frames, frames[::-1]), changes, strict=True):
        np.testing.assert_allclose(clip, colors.jitter(video[tf.newaxis], change[tf.newaxis])[0], atol=1e-6)


def test_neutral_factors_only_rescale(frames):
    for found in (colors.rescale(frames), colors.jitter(frames[tf.newaxis], tf.constant([colors.NEUTRAL]))[0]):
        np.testing.assert_allclose(found, frames / 127.5 - 1.0, atol=2e-6)
