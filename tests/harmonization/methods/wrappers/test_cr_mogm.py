import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization import CRMOGM, Group


def _run(method, grams, **about):
    method.build(2, ("all",))
    for step, gram in enumerate(grams):
        decision = method.decide(Group(gram, step=tf.constant(step, tf.int64), **about))
        for variable, value in decision.state:
            variable.assign(value)
        yield decision


def test_averages_the_weights(gram_of):
    # MGDA's weights of orthogonal gradients are as 1 / |g|^2: (4/5, 1/5), then (1/2, 1/2).
    grams = [gram_of([[1, 0], [0, 2]]), gram_of([[1, 0], [0, 1]]), gram_of([[1, 0], [0, 1]])]
    weights = [decision.weights.numpy() for decision in _run(CRMOGM(momentum=0.75), grams)]
    np.testing.assert_allclose(weights[0], [0.8, 0.2], rtol=1e-6)
    np.testing.assert_allclose(weights[1], [0.725, 0.275], rtol=1e-6)
    np.testing.assert_allclose(weights[2], [0.66875, 0.33125], rtol=1e-6)


def test_without_momentum_it_is_the_method(gram_of):
    grams = [gram_of([[1, 0], [-1, angle]]) for angle in (0.5, 1.0, 2.0)]
    wrapped = _run(CRMOGM(harmonization.UPGrad(), momentum=0.0), grams)
    for decision, gram in zip(wrapped, grams, strict=True):
        np.testing.assert_allclose(decision.weights, harmonization.UPGrad().weights(gram), rtol=1e-6)


def test_keeps_gates_state_and_needs_of_the_method(gram_of):
    gate = CRMOGM(harmonization.GradientCurriculum(0.0))
    kept = [bool(decision.keep) for decision in _run(gate, [gram_of([[1, 0], [-1, 1]]), gram_of([[1, 0], [1, 1]])])]
    assert kept == [False, True]
    assert not CRMOGM(harmonization.RandomWeights()).needs_gram(None) and CRMOGM().needs_gram(None)
    learning = CRMOGM(harmonization.FAMO())
    assert learning.losses_after and not gate.losses_after
    list(_run(learning, [tf.eye(2)], losses=tf.constant([2.0, 1.0])))
    learning.after_step(tf.constant([1.0, 1.0]))
    assert np.any(learning._method._learned["all"].numpy())


def test_refuses_what_is_no_method():
    with pytest.raises(ValueError, match="`method` should be a Harmonizer.*Found 'mgda'"):
        CRMOGM("mgda")
    with pytest.raises(ValueError, match="`momentum` should be from 0 to below 1. Found 1"):
        CRMOGM(momentum=1.0)
