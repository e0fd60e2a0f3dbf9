import numpy as np
import pytest

from harmonization import Reweight


def test_weighs_as_told_whatever_the_gradients(gram_of):
    for vectors in ([[1, 0], [0, 1]], [[1, 0], [-1, 0]], [[0, 0], [0, 0]]):
        weights, keep = Reweight((1.5, 0.5)).decide(gram_of(vectors))
        np.testing.assert_array_equal(weights, [1.5, 0.5])
        assert keep


@pytest.mark.parametrize("weights", [(), (0, 0), (1, -1), (1, float("nan")), (float("inf"), 1)])
def test_refuses_weights_that_make_no_sense(weights):
    with pytest.raises(ValueError, match="`weights` should be finite numbers >= 0"):
        Reweight(weights)


def test_refuses_a_number_of_weights_that_is_not_that_of_the_objectives(gram_of):
    with pytest.raises(ValueError, match=r"one entry per objective \(3\). Found \(1.0, 2.0\)"):
        Reweight((1, 2)).decide(gram_of(np.eye(3)))
