"""GELU against SciPy's normal distribution, in float64."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import vatt
from vatt import randomness
from vatt.layers.gelu import gelu

POINTS = np.linspace(-12.0, 12.0, 4801)


def run(values, gelu=gelu):
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


@pytest.mark.parametrize("jit", [False, True])
def test_its_form_for_tpus_is_as_exact_as_bfloat16(jit):
    values = tf.cast(POINTS, tf.bfloat16)
    x = tf.cast(values, tf.float64).numpy()
    distribution = scipy.stats.norm.cdf(x)
    exact = [x * distribution, distribution + x * scipy.stats.norm.pdf(x)]
    with vatt.traced_for_tpu():
        found = tf.function(run, jit_compile=jit)(values)[:2]
    for one, other in zip(found, exact, strict=True):
        # Half a last place, and the fit.
        np.testing.assert_allclose(tf.cast(one, tf.float64), other, rtol=2**-8, atol=6e-5)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_it_is_finite_everywhere_on_tpus_and_float32_has_no_fit(dtype):
    values = tf.constant([-3e38, -1e20, -20.0, 0.0, 1.7, 20.0, 1e20, 3e38], dtype)
    with vatt.traced_for_tpu():
        found = run(values)
    expected = run(values)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            *(tf.cast(each, tf.float32) for each in (one, other)), rtol=2**-7 * (dtype == tf.bfloat16)
        )


def test_it_is_finite_everywhere():
    for found in run(tf.constant([-3e38, -1e20, 0.0, 1e20, 3e38])):
        assert np.isfinite(found).all()


@pytest.mark.parametrize("jit", [False, True])
def test_its_dropout_is_that_of_its_result(jit):
    key, rate = tf.constant([7], tf.uint64), 0.3
    values = tf.random.stateless_normal([9, 5, 11], [1, 2])
    plain = lambda x: randomness.dropout(gelu(x), rate, key)  # noqa: E731
    expected, found = (
        tf.function(run, jit_compile=jit)(values, form) for form in (plain, lambda x: gelu(x, rate, key))
    )
    assert 0.2 < np.mean(found[0] == 0) < 0.4
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_no_backward_pass_reads_random_words():
    """The forward pass draws them, and keeps one product for all backward passes."""
    key = tf.constant([7], tf.uint64)
    traced = tf.function(lambda: run(tf.ones([8, 3]), lambda x: gelu(x, 0.3, key)), autograph=False)
    operations = traced.get_concrete_function().graph.get_operations()
    assert sum(each.type == "GreaterEqual" for each in operations) == 1
