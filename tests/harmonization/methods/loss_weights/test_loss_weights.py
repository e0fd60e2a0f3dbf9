"""What all methods that look at the losses only have in common."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization import Group
from harmonization.methods.loss_weights.base import LossWeights

NAMES = [name for name, method in harmonization.METHODS.items() if issubclass(method, LossWeights)]


def _made(name, objectives=3):
    method = harmonization.get(name, **({"period": 1} if name == "dwa" else {}))
    method.build(objectives, ("all",))
    return method


def _steps(method, losses):
    for row in losses:
        decision = method.decide(Group(None, losses=tf.constant(row, tf.float32), objectives=tuple(range(len(row)))))
        for variable, value in decision.state:
            variable.assign(value)
        yield decision.weights.numpy()


def test_all_are_found():
    assert NAMES == ["uw", "imtl_l", "dwa", "gls", "stch", "famo"]


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_finite_whatever_comes(name):
    losses = [[np.nan, 1, np.inf], [0, 0, 0], [-1, 1e38, 1e-38], [-np.inf, -1e38, 5], [1, 2, 3], [1e30, 1e-30, 1]]
    method = _made(name)
    for weights in _steps(method, losses):
        assert np.isfinite(weights).all() and (weights >= 0).all()
    assert all(np.isfinite(variable).all() for variable in method.variables)


@pytest.mark.parametrize("name", NAMES)
def test_only_groups_make_them_ask_for_gradients(name):
    with pytest.raises(ValueError, match="needs the losses. Pass `losses=`"):
        _made(name).decide(Group(tf.eye(3)))
    assert not _made(name).needs_gram(None)
    grouped = _made(name).needs_gram({"first": [0]})
    assert grouped == (name not in ("uw", "imtl_l"))


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_that_does_not_reach_a_group_is_not_in_its_sums(name):
    two, three = _made(name, 2), _made(name, 3)
    gradients = [[tf.constant([1.0, 0.0])], [None], [tf.constant([1.0, 3.0])]]
    for losses in ([2.0, 9.0, 0.5], [1.0, 8.0, 0.25], [0.9, 1.0, 0.1]):
        _, report = harmonization.harmonize(gradients, three, losses=losses)
        _, alone = harmonization.harmonize([gradients[0], gradients[2]], two, losses=[losses[0], losses[2]])
        np.testing.assert_allclose(report["weights"].numpy()[[0, 2]], alone["weights"], rtol=1e-6)
        assert report["weights"][1] == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_one_backward_pass_gives_the_same_weights(name):
    updates = []
    for measure in (True, False):
        method, variable = _made(name, 2), tf.Variable([1.0, 2.0])
        optimizer = tf.keras.optimizers.SGD(0.1)

        def compute(variable=variable):
            return [tf.reduce_sum(variable**2), tf.reduce_sum((variable - 3.0) ** 2)]

        for step in range(3):
            with tf.GradientTape(persistent=True) as tape:
                losses = compute()
            options = dict(step=step, measure=measure, losses_after=compute)
            harmonization.minimize(tape, losses, [variable], optimizer, method, **options)
        updates.append(variable.numpy())
    np.testing.assert_allclose(*updates, rtol=1e-6)
