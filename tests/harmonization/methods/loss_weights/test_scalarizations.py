"""GLS and STCH are gradients of a function of the losses, so their weights are its slopes."""

import numpy as np
import pytest
import tensorflow as tf

from harmonization import GLS, STCH, Group


def _weights(method, losses):
    return method.decide(Group(None, losses=tf.constant(losses), objectives=tuple(range(len(losses))))).weights.numpy()


def test_gls_by_hand():
    np.testing.assert_allclose(_weights(GLS(), [1.0, 4.0]), [1.0, 0.25], rtol=1e-6)  # M = 2
    np.testing.assert_allclose(_weights(GLS(), [1.0, -4.0, 4.0]), [1.0, 0.0, 0.25], rtol=1e-6)
    np.testing.assert_array_equal(_weights(GLS(), [0.0, -4.0]), [0.0, 0.0])


def test_stch_by_hand():
    np.testing.assert_allclose(_weights(STCH(), [0.0, np.log(3.0)]), [0.25, 0.75], rtol=1e-6)
    method = STCH(mu=2.0, preferences=[2.0, 1.0], ideal=[1.0, 0.0])
    np.testing.assert_allclose(_weights(method, [1.0, np.log(9.0)]), [0.5, 0.75], rtol=1e-6)
    np.testing.assert_allclose(_weights(STCH(mu=1e-3), [1.0, 2.0, 1.5]), [0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("function", ["gls", "stch"])
def test_weights_are_slopes(function):
    losses = tf.Variable([0.3, 2.0, 0.7, 1.1])
    preferences = tf.constant([1.0, 0.5, 2.0, 3.0])
    with tf.GradientTape() as tape:
        if function == "gls":
            value = tf.reduce_prod(losses) ** 0.25
        else:
            value = 0.5 * tf.reduce_logsumexp(preferences * losses / 0.5)
    method = GLS() if function == "gls" else STCH(mu=0.5, preferences=preferences.numpy().tolist())
    np.testing.assert_allclose(_weights(method, losses.numpy()), tape.gradient(value, losses), rtol=1e-5)


def test_stch_refuses_options_out_of_range():
    for options in ({"mu": 0.0}, {"preferences": [1.0, -1.0]}, {"ideal": float("nan")}):
        with pytest.raises(ValueError, match="`mu` and `preferences` should be finite numbers > 0"):
            STCH(**options)
    with pytest.raises(ValueError, match=r"`preferences` should be one value or one per objective \(3\)"):
        STCH(preferences=[1.0, 2.0]).build(3, ("all",))
