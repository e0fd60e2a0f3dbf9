import numpy as np
import tensorflow as tf

from harmonization import reference

VIDEO_AUDIO = [tf.constant([[-4.0]]), tf.constant([1.0, 1.0])]
VIDEO_TEXT = [tf.constant([[6.0]]), tf.constant([1.0, 1.0])]


def test_flat_and_back(random_gradients):
    gradients = random_gradients(seed=0)[0]
    vector = reference.flatten(gradients)
    assert vector.shape == [29]
    for got, expected in zip(reference.unflatten(vector, gradients), gradients, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_realign_golden_value():
    update = reference.flatten(reference.realign(VIDEO_AUDIO, VIDEO_TEXT))
    np.testing.assert_allclose(update, [0.5848, 3.8012, 3.8012], atol=1e-4)


def test_select_compares_the_cosine_or_the_dot_product():
    for indicator, value in (("cosine", -0.8412), ("dot", -22.0)):
        update, keep = reference.select(VIDEO_AUDIO, VIDEO_TEXT, value - 0.1, indicator)
        assert keep
        np.testing.assert_array_equal(reference.flatten(update), [2, 2, 2])
        update, keep = reference.select(VIDEO_AUDIO, VIDEO_TEXT, value + 0.1, indicator)
        assert not keep
        np.testing.assert_array_equal(reference.flatten(update), [0, 0, 0])


def test_select_and_realign():
    update, keep = reference.select_and_realign(VIDEO_AUDIO, VIDEO_TEXT, -0.9)
    assert keep
    np.testing.assert_allclose(reference.flatten(update), [0.5848, 3.8012, 3.8012], atol=1e-4)
    update, keep = reference.select_and_realign(VIDEO_AUDIO, VIDEO_TEXT, 0.0)
    assert not keep and not np.any(reference.flatten(update))
