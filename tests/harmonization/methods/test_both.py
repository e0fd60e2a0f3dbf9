import numpy as np
import pytest

from harmonization import Both, GradientCurriculum, GradientRealignment, Group, LinearSchedule


@pytest.mark.parametrize("indicator", ["cosine", "dot"])
def test_combines_the_gate_and_the_projection(gram_of, indicator):
    schedule, kept = LinearSchedule(10), set()
    for seed in range(20):
        gram = gram_of(np.random.default_rng(seed).normal(size=(2, 3)))
        group = Group(gram, step=seed % 10)
        decision = Both(schedule, indicator).decide(group)
        assert decision.keep == GradientCurriculum(schedule, indicator).decide(group).keep
        np.testing.assert_array_equal(decision.weights, GradientRealignment().weights(gram))
        kept.add((bool(decision.keep), bool(gram[0, 1] < 0)))
    assert kept == {(True, True), (True, False), (False, True)}


def test_splits_into_its_two_halves(gram_of):
    gate, rest = Both(LinearSchedule(10), "dot").split_gate()
    assert isinstance(gate, GradientCurriculum) and isinstance(rest, GradientRealignment)
    gram = gram_of([[1, 0], [-0.2, 1]])
    assert not gate.decide(Group(gram, step=10)).keep and gate.decide(Group(gram, step=0)).keep


def test_refuses_what_the_curriculum_refuses(gram_of):
    with pytest.raises(ValueError, match="`indicator` should be one of"):
        Both(0.0, "angle")
    with pytest.raises(ValueError, match="needs the training step"):
        Both(LinearSchedule(10)).decide(Group(gram_of(np.eye(2))))
