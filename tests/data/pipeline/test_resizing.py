"""The places and weights of the device's resizing compared with those of `tf.image.resize`."""

import numpy as np
import pytest
import tensorflow as tf

from data.pipeline.resizing import taps

STORED = 455


@pytest.mark.parametrize("size", [224, 96])
def test_places_are_those_of_tensorflow_to_the_last_bit(size):
    lengths = np.arange(1, STORED + 1)
    function = tf.function(
        lambda length: taps(tf.zeros_like(length), length, tf.zeros_like(length, tf.bool), size, STORED),
        autograph=False,
        jit_compile=True,
    )
    lower, upper, fraction = (value.numpy() for value in function(tf.constant(lengths, tf.int32)))
    for row, length in enumerate(lengths):
        ramp = tf.reshape(tf.range(length, dtype=tf.float32), [1, length, 1])  # resized, it is the place itself
        place = tf.image.resize(ramp, [1, size])[0, :, 0].numpy()
        found = lower[row] + (upper - lower)[row].astype(np.float32) * fraction[row]
        np.testing.assert_array_equal(found.astype(np.float32), place)


def test_a_mirrored_box_is_read_from_its_end():
    plain, mirrored = (taps(*map(tf.constant, ([3], [5], [flip])), size=7, stored=9) for flip in (False, True))
    for there, back in zip(plain[:2], mirrored[:2], strict=True):
        np.testing.assert_array_equal(there - 3, 7 - back)  # the box is 3 to 7
    np.testing.assert_array_equal(plain.fraction, mirrored.fraction)
