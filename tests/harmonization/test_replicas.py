"""The same global batch gives the same weights on 1, 2 and 4 replicas."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from vatt.keras import keras

BATCH, STEPS = 8, 6
METHODS = {
    "sum": harmonization.Sum,
    "reweight": lambda: harmonization.Reweight((1.5, 0.5)),
    "gr": harmonization.GradientRealignment,
    "cl": lambda: harmonization.GradientCurriculum(harmonization.LinearSchedule(STEPS, start=-0.9)),
    "both": lambda: harmonization.Both(harmonization.LinearSchedule(STEPS, start=-0.9)),
}


def _data():
    generator = np.random.default_rng(5)
    inputs = generator.normal(size=(STEPS, BATCH, 3))
    first = inputs.sum(axis=-1, keepdims=True)
    # From agreement with the first target to its opposite, and back.
    share = np.array([1.0, 0.2, -1.0, 0.5, 0.0, 1.0])[:, None, None]
    second = share * first + (1 - np.abs(share)) * inputs[..., :1] * [-1.0]
    return [tf.constant(array, tf.float32) for array in (inputs, first, second)]


def _train(name: str, replicas: int):
    # Collective operations, the default, cannot be used by groups of several sizes in one process.
    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    with strategy.scope():
        weights = [tf.Variable([[0.1], [-0.2], [0.3]]), tf.Variable([0.05])]
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(weights)
    method, data, share = METHODS[name](), _data(), BATCH // replicas

    def replica_step(step):
        context = tf.distribute.get_replica_context()
        start = context.replica_id_in_sync_group * share
        inputs, *targets = [array[step][start : start + share] for array in data]
        with tf.GradientTape(persistent=True) as tape:
            outputs = tf.tanh(inputs @ weights[0] + weights[1])
            losses = [tf.reduce_sum((outputs - target) ** 2) / BATCH for target in targets]
        gradients = [tape.gradient(loss, weights) for loss in losses]
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        update, report = harmonization.harmonize(gradients, method, step=step)
        harmonization.apply_if(report["keep"], optimizer, update, weights)
        return {key: report[key] for key in ("keep", "conflict")}

    run = tf.function(lambda step: strategy.run(replica_step, args=(step,)))
    reports = [run(tf.constant(step, tf.int64)) for step in range(STEPS)]
    first = lambda value: bool(strategy.experimental_local_results(value)[0])  # noqa: E731
    outcomes = [(first(report["conflict"]), first(report["keep"])) for report in reports]
    copies = [strategy.experimental_local_results(weight) for weight in weights]
    return [[copy.numpy() for copy in each] for each in copies], outcomes


@pytest.mark.parametrize("name", METHODS)
def test_weights_do_not_depend_on_the_number_of_replicas(name):
    alone, outcomes = _train(name, replicas=1)
    assert {conflict for conflict, _ in outcomes} == {True, False}
    assert {keep for _, keep in outcomes} == ({True, False} if name in ("cl", "both") else {True})
    for replicas in (2, 4):
        together, same_outcomes = _train(name, replicas)
        assert same_outcomes == outcomes
        for copies, (expected,) in zip(together, alone, strict=True):
            assert len(copies) == replicas
            for copy in copies:
                np.testing.assert_array_equal(copy, copies[0])
                np.testing.assert_allclose(copy, expected, rtol=1e-5, atol=1e-6)


def test_both_meets_a_conflict_that_it_keeps():
    assert (True, True) in _train("both", replicas=1)[1]
