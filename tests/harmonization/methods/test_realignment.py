import numpy as np
import pytest

from harmonization import GradientRealignment

CONFLICTING = np.array([[-4.0, 1, 1], [6, 1, 1]])


def _update(vectors, gram_of):
    return GradientRealignment().weights(gram_of(vectors)).numpy().astype(np.float64) @ np.asarray(vectors)


def test_golden_value(gram_of):
    weights = GradientRealignment().weights(gram_of(CONFLICTING))
    np.testing.assert_allclose(weights, [2.2222, 1.5789], atol=1e-4)
    np.testing.assert_allclose(_update(CONFLICTING, gram_of), [0.5848, 3.8012, 3.8012], atol=1e-4)


@pytest.mark.parametrize("vectors", [[[1, 2], [2, 1]], [[1, 0], [0, 1]], [[1, 1], [2, 2]]])
def test_is_the_sum_without_conflict(gram_of, vectors):
    np.testing.assert_array_equal(_update(vectors, gram_of), np.sum(vectors, axis=0))


@pytest.mark.parametrize("vectors", [[[0, 0], [1, 2]], [[0, 0], [0, 0]]])
def test_leaves_zero_gradients_alone(gram_of, vectors):
    np.testing.assert_array_equal(_update(vectors, gram_of), np.sum(vectors, axis=0))


def test_opposite_gradients_cancel(gram_of):
    vectors = np.array([[1.0, -2, 3], [-4, 8, -12]])
    np.testing.assert_allclose(_update(vectors, gram_of), 0, atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e15])
def test_two_gradients_never_conflict_with_the_update(gram_of, seed, scale):
    vectors = np.random.default_rng(seed).normal(size=(2, 3)) * [[scale], [1.0]]
    update = _update(vectors, gram_of)
    slack = 1e-5 * np.linalg.norm(vectors, axis=1) * np.linalg.norm(vectors, axis=1).max()
    assert np.all(vectors @ update >= -slack)


@pytest.mark.parametrize("seed", range(5))
def test_is_linear_in_the_length_of_each_of_two_gradients(gram_of, seed):
    vectors = np.random.default_rng(seed).normal(size=(2, 3))
    first, second, third = (_update(vectors * [[c], [1.0]], gram_of) for c in (1.0, 2.0, 3.0))
    np.testing.assert_allclose(third - second, second - first, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_order_of_the_objectives_does_not_matter(gram_of, seed):
    vectors = np.random.default_rng(seed).normal(size=(4, 3))
    order = np.random.default_rng(seed).permutation(4)
    method = GradientRealignment()
    weights = method.weights(gram_of(vectors)).numpy()
    np.testing.assert_allclose(method.weights(gram_of(vectors[order])), weights[order], rtol=1e-5)


def test_more_objectives_are_each_projected_once_against_every_conflicting_original(gram_of):
    vectors = np.random.default_rng(3).normal(size=(4, 3))
    expected = vectors.sum(axis=0)
    for i, j in np.argwhere(vectors @ vectors.T < 0):
        expected -= vectors[i] @ vectors[j] / (vectors[j] @ vectors[j]) * vectors[j]
    np.testing.assert_allclose(_update(vectors, gram_of), expected, rtol=1e-4, atol=1e-5)
