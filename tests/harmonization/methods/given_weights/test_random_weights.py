import numpy as np
import pytest
import tensorflow as tf

from harmonization.harmonize import harmonize
from harmonization.harmonizer import Group
from harmonization.methods.given_weights.random_weights import RandomWeights


def _weights(method, step, objectives=3, **about):
    about = Group(tf.eye(objectives), step=tf.constant(step, tf.int64), **about)
    return method.decide(about).weights.numpy()


@pytest.mark.parametrize("total", [1.0, 3.0])
def test_weights_are_positive_and_add_up_to_the_total(total):
    for step in range(5):
        weights = _weights(RandomWeights(total=total), step)
        assert np.all(weights > 0)
        np.testing.assert_allclose(weights.sum(), total, rtol=1e-6)


def test_weights_depend_on_seed_and_step_alone():
    first = _weights(RandomWeights(seed=5), 7)
    np.testing.assert_array_equal(_weights(RandomWeights(seed=5), 7, position=2, name="other"), first)
    for seed, step in ((5, 8), (6, 7)):
        assert np.abs(_weights(RandomWeights(seed=seed), step) - first).max() > 0.01


def test_weights_are_the_softmax_of_normal_draws():
    method = RandomWeights(seed=1)
    draw = tf.function(lambda step: method.decide(Group(tf.eye(2), step=step)).weights)
    weights = np.stack([draw(tf.constant(step, tf.int64)) for step in range(2000)])
    logits = np.log(weights[:, 0] / weights[:, 1])  # the difference of two standard normal draws
    assert abs(logits.mean()) < 0.1 and abs(logits.std() - np.sqrt(2)) < 0.08
    np.testing.assert_allclose(weights.mean(axis=0), 0.5, atol=0.02)


def test_one_draw_serves_all_groups(random_gradients, flat):
    gradients = random_gradients(seed=0, objectives=3)
    gradients[1][2] = None
    method = RandomWeights(seed=2)
    groups = {"two": [0, 1], "one": [2]}
    update, report = harmonize(gradients, method, groups=groups, step=4)
    weights = _weights(method, 4)
    np.testing.assert_allclose(report["weights"], [weights, weights * [1, 0, 1]], rtol=1e-6)
    expected = [
        sum(w * row[k] for w, row in zip(weights, gradients, strict=True) if row[k] is not None) for k in range(3)
    ]
    np.testing.assert_allclose(flat(update), flat(expected), rtol=1e-5, atol=1e-6)


def test_is_the_same_with_xla(random_gradients, flat):
    gradients, method = random_gradients(seed=0), RandomWeights(seed=3)
    call = lambda step: harmonize(gradients, method, step=step)[0]  # noqa: E731
    step = tf.constant(9, tf.int64)
    plain, compiled = tf.function(call)(step), tf.function(call, jit_compile=True)(step)
    np.testing.assert_allclose(flat(compiled), flat(plain), rtol=1e-5, atol=1e-6)


def test_needs_the_step(random_gradients):
    with pytest.raises(ValueError, match="RandomWeights needs the training step. Pass `step=`"):
        harmonize(random_gradients(seed=0), RandomWeights())


@pytest.mark.parametrize("total", [0, -1, float("nan"), float("inf")])
def test_refuses_a_total_that_makes_no_sense(total):
    with pytest.raises(ValueError, match="`total` should be a finite number > 0"):
        RandomWeights(total=total)
