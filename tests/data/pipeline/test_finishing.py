"""The video that is finished in the step compared with that of the host."""

import numpy as np
import pytest
import tensorflow as tf

from data.pipeline.colors import NEUTRAL
from data.pipeline.finishing import finish_clips, finish_on_host, orders_for_device

CANVAS, SIZE, FRAMES = (40, 56), 24, 2
WAYS = pytest.mark.parametrize("products", [False, True])
STRONGEST = [(32 / 255, 1.4, 1.4, 0.2), (-32 / 255, 1.4, 1.4, -0.2), (0.05, 0.6, 0.6, -0.1)]


@pytest.fixture(scope="module")
def crops():
    """Noise of all shapes, (frames, flip, color factors) each: what costs exactness most."""
    generator = np.random.default_rng(0)
    shapes = [CANVAS, (1, 1), (40, 3), (2, 56), *generator.integers(1, CANVAS, [8, 2], endpoint=True)]
    factors = [NEUTRAL, *STRONGEST]
    return [
        (
            tf.constant(generator.integers(0, 256, (FRAMES, *shape, 3), np.uint8)),
            tf.constant(i % 2 == 1),
            factors[i % 4],
        )
        for i, shape in enumerate(shapes)
    ]


def on_device(crops, products, colors=True):
    orders = [
        orders_for_device(frames, flip, tf.constant(factors) if colors else None, CANVAS)
        for frames, flip, factors in crops
    ]
    batch = {name: tf.stack([each[name] for each in orders]) for name in orders[0]}
    return batch, finish_clips({**batch, "label": tf.range(len(crops))}, SIZE, products)


@WAYS
@pytest.mark.parametrize("colors", [True, False])
def test_the_device_makes_the_pixels_of_the_host(crops, products, colors):
    batch, finished = on_device(crops, products, colors)
    assert batch["video"].dtype == tf.uint8 and batch["video"].shape == (len(crops), FRAMES, *CANVAS, 3)
    assert finished.keys() == {"video", "label"} and finished["video"].dtype == tf.float32
    for found, (frames, flip, factors) in zip(finished["video"], crops, strict=True):
        host = finish_on_host(frames, flip, tf.constant(factors) if colors else None, SIZE)
        np.testing.assert_allclose(found, host, atol=2e-5)
        assert host.numpy().std() > 0.1 or frames.shape[1:3] == (1, 1)


@WAYS
def test_what_lies_outside_the_crop_is_not_looked_at(crops, products):
    batch, finished = on_device(crops[2:4], products)
    inside = tf.zeros_like(batch["video"])
    for clip, (frames, *_) in enumerate(crops[2:4]):
        height, width = frames.shape[1:3]
        inside = tf.tensor_scatter_nd_update(
            inside, [[clip]], [tf.pad(tf.ones_like(frames), [[0, 0], [0, 40 - height], [0, 56 - width], [0, 0]])]
        )
    filled = finish_clips({**batch, "video": tf.where(inside > 0, batch["video"], 255)}, SIZE, products)
    np.testing.assert_array_equal(filled["video"], finished["video"])


@WAYS
def test_a_box_may_begin_anywhere(crops, products):
    batch, finished = on_device(crops[4:], products)
    rolled = {
        **batch,
        "video": tf.roll(batch["video"], [1, 2], axis=[2, 3]),
        "video_box": batch["video_box"] + [1, 2, 0, 0],
    }
    fits = [i for i, (frames, *_) in enumerate(crops[4:]) if frames.shape[1] < 40 and frames.shape[2] < 55]
    assert len(fits) > 2
    moved = finish_clips(rolled, SIZE, products)["video"]
    np.testing.assert_allclose(tf.gather(moved, fits), tf.gather(finished["video"], fits), atol=1e-6)


def test_finished_clips_stay_as_they_are():
    clips = {"video": tf.zeros([1, 2, SIZE, SIZE, 3]), "label": tf.zeros([1])}
    assert finish_clips(clips, SIZE) is clips


def test_the_host_does_what_tf_image_does(crops):
    for frames, flip, _ in crops[:5]:
        plain = tf.image.resize(tf.reverse(frames, [2]) if flip else frames, [SIZE, SIZE]) / 127.5 - 1.0
        np.testing.assert_allclose(finish_on_host(frames, flip, None, SIZE), plain, atol=1e-6)
