import numpy as np
import pytest

from harmonization import Group, Sum


@pytest.mark.parametrize("objectives", [1, 2, 5])
def test_weighs_every_objective_one_and_keeps(gram_of, objectives):
    decision = Sum().decide(Group(gram_of(-np.eye(objectives))))
    np.testing.assert_array_equal(decision.weights, np.ones(objectives))
    assert decision.keep
