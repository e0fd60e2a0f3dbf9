import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization.harmonizer import Group
from harmonization.methods.gradvac import GradVac
from harmonization.methods.pcgrad import PCGrad

CONFLICTING = np.array([[-4.0, 1, 1], [6, 1, 1]])
COSINE = -22 / np.sqrt(18 * 38)


def _built(objectives=2, groups=("all",), **options) -> GradVac:
    method = GradVac(**options)
    method.build(objectives, groups)
    return method


def _cosine(first, second):
    return first @ second / (np.linalg.norm(first) * np.linalg.norm(second))


def _new_targets(decision):
    ((_, value),) = decision.state
    return value.numpy()


def test_targets_of_zero_make_it_pcgrad(gram_of):
    decision = _built().decide(Group(gram_of(CONFLICTING)))
    np.testing.assert_allclose(decision.weights, PCGrad().weights(gram_of(CONFLICTING)), rtol=1e-6)


@pytest.mark.parametrize("target", [-0.6, 0.0, 0.3, 0.8])
def test_brings_each_gradient_up_to_the_target(gram_of, target):
    weights = _built(initial_target=target).decide(Group(gram_of(CONFLICTING))).weights.numpy()
    sine, target_sine = np.sqrt(1 - COSINE**2), np.sqrt(1 - target**2)
    ratio = np.sqrt(18 / 38)
    dose = (target * sine - COSINE * target_sine) / target_sine
    changed = [CONFLICTING[0] + dose * ratio * CONFLICTING[1], CONFLICTING[1] + dose / ratio * CONFLICTING[0]]
    assert _cosine(changed[0], CONFLICTING[1]) == pytest.approx(target)
    assert _cosine(changed[1], CONFLICTING[0]) == pytest.approx(target)
    np.testing.assert_allclose(weights @ CONFLICTING, sum(changed), rtol=1e-4)


def test_leaves_gradients_above_the_target_alone(gram_of):
    decision = _built(initial_target=-0.9).decide(Group(gram_of(CONFLICTING)))
    np.testing.assert_array_equal(decision.weights, [1.0, 1.0])


def test_targets_follow_the_cosine(gram_of):
    decision = _built(beta=0.25, initial_target=0.2).decide(Group(gram_of(CONFLICTING)))
    expected = 0.75 * 0.2 + 0.25 * COSINE
    np.testing.assert_allclose(_new_targets(decision), [[0.2, expected], [expected, 0.2]], rtol=1e-5)


def test_a_zero_gradient_changes_nothing(gram_of):
    decision = _built(initial_target=0.5).decide(Group(gram_of([[0, 0], [1, 2]])))
    np.testing.assert_array_equal(decision.weights, [1.0, 1.0])
    np.testing.assert_array_equal(_new_targets(decision), np.full([2, 2], 0.5))


def test_targets_at_the_end_of_the_range_leave_the_weights_moderate(gram_of):
    decision = _built(initial_target=1.0).decide(Group(gram_of(CONFLICTING)))
    assert np.abs(decision.weights).max() < 20.0


def test_targets_are_per_group_and_follow_kept_steps_only():
    method, nan = GradVac(), tf.constant([np.nan])
    first, second = [tf.constant([1.0, 0.0]), tf.constant([1.0])], [tf.constant([-1.0, 1.0]), tf.constant([2.0])]
    groups = {"left": [0], "right": [1]}
    harmonization.harmonize([first, second], method, groups)
    left, right = (variable.numpy()[0, 1] for variable in method.targets.values())
    np.testing.assert_allclose([left, right], [-0.5 * np.sqrt(0.5), 0.5], rtol=1e-5)
    harmonization.harmonize([[first[0], nan], second], method, groups)
    np.testing.assert_allclose([variable.numpy()[0, 1] for variable in method.targets.values()], [left, right])
    assert len(method.variables) == 2 and not method.trainable_variables


def test_objectives_that_take_no_part_keep_their_targets(gram_of):
    method = _built(objectives=3, initial_target=0.1)
    decision = method.decide(Group(gram_of(CONFLICTING), objectives=(0, 2)))
    changed = _new_targets(decision) != np.float32(0.1)
    np.testing.assert_array_equal(np.argwhere(changed), [[0, 2], [2, 0]])


def test_is_built_once_and_for_one_shape():
    method = _built(3, ("a", "b"))
    variables = list(method.targets.values())
    method.build(3, ("a", "b"))
    assert all(one is other for one, other in zip(method.targets.values(), variables, strict=True))
    with pytest.raises(ValueError, match=r"3 objectives in the groups .*. Found 2 objectives in"):
        method.build(2, ("a", "b"))


def test_refuses_to_decide_before_it_is_built(gram_of):
    with pytest.raises(ValueError, match="no targets yet. Call `build`"):
        GradVac().decide(Group(gram_of(CONFLICTING)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 1.5}, "`beta` should be from 0 to 1. Found 1.5"),
        ({"initial_target": -2.0}, "`initial_target` should be from -1 to 1. Found -2.0"),
        ({"reduction": "max"}, '"sum" or "mean"'),
    ],
)
def test_refuses_options_it_cannot_use(options, message):
    with pytest.raises(ValueError, match=message):
        GradVac(**options)
