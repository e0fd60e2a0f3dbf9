import numpy as np
import pytest

from harmonization.methods.dualproj import DualProj


def test_golden_value(gram_of):
    vectors = np.array([[-4.0, 1, 1], [6, 1, 1]])
    weights = DualProj().weights(gram_of(vectors)).numpy()
    np.testing.assert_allclose(weights, [0.6111, 0.5], atol=1e-4)
    np.testing.assert_allclose(weights @ vectors, [0.5556, 1.1111, 1.1111], atol=1e-4)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[1, 2], [2, 1]], [0.5, 0.5]),
        ([[0, 0], [1, 2]], [0.5, 0.5]),
        ([[0, 0], [0, 0]], [0.5, 0.5]),
        ([[1, 0], [-4, 0]], [2.0, 0.5]),  # opposite: they cancel
        ([[3, 0], [0, 3], [-1, 1]], [1 / 3, 1 / 3, 1 / 3]),
        ([[-1, 0, 0], [4, 1, 0], [0, 0, 3]], [4 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_values_by_hand(gram_of, vectors, expected):
    np.testing.assert_allclose(DualProj().weights(gram_of(vectors)), expected, atol=1e-5)
