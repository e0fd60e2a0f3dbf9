import numpy as np
import pytest

from harmonization import Group, Reweight


def test_weighs_as_told_whatever_the_gradients(gram_of):
    for vectors in ([[1, 0], [0, 1]], [[1, 0], [-1, 0]], [[0, 0], [0, 0]]):
        decision = Reweight((1.5, 0.5)).decide(Group(gram_of(vectors)))
        np.testing.assert_array_equal(decision.weights, [1.5, 0.5])
        assert decision.keep


def test_an_absent_objective_does_not_change_the_other_weights(gram_of):
    group = Group(gram_of(np.eye(2)), objectives=(0, 2))
    np.testing.assert_array_equal(Reweight((3, 2, 1)).decide(group).weights, [3, 1])


@pytest.mark.parametrize("weights", [(), (0, 0), (1, -1), (1, float("nan")), (float("inf"), 1)])
def test_refuses_weights_that_make_no_sense(weights):
    with pytest.raises(ValueError, match="`weights` should be finite numbers >= 0"):
        Reweight(weights)


def test_refuses_a_wrong_number_of_weights(gram_of):
    with pytest.raises(ValueError, match=r"one entry per objective \(3\). Found \(1.0, 2.0\)"):
        Reweight((1, 2)).weights(gram_of(np.eye(3)))
