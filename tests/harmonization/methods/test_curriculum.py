import numpy as np
import pytest
import tensorflow as tf

from harmonization import ConstantSchedule, GradientCurriculum, GradientRealignment, Group, LinearSchedule, Sum


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


def test_samples_are_gated_by_the_rule_for_steps(gram_of):
    method, step = GradientCurriculum(LinearSchedule(10, -0.5, 0.5)), 7
    vectors = [_pair(cosine, 1e-3, 20.0) for cosine in np.linspace(-0.99, 0.99, 21)]
    vectors += [[[0, 0], [1, 2]], [[1, 2], [0, 0]], [[0, 0], [0, 0]]]
    grams = tf.stack([gram_of(pair) for pair in vectors])
    weights = method.sample_weights(grams, step).numpy()
    assert weights.tolist() == [_keep(method, gram, step) for gram in grams]
    assert weights[:21].sum() == 8 and weights[21:].tolist() == [1, 1, 1]  # cosines above 0.2; nothing to judge
    agreement, judged = method.agreement(grams)
    np.testing.assert_allclose(agreement[:21], np.linspace(-0.99, 0.99, 21), atol=1e-5)
    assert judged.numpy().tolist() == [True] * 21 + [False] * 3 and not np.any(agreement[21:])


def test_soft_weights_are_a_sigmoid_around_gamma(gram_of):
    method, cosines = GradientCurriculum(0.2), np.array([-0.9, 0.0, 0.2, 0.3, 0.9])
    grams = tf.stack([*(gram_of(_pair(cosine)) for cosine in cosines), gram_of(np.zeros([2, 2]))])
    soft = method.sample_weights(grams, None, softness=0.1).numpy()
    np.testing.assert_allclose(soft[:-1], 1 / (1 + np.exp(-(cosines - 0.2) / 0.1)), rtol=1e-4)
    assert soft[-1] == 1
    nearly_hard = method.sample_weights(tf.gather(grams, [0, 1, 3, 4]), None, softness=1e-4)
    np.testing.assert_allclose(nearly_hard, [0, 0, 1, 1], atol=1e-6)


def test_what_is_left_without_a_gate():
    method = GradientCurriculum(0.0)
    gate, rest = method.split_gate()
    assert gate is method and isinstance(rest, Sum)
    other = GradientRealignment()
    assert other.split_gate() == (None, other)


def test_a_schedule_needs_the_step(gram_of):
    with pytest.raises(ValueError, match="LinearSchedule needs the training step. Pass `step=`"):
        GradientCurriculum(LinearSchedule(10)).decide(Group(gram_of(np.eye(2))))
    with pytest.raises(ValueError, match="LinearSchedule needs the training step"):
        GradientCurriculum(LinearSchedule(10)).sample_weights(gram_of(np.eye(2))[None], None)
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
