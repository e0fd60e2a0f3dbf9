import numpy as np
import pytest

from harmonization.methods.realignment import GradientRealignment
from harmonization.methods.upgrad import UPGrad

CONFLICTING = np.array([[-4.0, 1, 1], [6, 1, 1]])


def test_golden_value(gram_of):
    weights = UPGrad().weights(gram_of(CONFLICTING)).numpy()
    np.testing.assert_allclose(weights, [1.1111, 0.7895], atol=1e-4)
    np.testing.assert_allclose(weights @ CONFLICTING, [0.2924, 1.9006, 1.9006], atol=1e-4)


def test_the_sum_is_gradient_realignment_for_two(gram_of):
    summed = UPGrad(reduction="sum").weights(gram_of(CONFLICTING))
    np.testing.assert_allclose(summed, GradientRealignment().weights(gram_of(CONFLICTING)), rtol=1e-6)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[1, 2], [2, 1]], [1, 1]),
        ([[0, 0], [1, 2]], [1, 1]),
        ([[1, 0], [0, 1], [-1, 1]], [2, 1, 1.5]),  # (1, 0) -> (0.5, 0.5) and (-1, 1) -> (0, 1)
        ([[1, 0, 0], [0, 1, 0], [0, 0, 0]], [1, 1, 1]),
    ],
)
def test_values_by_hand(gram_of, vectors, expected):
    weights = UPGrad(reduction="sum").weights(gram_of(vectors))
    np.testing.assert_allclose(weights, expected, atol=1e-5)


def test_refuses_an_unknown_reduction():
    with pytest.raises(ValueError, match='"sum" or "mean". Found \'max\''):
        UPGrad(reduction="max")
