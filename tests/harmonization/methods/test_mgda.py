import numpy as np
import pytest

from harmonization.methods.mgda import MGDA


def test_golden_value(gram_of):
    vectors = np.array([[-4.0, 1, 1], [6, 1, 1]])
    weights = MGDA().weights(gram_of(vectors)).numpy()
    np.testing.assert_allclose(weights, [0.6, 0.4], atol=1e-4)
    np.testing.assert_allclose(weights @ vectors, [0, 1, 1], atol=1e-4)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[1, 2], [2, 4]], [1, 0]),  # parallel: the shorter one
        ([[1, 0], [-3, 0]], [0.75, 0.25]),  # opposite: they cancel
        ([[0, 0], [1, 2]], [1, 0]),  # a zero gradient is the shortest of all
        ([[0, 0], [0, 0]], [0.5, 0.5]),
        ([[1, 2], [1, 2]], [0.5, 0.5]),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [1 / 3, 1 / 3, 1 / 3]),
        ([[1, 0, 0], [0, 0, 0], [0, 0, 0]], [0, 0.5, 0.5]),
        ([[1, 0], [3, 1], [2, -5]], [1, 0, 0]),
        ([[1, 0], [-1, 1], [-1, -1]], [0.5, 0.25, 0.25]),
    ],
)
def test_values_by_hand(gram_of, vectors, expected):
    np.testing.assert_allclose(MGDA().weights(gram_of(vectors)), expected, atol=1e-5)
