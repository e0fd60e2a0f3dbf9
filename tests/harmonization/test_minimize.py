import numpy as np
import pytest
import tensorflow as tf

import harmonization
from vatt.keras import keras

INPUTS = tf.constant([[1.0, -2.0], [0.5, 3.0], [-1.0, 1.0]])


def _variables():
    return [tf.Variable([[0.3], [-0.2]]), tf.Variable([0.1])]


def _losses(variables, scale=1.0):
    outputs = INPUTS @ variables[0] + variables[1]
    return {
        "first": scale * tf.reduce_mean((outputs - 1.0) ** 2),
        "second": scale * tf.reduce_mean((outputs + 2.0) ** 2),
    }


def _minimize(variables, optimizer, method="gr", penalty=None, scale=1.0, **options):
    with tf.GradientTape(persistent=True) as tape:
        losses = _losses(variables, scale)
        extra = None if penalty is None else penalty(variables)
    return harmonization.minimize(
        tape, losses, variables, optimizer, harmonization.get(method), penalty=extra, **options
    )


def _by_hand(variables, method="gr"):
    with tf.GradientTape(persistent=True) as tape:
        losses = _losses(variables)
    gradients = [tape.gradient(loss, variables) for loss in losses.values()]
    return harmonization.harmonize(gradients, harmonization.get(method))[0], losses


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_takes_the_harmonized_step(jit_compile):
    expected, variables, optimizer = _variables(), _variables(), keras.optimizers.SGD(0.1)
    update, losses = _by_hand(expected)
    call = lambda: _minimize(variables, optimizer)  # noqa: E731
    report = call() if jit_compile is None else tf.function(call, jit_compile=jit_compile)()
    for variable, start, gradient in zip(variables, expected, update, strict=True):
        np.testing.assert_allclose(variable, start - 0.1 * gradient, rtol=1e-5)
    np.testing.assert_allclose(report["losses"], list(losses.values()), rtol=1e-6)
    assert report["conflict"] and report["keep"]


def test_a_penalty_takes_no_part_and_is_added():
    with_penalty, without = _variables(), _variables()
    report = _minimize(with_penalty, keras.optimizers.SGD(0.1), penalty=lambda each: 5.0 * each[0][0, 0])
    plain = _minimize(without, keras.optimizers.SGD(0.1))
    np.testing.assert_array_equal(report["weights"], plain["weights"])
    np.testing.assert_allclose(without[0] - with_penalty[0], [[0.5], [0.0]], rtol=1e-5)
    np.testing.assert_array_equal(without[1], with_penalty[1])


def test_a_penalty_reaches_what_no_loss_reaches():
    variables, alone = _variables(), tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        losses, penalty = _losses(variables), alone**2
    harmonization.minimize(
        tape, losses, [*variables, alone], keras.optimizers.SGD(0.1), harmonization.Sum(), penalty=penalty
    )
    np.testing.assert_allclose(alone, 2.0 - 0.1 * 4.0)


def test_a_step_that_is_not_kept_leaves_no_trace():
    variables, optimizer = _variables(), keras.optimizers.Adam(0.1)
    method = harmonization.GradientCurriculum(0.99)
    with tf.GradientTape(persistent=True) as tape:
        losses = _losses(variables)
    report = harmonization.minimize(tape, losses, variables, optimizer, method)
    assert not report["keep"] and optimizer.iterations == 0
    for variable, start in zip(variables, _variables(), strict=True):
        np.testing.assert_array_equal(variable, start)


def test_the_loss_scale_is_invisible():
    plain, scaled = _variables(), _variables()
    _minimize(plain, keras.optimizers.SGD(0.1))
    optimizer = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**10)
    report = _minimize(scaled, optimizer)
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(report["losses"], list(_losses(_variables()).values()), rtol=1e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_an_overflow_lowers_the_loss_scale_and_nothing_else(graph):
    variables = _variables()
    optimizer = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**10)
    call = lambda: _minimize(variables, optimizer, scale=1e37)  # noqa: E731
    report = tf.function(call)() if graph else call()
    assert not report["finite"]
    assert optimizer.loss_scale == 2.0**9
    for variable, start in zip(variables, _variables(), strict=True):
        np.testing.assert_array_equal(variable, start)


def test_a_step_whose_penalty_is_not_finite_is_not_taken():
    variables = _variables()
    report = _minimize(variables, keras.optimizers.SGD(0.1), penalty=lambda each: tf.sqrt(each[1][0] - 0.1))
    assert not report["finite"] and not report["keep"]
    for variable, start in zip(variables, _variables(), strict=True):
        np.testing.assert_array_equal(variable, start)


def test_a_method_learns_from_the_losses_after_the_update():
    variables, method = _variables(), harmonization.FAMO(weight_decay=0.0)
    for expected in (False, True):
        with tf.GradientTape(persistent=True) as tape:
            losses = _losses(variables)
        report = harmonization.minimize(
            tape, losses, variables, keras.optimizers.SGD(0.1), method, losses_after=lambda: _losses(variables)
        )
        assert (float(report["weights"][0]) != pytest.approx(_famo_start(losses), rel=1e-4)) == expected
    with pytest.raises(ValueError, match="FAMO needs the losses after the update, too. Pass `losses_after=`"):
        harmonization.minimize(tape, losses, variables, keras.optimizers.SGD(0.1), method)


def _famo_start(losses):
    """Weight of the first loss before anything was learned: in proportion to 1 / loss."""
    inverse = [1 / float(loss) for loss in losses.values()]
    return inverse[0] / sum(inverse)


def test_refuses_a_tape_that_is_not_persistent_and_missing_losses():
    variables = _variables()
    with tf.GradientTape() as tape:
        losses = _losses(variables)
    with pytest.raises(ValueError, match=r"Make it with tf.GradientTape\(persistent=True\)"):
        harmonization.minimize(tape, losses, variables, keras.optimizers.SGD(), harmonization.Sum())
    with pytest.raises(ValueError, match="at least one loss. Found none"):
        harmonization.minimize(tape, [], variables, keras.optimizers.SGD(), harmonization.Sum())
    with pytest.raises(ValueError, match="`variables` should hold what to train"):
        harmonization.minimize(tape, losses, [], keras.optimizers.SGD(), harmonization.Sum())


def test_refuses_to_sum_outside_the_replicas(mirrored):
    with mirrored(2).scope(), pytest.raises(ValueError, match="Call this inside `strategy.run`"):
        harmonization.sum_over_replicas(tf.ones([2]))
