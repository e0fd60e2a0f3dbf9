import numpy as np
import pytest
import tensorflow as tf

from harmonization import ConstantSchedule, GradientCurriculum, Group, LinearSchedule


def _keep(method, gram, step=None) -> bool:
    decision = method.decide(Group(gram, step))
    np.testing.assert_array_equal(decision.weights, np.ones(gram.shape[0]))
    return bool(decision.keep)


def _pair(cosine, first=1.0, second=1.0):
    return [[first, 0.0], [second * cosine, second * np.sqrt(1 - cosine**2)]]


@pytest.mark.parametrize("lengths", [(1.0, 1.0), (1e-10, 1e15), (1e15, 1e15), (1e-10, 1e-10)])
@pytest.mark.parametrize("gamma", [-0.5, 0.0, 0.5])
def test_keeps_iff_the_cosine_exceeds_gamma_at_any_scale(gram_of, gamma, lengths):
    method = GradientCurriculum(gamma)
    for cosine in np.linspace(-0.95, 0.95, 20):
        assert _keep(method, gram_of(_pair(cosine, *lengths))) == (cosine > gamma)


def test_a_cosine_at_gamma_is_not_kept(gram_of):
    assert not _keep(GradientCurriculum(0.0), gram_of([[1, 0], [0, 1]]))


def test_the_dot_product_is_compared_raw(gram_of):
    method = GradientCurriculum(1.0, indicator="dot")
    assert not _keep(method, gram_of(_pair(0.9)))
    assert _keep(method, gram_of(_pair(0.9, second=2.0)))


@pytest.mark.parametrize("indicator", ["cosine", "dot"])
@pytest.mark.parametrize("vectors", [[[0, 0], [1, 2]], [[1, 2], [0, 0]], [[0, 0], [0, 0]]])
def test_a_zero_gradient_does_not_gate(gram_of, indicator, vectors):
    assert _keep(GradientCurriculum(0.5, indicator), gram_of(vectors))


def test_more_objectives_are_judged_by_the_worst_pair(gram_of):
    vectors = np.array([[1, 0, 0], [1, 1, 0], [-1, 1, 0.5]])
    assert not _keep(GradientCurriculum(-0.6), gram_of(vectors))  # the worst cosine is -2/3
    assert _keep(GradientCurriculum(-0.7), gram_of(vectors))
    vectors[1] = 0  # says nothing, yet the other pair still does
    assert not _keep(GradientCurriculum(-0.6), gram_of(vectors))
    vectors[2] = 0
    assert _keep(GradientCurriculum(0.9), gram_of(vectors))


def test_gamma_follows_the_step_in_the_graph(gram_of):
    method, gram = GradientCurriculum(LinearSchedule(10, -0.5, 0.5)), gram_of(_pair(0.05))
    keep = tf.function(lambda step: method.decide(Group(gram, step)).keep)
    assert [bool(keep(tf.constant(step, tf.int64))) for step in (0, 5, 6, 20)] == [1, 1, 0, 0]


def test_a_schedule_needs_the_step(gram_of):
    with pytest.raises(ValueError, match="LinearSchedule needs the training step. Pass `step=`"):
        GradientCurriculum(LinearSchedule(10)).decide(Group(gram_of(np.eye(2))))
    assert not _keep(GradientCurriculum(ConstantSchedule(0.5)), gram_of(np.eye(2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, "angle"), "`indicator` should be one of cosine, dot. Found 'angle'"),
        ((1.0,), r"within \[-1, 1\). Found a schedule from 1.0 to 1.0"),
        ((LinearSchedule(5, -2.0, 0.0),), r"within \[-1, 1\). Found a schedule from -2.0 to 0.0"),
    ],
)
def test_refuses_options_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientCurriculum(*arguments)
