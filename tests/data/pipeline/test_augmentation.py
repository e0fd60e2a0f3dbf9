import numpy as np
import pytest
import tensorflow as tf

from data import Augmentation, DataError
from data.pipeline.augmentation import (
    random_color_factors,
    random_crop_box,
    random_flip,
)
from data.pipeline.colors import NEUTRAL, jitter

KEYS = tf.stack([tf.zeros(200, tf.int64), tf.range(200, dtype=tf.int64)], axis=1)


def draw(function):
    """Calls a function with 200 keys, twice, and returns the equal results."""
    over_keys = tf.function(lambda: tf.map_fn(function, KEYS, fn_output_signature=tf.float32), autograph=False)
    results = [over_keys().numpy() for _ in "ab"]
    np.testing.assert_array_equal(*results)
    return results[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"crop_area": (0.0, 1.0)},
        {"crop_area": (0.5, 1.1)},
        {"crop_area": (0.9, 0.5)},
        {"crop_area": 0.5},
        {"crop_aspect": (0.5, 2.0, 3.0)},
        {"crop_aspect": ("a", "b")},
        {"flip_probability": 1.5},
        {"jitter_probability": -0.1},
        {"saturation": 1.2},
        {"hue": 0.6},
        {"audio_noise": None},
        {"brightness": float("nan")},
    ],
)
def test_a_bad_value_is_named(changes):
    (name,) = changes
    with pytest.raises(DataError, match=f"Augmentation.{name} should be"):
        Augmentation(**changes)


def test_crops_stay_in_their_ranges_and_fill_them():
    augmentation = Augmentation(crop_area=(0.3, 0.9))
    shape = tf.constant([120, 160, 3])
    boxes = draw(lambda key: tf.cast(random_crop_box(shape, augmentation, key), tf.float32))
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (top + height <= 120).all()
    assert (left >= 0).all() and (left + width <= 160).all()
    area, aspect = height * width / (120 * 160), width / height
    assert 0.29 < area.min() < 0.35 and 0.8 < area.max() < 0.91
    assert 0.48 < aspect.min() < 0.7 and 1.6 < aspect.max() < 2.05
    assert len(np.unique(boxes, axis=0)) > 150


def test_a_crop_that_cannot_fit_is_the_whole_frame():
    augmentation = Augmentation(crop_area=(0.9, 1.0))
    box = random_crop_box(tf.constant([10, 400, 3]), augmentation, KEYS[0])
    assert box.numpy().tolist() == [0, 0, 10, 400]


@pytest.mark.parametrize(("probability", "least", "greatest"), [(0, 0, 0), (0.5, 0.4, 0.6), (1, 1, 1)])
def test_clips_are_mirrored_as_often_as_asked(probability, least, greatest):
    augmentation = Augmentation(flip_probability=probability)
    flips = draw(lambda key: tf.cast(random_flip(augmentation, key), tf.float32))
    assert least <= flips.mean() <= greatest


def test_jitter_is_drawn_as_often_as_asked_and_stays_in_range():
    factors = draw(lambda key: random_color_factors(Augmentation(), key))
    unchanged = (factors == NEUTRAL).all(axis=1)
    assert 0.1 < unchanged.mean() < 0.3  # 1 - jitter_probability = 0.2
    assert (factors[unchanged] == NEUTRAL).all() and (factors[~unchanged] != NEUTRAL).all()
    assert random_color_factors(Augmentation(jitter_probability=0.0), KEYS[0]) is None


@pytest.mark.parametrize("name", ["brightness", "saturation", "contrast", "hue"])
def test_each_color_change_stays_within_its_setting(name):
    off = {"brightness": 0.0, "saturation": 0.0, "contrast": 0.0, "hue": 0.0}
    augmentation = Augmentation(jitter_probability=1.0, **off | {name: 0.2})
    image = 0.3 + 0.4 * tf.random.stateless_uniform([6, 6, 3], [1, 2])
    factors = draw(lambda key: random_color_factors(augmentation, key))
    clips = jitter(tf.tile(255.0 * image[tf.newaxis, tf.newaxis], [200, 1, 1, 1, 1]), factors)
    clips = (clips[:, 0].numpy() + 1.0) / 2.0
    hsv, before = tf.image.rgb_to_hsv(clips).numpy(), tf.image.rgb_to_hsv(image).numpy()
    image = image.numpy()
    change = {
        "brightness": (clips - image).mean(axis=(1, 2, 3)),
        "saturation": (hsv[..., 1] / before[..., 1]).mean(axis=(1, 2)) - 1.0,
        "contrast": clips.std(axis=(1, 2)).mean(-1) / image.std(axis=(0, 1)).mean() - 1,
        "hue": ((hsv[..., 0] - before[..., 0] + 0.5) % 1.0 - 0.5).mean(axis=(1, 2)),
    }[name]
    assert -0.201 < change.min() < -0.15 and 0.15 < change.max() < 0.201
    if name != "brightness":
        assert abs(clips.mean() - image.mean()) < 0.05
