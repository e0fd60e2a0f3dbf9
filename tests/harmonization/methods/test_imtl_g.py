import numpy as np
import pytest

from harmonization.methods.imtl_g import IMTLG


def test_golden_value(gram_of):
    vectors = np.array([[-4.0, 1, 1], [6, 1, 1]])
    weights = IMTLG().weights(gram_of(vectors)).numpy()
    np.testing.assert_allclose(weights, [0.5923, 0.4077], atol=1e-4)
    np.testing.assert_allclose(weights @ vectors, [0.0767, 1, 1], atol=1e-4)


@pytest.mark.parametrize("objectives", [2, 3, 6])
def test_projects_equally_onto_all(gram_of, objectives):
    vectors = np.random.default_rng(0).normal(size=(objectives, 8))
    update = IMTLG().weights(gram_of(vectors)).numpy() @ vectors
    projections = vectors @ update / np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(projections, projections[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[0, 0], [1, 2]], [0, 1]),
        ([[0, 0], [0, 0]], [0, 0]),
        ([[1, 0], [-4, 0]], [0.8, 0.2]),  # opposite: they cancel
        ([[1, 0], [-1, 1], [0, 0]], [1 / (1 + 0.5**0.5), 1 / (1 + 2**0.5), 0]),
        ([[1, 0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]], [0, 0, 0]),  # no direction
    ],
)
def test_values_by_hand(gram_of, vectors, expected):
    np.testing.assert_allclose(IMTLG().weights(gram_of(vectors)), expected, atol=1e-5)
