import numpy as np
import pytest
import tensorflow as tf

from harmonization import FairGrad, NashMTL


def test_by_hand(gram_of):
    # Orthogonal: 4 w = w^(-1/2) and w = w^(-1/2).
    np.testing.assert_allclose(FairGrad(2.0).weights(gram_of([[2, 0], [0, 1]])), [4 ** (-2 / 3), 1.0], rtol=1e-6)
    # Parallel unit gradients: w1 = w2 = w with 2 w = w^(-2).
    np.testing.assert_allclose(FairGrad(0.5).weights(gram_of([[1, 0], [1, 0]])), [2 ** (-1 / 3)] * 2, rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.25, 0.5, 2.0, 4.0])
def test_gains_are_powers_of_the_weights(alpha, gram_of):
    generator = np.random.default_rng(0)
    for objectives in (2, 3, 8):
        vectors = generator.normal(size=(objectives, 12)) * generator.uniform(0.2, 3.0, size=(objectives, 1))
        weights = FairGrad(alpha).weights(gram_of(vectors)).numpy().astype(np.float64)
        np.testing.assert_allclose(vectors @ (weights @ vectors), weights ** (-1 / alpha), rtol=1e-4)


def test_alpha_of_one_is_nash(gram_of):
    gram = gram_of([[-4, 1, 1], [6, 1, 1]])
    np.testing.assert_allclose(FairGrad(1.0).weights(gram), [0.5915, 0.4071], atol=1e-4)
    np.testing.assert_allclose(FairGrad(1.0).weights(gram), NashMTL(max_norm=None).weights(gram), rtol=1e-5)


def test_canceling_and_zero_gradients(gram_of):
    np.testing.assert_array_equal(FairGrad().weights(gram_of([[1, 0], [-1, 0]])), [0.0, 0.0])
    np.testing.assert_allclose(FairGrad().weights(gram_of([[0, 0], [0, 1]])), [0.0, 1.0], rtol=1e-5)
    np.testing.assert_array_equal(FairGrad().weights(tf.zeros([3, 3])), [0.0, 0.0, 0.0])


@pytest.mark.parametrize("alpha", [0.0, 5.0, float("nan")])
def test_refuses_alpha_out_of_range(alpha):
    with pytest.raises(ValueError, match=r"`alpha` should be from 0.25 to 4.0. Found"):
        FairGrad(alpha)
