"""The same global batch gives the same weights on 1, 2 and 4 replicas, and on two workers."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from vatt.keras import keras

pytestmark = pytest.mark.slow

BATCH, STEPS = 8, 5
ENCODERS = {"audio": [0], "video": [1], "fusion": [2]}
SCHEDULE = harmonization.LinearSchedule(STEPS, start=-0.2)
OPTIONS = {"cl": {"schedule": SCHEDULE}, "both": {"schedule": SCHEDULE}, "dwa": {"period": 1}}
START = ([[0.1, -0.3], [-0.2, 0.2], [0.3, 0.1]], [[0.2, -0.1], [0.4, 0.2], [-0.1, 0.3]], [0.5, -0.4, 0.3, 0.2])


def _data():
    generator = np.random.default_rng(5)
    inputs = generator.normal(size=(2, STEPS, BATCH, 3))
    # From agreement with the first target to its opposite, and back.
    share = np.array([1.0, 0.2, -1.0, -0.5, 1.0])[:, None]
    first = inputs[0].sum(axis=-1) + inputs[1][..., 0]
    second = share * first + (1 - np.abs(share)) * inputs[0][..., 0]
    return [tf.constant(array, tf.float32) for array in (*inputs, first, second, 0.5 * first)]


def _losses(batch, audio, video, fusion):
    sounds, frames, *targets = batch
    heard, seen = tf.tanh(sounds @ audio), tf.tanh(frames @ video)
    joined = tf.linalg.matvec(tf.concat([heard, seen], axis=1), fusion)
    outputs = (joined, tf.reduce_sum(heard, axis=1), tf.reduce_sum(seen, axis=1))
    return [tf.reduce_sum((each - target) ** 2) / BATCH for each, target in zip(outputs, targets, strict=True)]


def _methods():
    return {
        name: harmonization.get(name, **OPTIONS.get(name, method.example_options(3)))
        for name, method in harmonization.METHODS.items()
    }


class Training:
    """One model per method, all trained on the same clips, with SGD, which hides no factor."""

    def __init__(self, strategy):
        # The graph of all methods runs a few times only, so that optimizing it would cost more than it saves.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        self.strategy, self.data = strategy, _data()
        self.methods = _methods()
        with strategy.scope():
            self.weights = {name: [tf.Variable(value) for value in START] for name in self.methods}
            self.optimizers = {name: keras.optimizers.SGD(0.1) for name in self.methods}
            for name, method in self.methods.items():
                self.optimizers[name].build(self.weights[name])
                method.build(3, tuple(ENCODERS) if method.example_groups else ("all",))
        self.run = tf.function(lambda step: strategy.run(self._replica_step, args=(step,)), autograph=False)

    def train(self):
        """Returns per method: the replicas' weights, and (conflict, keep) of each step."""
        reports = [self.run(tf.constant(step, tf.int64)) for step in range(STEPS)]
        local = self.strategy.experimental_local_results
        return {
            name: (
                [[copy.numpy().tolist() for copy in local(weight)] for weight in self.weights[name]],
                [tuple(bool(local(value)[0]) for value in report[name]) for report in reports],
            )
            for name in self.methods
        }

    def _replica_step(self, step):
        context = tf.distribute.get_replica_context()
        share = BATCH // context.num_replicas_in_sync
        start = context.replica_id_in_sync_group * share
        batch = [tf.gather(array, step)[start : start + share] for array in self.data]
        return {name: self._one_method(name, batch, step) for name in self.methods}

    def _one_method(self, name, batch, step):
        method, weights = self.methods[name], self.weights[name]
        with tf.GradientTape(persistent=True) as tape:
            losses = _losses(batch, *weights)
        groups = ENCODERS if method.example_groups else None
        scores = {"audio": tf.constant(0.9), "video": tf.constant(0.2)}
        report = harmonization.minimize(
            tape, losses, weights, self.optimizers[name], method, groups, step, scores=scores,
            losses_after=lambda: _losses(batch, *weights),
        )  # fmt: skip
        return tf.reduce_any(report["conflict"]), report["keep"]


@pytest.fixture(scope="module")
def alone():
    yield Training(tf.distribute.get_strategy()).train()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


def _assert_same(together, alone, replicas):
    for name, (weights, outcomes) in together.items():
        expected, expected_outcomes = alone[name]
        assert outcomes == expected_outcomes, name
        for copies, (single,) in zip(weights, expected, strict=True):
            assert len(copies) == replicas
            for copy in copies:
                np.testing.assert_array_equal(copy, copies[0], err_msg=name)
                np.testing.assert_allclose(copy, single, rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_steps_meet_conflict_and_gates(alone):
    assert alone.keys() == harmonization.METHODS.keys()
    for name, (weights, outcomes) in alone.items():
        gated = harmonization.METHODS[name].split_gate is not harmonization.Harmonizer.split_gate
        assert {keep for _, keep in outcomes} == ({True, False} if gated else {True}), name
        assert True in {conflict for conflict, _ in outcomes}, name
        assert not np.allclose(weights[2], START[2], atol=1e-3)
    assert {conflict for conflict, _ in alone["gr"][1]} == {True, False}


@pytest.mark.parametrize("replicas", [2, 4])
def test_weights_do_not_depend_on_the_number_of_replicas(alone, replicas):
    # Collective operations, the default, cannot be used by groups of several sizes in one process.
    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    _assert_same(Training(strategy).train(), alone, replicas)


def _free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_two_workers_train_as_one(alone):
    root = pathlib.Path(__file__).parents[2]
    cluster = {"worker": [f"localhost:{port}" for port in _free_ports(2)]}
    workers = []
    for index in range(2):
        task = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        environment = {**os.environ, "TF_CONFIG": task, "TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": str(root)}
        workers.append(subprocess.Popen([sys.executable, __file__], env=environment, stdout=subprocess.PIPE, text=True))
    printed = [worker.communicate(timeout=240)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    for each in printed:
        result = json.loads(each.splitlines()[-1])
        result = {name: (weights, [tuple(o) for o in outcomes]) for name, (weights, outcomes) in result.items()}
        _assert_same(result, alone, replicas=1)


if __name__ == "__main__":
    _methods()  # which must not start TensorFlow's devices, or several workers could not meet any more
    print(json.dumps(Training(tf.distribute.MultiWorkerMirroredStrategy()).train()))
