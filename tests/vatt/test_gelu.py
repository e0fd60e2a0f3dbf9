"""GELU against SciPy's normal distribution, in float64."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from vatt.gelu import gelu

POINTS = np.linspace(-12.0, 12.0, 4801)


def run(values):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        found = gelu(values)
        objectives = [tf.reduce_sum(found), tf.reduce_sum(3.0 * found)]
    return [found, *(tape.gradient(one, values) for one in objectives)]


@pytest.mark.parametrize(("dtype", "error"), [(tf.float32, 1e-6), (tf.bfloat16, 2**-7), (tf.float16, 2**-10)])
@pytest.mark.parametrize("jit", [False, True])
def test_it_is_x_times_the_normal_distribution_with_its_derivative(dtype, error, jit):
    values = tf.cast(POINTS, dtype)
    x = tf.cast(values, tf.float64).numpy()
    distribution = scipy.stats.norm.cdf(x)
    derivative = distribution + x * scipy.stats.norm.pdf(x)
    for found, exact in zip(
        tf.function(run, jit_compile=jit)(values), [x * distribution, derivative, 3 * derivative], strict=True
    ):
        assert found.dtype == dtype
        np.testing.assert_allclose(tf.cast(found, tf.float64), exact, rtol=error, atol=error)


def test_it_is_finite_everywhere():
    for found in run(tf.constant([-3e38, -1e20, 0.0, 1e20, 3e38])):
        assert np.isfinite(found).all()
