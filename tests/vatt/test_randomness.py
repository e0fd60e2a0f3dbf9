import numpy as np
import tensorflow as tf

from vatt import randomness

SEED = tf.constant([5, 6])


def test_fold_separates_purposes_and_passes_none():
    assert randomness.fold(None, 3) is None
    one, other = randomness.fold(SEED, 1, 2), randomness.fold(SEED, 2, 1)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, randomness.fold(SEED, 1, 2))


def test_dropout_zeroes_the_rate_and_keeps_the_mean():
    values = randomness.dropout(tf.ones([100_000]), 0.3, SEED).numpy()
    np.testing.assert_allclose((values == 0).mean(), 0.3, atol=0.01)
    np.testing.assert_allclose(values.mean(), 1.0, atol=0.01)


def test_dropout_without_seed_or_rate_changes_nothing():
    values = tf.constant([1.0, 2.0])
    assert randomness.dropout(values, 0.3, None) is values
    assert randomness.dropout(values, 0.0, SEED) is values
