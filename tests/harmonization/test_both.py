import numpy as np
import pytest

from harmonization import Both, GradientCurriculum, GradientRealignment, LinearSchedule


@pytest.mark.parametrize("indicator", ["cosine", "dot"])
def test_is_the_gate_of_one_and_the_weights_of_the_other(gram_of, indicator):
    schedule, kept = LinearSchedule(10), set()
    for seed in range(20):
        gram = gram_of(np.random.default_rng(seed).normal(size=(2, 3)))
        weights, keep = Both(schedule, indicator).decide(gram, seed % 10)
        assert keep == GradientCurriculum(schedule, indicator).decide(gram, seed % 10).keep
        np.testing.assert_array_equal(weights, GradientRealignment().decide(gram).weights)
        kept.add((bool(keep), bool(gram[0, 1] < 0)))
    assert kept == {(True, True), (True, False), (False, True)}


def test_refuses_what_the_curriculum_refuses(gram_of):
    with pytest.raises(ValueError, match="`indicator` should be one of"):
        Both(0.0, "angle")
    with pytest.raises(ValueError, match="needs the training step"):
        Both(LinearSchedule(10)).decide(gram_of(np.eye(2)))
