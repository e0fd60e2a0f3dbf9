import numpy as np
import tensorflow as tf

from harmonization.randomness import normal_from_bits, random_key, standard_normal


def test_draws_are_standard_normal():
    draws = standard_normal([200_000], random_key(1, 2)).numpy().astype(np.float64)
    assert abs(draws.mean()) < 0.01 and abs(draws.std() - 1) < 0.01
    assert abs((draws**3).mean()) < 0.05 and abs((draws**4).mean() - 3) < 0.1
    assert np.abs(draws).max() < 5.5
    for quantile, expected in ((0.0228, -2), (0.1587, -1), (0.8413, 1), (0.9772, 2)):
        assert abs(np.quantile(draws, quantile) - expected) < 0.02


def test_every_place_has_a_draw_of_its_own():
    keys = [(0, 0), (0, 1), (1, 0), (0, 0, 0), (0, 0, 1), (0, 0, 0, 1), (0, 0, 1, 0), (2**40, 0), (0, 2**40)]
    draws = np.stack([standard_normal([1000], random_key(*key)) for key in keys])
    again = np.stack([standard_normal([1000], random_key(*key)) for key in keys])
    np.testing.assert_array_equal(draws, again)
    assert np.abs(np.corrcoef(draws) - np.eye(len(keys))).max() < 0.15


def test_draws_are_the_same_with_xla():
    def draw(step):
        return standard_normal([3, 50], random_key(7, step, 2, 5))

    step = tf.constant(11, tf.int64)
    plain, compiled = tf.function(draw)(step), tf.function(draw, jit_compile=True)(step)
    np.testing.assert_allclose(plain, draw(step), rtol=1e-6)
    np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-6)


def test_all_bits_make_finite_numbers():
    """Infinity came once in 2^24 draws: a run with noise on 170,000 gradients met it in its second epoch."""
    extremes = tf.constant([2**31 - 1, 2**31 - 257, 0, 255, -1, -(2**31), -(2**31) + 256], tf.int32)
    for function in (normal_from_bits, tf.function(normal_from_bits, jit_compile=True)):
        draws = function(extremes).numpy()
        assert np.all(np.isfinite(draws)) and np.abs(draws).max() < 5.5
        np.testing.assert_allclose(draws[[0, 1]], -draws[[5, 6]], rtol=1e-6)
        assert draws[2] == draws[3] == -draws[4] > 0
