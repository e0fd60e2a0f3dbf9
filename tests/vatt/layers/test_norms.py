"""LayerNorm with a backward pass of its own against Keras' layer."""

import numpy as np
import pytest
import tensorflow as tf

from vatt.keras import keras
from vatt.layers.norms import LayerNormalization


def draw(shape, number):
    return 3.0 * tf.random.stateless_normal(shape, [7, number]) + 1.0


def make(layer, shape):
    layer.build(shape)
    layer.set_weights([draw(shape[-1:], 0), draw(shape[-1:], 1)])
    return layer


def results(layer, values):
    """What comes out, and the gradients of two objectives, from one tape."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        found = tf.cast(layer(values), tf.float32)
        objectives = [tf.reduce_sum(tf.sin(found)), tf.reduce_sum(tf.square(found))]
    sources = [values, *layer.trainable_variables]
    return [found, *(gradient for one in objectives for gradient in tape.gradient(one, sources))]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("shape", [(3, 5, 8), (6, 16)])
@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
def test_it_is_keras_layer_with_its_gradients(policy, tolerance, shape, jit):
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        layers = LayerNormalization(), keras.layers.LayerNormalization(epsilon=1e-6)
        own, exact = (make(layer, shape) for layer in layers)
    finally:
        keras.mixed_precision.set_global_policy(before)
    values = draw(shape, 2)
    found = tf.function(lambda values: results(own, values), jit_compile=jit)(values)
    for one, other in zip(found, results(exact, values), strict=True):
        one, other = np.array(one), np.array(other)
        assert one.shape == other.shape and np.linalg.norm(one - other) < tolerance * np.linalg.norm(other)


def test_a_token_of_equal_values_becomes_the_offset():
    layer = make(LayerNormalization(), [2, 3, 8])
    found = results(layer, tf.fill([2, 3, 8], 5.0))
    np.testing.assert_array_equal(found[0], np.broadcast_to(layer.beta, [2, 3, 8]))
    assert all(np.isfinite(one).all() for one in found)


@pytest.mark.parametrize("mean", [0.0, 1.0, -30.0])
def test_bfloat16_costs_no_more_accuracy_than_its_digits(mean):
    """Its moments are those of one pass; the mean is that many times what the values differ by."""
    values = tf.cast(draw([50, 256], 4) / 3.0 + mean, tf.bfloat16)
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        found = np.array(tf.cast(LayerNormalization()(values), tf.float64))
    finally:
        keras.mixed_precision.set_global_policy(before)
    exact = np.array(tf.cast(values, tf.float64))
    exact = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(found, exact, rtol=2**-8, atol=2e-3)
