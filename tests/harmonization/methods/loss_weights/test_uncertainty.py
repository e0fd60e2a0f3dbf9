import numpy as np
import pytest
import tensorflow as tf

from harmonization import IMTLL, Group, UncertaintyWeights


def _learn(method, losses, steps=1):
    method.build(len(losses), ("all",))
    for _ in range(steps):
        decision = method.decide(Group(None, losses=tf.constant(losses), objectives=tuple(range(len(losses)))))
        for variable, value in decision.state:
            variable.assign(value)
    return decision.weights.numpy(), decision.state[0][0].numpy()[0]


def test_first_weights_and_first_step():
    # c exp(-0); Adam's first step has the length of the learning rate, against the sign of 1/2 - c L.
    weights, scales = _learn(UncertaintyWeights(["regression", "classification"], 0.1), [0.5, 2.0])
    np.testing.assert_allclose(weights, [0.5, 1.0])
    np.testing.assert_allclose(scales, [-0.1, 0.1], rtol=1e-5)


@pytest.mark.parametrize(("method", "settled"), [(UncertaintyWeights(), 0.5), (IMTLL(), 1.0)])
def test_settles_where_every_weighted_loss_is_alike(method, settled):
    losses = [0.25, 1.0, 4.0]
    weights, _ = _learn(method, losses, steps=400)
    np.testing.assert_allclose(weights * losses, settled, rtol=2e-2)


def test_refuses_options_out_of_range():
    with pytest.raises(ValueError, match=r"`likelihood` should be among .*Found \['gamma'\]"):
        UncertaintyWeights("gamma")
    with pytest.raises(ValueError, match=r"`likelihood` should be one value or one per objective \(3\)"):
        UncertaintyWeights(["regression"]).build(3, ("all",))
    with pytest.raises(ValueError, match="`learning_rate` should be a finite number >= 0. Found -1"):
        IMTLL(-1)
    method = IMTLL()
    method.build(2, ("all",))
    with pytest.raises(ValueError, match="state was made for 2 objectives"):
        method.build(3, ("all",))
