import numpy as np
import pytest

from harmonization.methods.conflict_free import ConFIG


def test_golden_value(gram_of):
    vectors = np.array([[-4.0, 1, 1], [6, 1, 1]])
    update = ConFIG().weights(gram_of(vectors)).numpy() @ vectors
    np.testing.assert_allclose(update, [0.1588, 2.0706, 2.0706], atol=1e-4)


@pytest.mark.parametrize("objectives", [2, 3, 6])
def test_has_equal_cosines_and_the_length_of_the_projections(gram_of, objectives):
    vectors = np.random.default_rng(0).normal(size=(objectives, 8))
    update = ConFIG().weights(gram_of(vectors)).numpy() @ vectors
    direction = update / np.linalg.norm(update)
    cosines = vectors @ direction / np.linalg.norm(vectors, axis=1)
    assert cosines[0] > 0
    np.testing.assert_allclose(cosines, cosines[0], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(update), (vectors @ direction).sum(), rtol=1e-4)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[0, 0], [1, 2]], [0, 1]),
        ([[0, 0], [0, 0]], [0, 0]),
        ([[1, 0], [-4, 0]], [2.5, 0.625]),  # opposite: they cancel
        ([[1, 0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]], [0, 0, 0]),  # no direction
        ([[2, 0], [0, 0], [0, 1]], [0.75, 0, 1.5]),
    ],
)
def test_values_by_hand(gram_of, vectors, expected):
    np.testing.assert_allclose(ConFIG().weights(gram_of(vectors)), expected, atol=1e-5)
