"""GELU against TensorFlow's in float64."""

import numpy as np
import pytest
import tensorflow as tf

from vatt.gelu import gelu

VALUES = np.linspace(-8.0, 8.0, 1001)


def with_derivative(function, values):
    with tf.GradientTape() as tape:
        tape.watch(values)
        results = function(values)
    return results, tape.gradient(results, values)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_value_and_derivative_are_as_exact_as_tensorflows(dtype, jit_compile):
    values, rounding = tf.cast(VALUES, dtype), {tf.float32: 2**-23, tf.bfloat16: 2**-7}[dtype]
    exact = with_derivative(tf.nn.gelu, tf.cast(values, tf.float64))
    found, plain = (
        tf.function(with_derivative, autograph=False, jit_compile=jit_compile)(function, values)
        for function in (gelu, tf.nn.gelu)
    )
    assert all(each.dtype == dtype for each in found)
    for one, own, other in zip(exact, found, plain, strict=True):
        own_error, plain_error = (np.abs(tf.cast(each, tf.float64) - one).max() for each in (own, other))
        assert own_error <= plain_error + 4 * rounding


def test_gradients_flow_through_both_factors():
    values = tf.constant([-1.0, 0.5, 2.0])
    _, derivative = with_derivative(tf.nn.gelu, values)
    _, scaled = with_derivative(lambda inner: 3.0 * gelu(2.0 * inner), values / 2.0)
    np.testing.assert_allclose(scaled, 6.0 * derivative, rtol=1e-6)
