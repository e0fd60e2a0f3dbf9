"""With Keras 3 as `tf.keras` a process trains the same way as one with Keras 2."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import harmonization

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
keras = tf.keras
KERAS_3 = hasattr(keras, "ops")
with_keras_3 = pytest.mark.skipif(not KERAS_3, reason="test_all_of_this_holds_for_keras_3 runs it.")
BOTH = [pathlib.Path(__file__).with_name(name) for name in ("test_keras_losses.py", "test_keras_forms.py")]
FILES = [__file__, *map(str, BOTH)]


@pytest.mark.skipif(KERAS_3, reason="This is the run with Keras 3.")
def test_all_of_this_holds_for_keras_3():
    """In one process, since loading TensorFlow takes long."""
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "0"}
    command = [sys.executable, "-m", "pytest", "--noconftest", "-q", "-p", "no:cacheprovider", *FILES]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "2 skipped" in done.stdout and "failed" not in done.stdout


def _data():
    inputs = np.random.default_rng(0).normal(size=[24, 4]).astype(np.float32)
    return inputs, {"a": inputs.sum(axis=1), "b": -inputs[:, 0]}


@with_keras_3
def test_it_trains_as_a_plain_model_does():
    inputs, targets = _data()
    trained = []
    for cls, options in ((keras.Model, {}), (harmonization.HarmonizedModel, {"harmonizer": "sum"})):
        keras.utils.set_random_seed(0)
        source = keras.Input([4])
        shared = keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2")(source)
        model = cls(source, {name: keras.layers.Dense(1, name=name)(shared) for name in targets})
        model.compile(keras.optimizers.SGD(0.1), loss={"a": "mse", "b": "mae"}, **options)
        history = model.fit(inputs, targets, batch_size=9, epochs=2, verbose=0, shuffle=False).history
        trained.append((history, model.get_weights()))
    (expected, weights), (history, same_weights) = trained
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4)
    for one, other in zip(weights, same_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert len(history["gradient_cosine"]) == 2


@with_keras_3
def test_half_precision_scales_the_loss():
    inputs, targets = _data()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        source = keras.Input([4])
        model = harmonization.HarmonizedModel(source, [keras.layers.Dense(1)(source), keras.layers.Dense(1)(source)])
        model.compile("adam", loss=["mse", "mse"], harmonizer="gr", jit_compile=True)
        model.fit(inputs, list(targets.values()), verbose=0)
        assert hasattr(model.optimizer, "dynamic_scale")
        shared = keras.layers.Dense(8, activation="tanh")(source)
        model = harmonization.HarmonizedModel(source, [keras.layers.Dense(1)(shared), keras.layers.Dense(1)(shared)])
        model.compile("adam", loss=["mse", "mse"], harmonizer="gr", gradient_parts=4, jit_compile=True)
        # Several epochs: the scale falls at first.
        found = model.fit(inputs, list(targets.values()), batch_size=24, epochs=5, verbose=0).history
        assert found["step_kept"][-1] == 1 and found["gradient_cosine_error"][-1] > 0
        assert 0 < found["gradient_conflict_p"][-1] <= 1
    finally:
        keras.mixed_precision.set_global_policy("float32")


@with_keras_3
@pytest.mark.parametrize("level, kept", [(0.999, 0.0), (1e-6, 1.0)])
def test_a_gate_on_significant_conflicts(level, kept):
    inputs, targets = _data()
    source = keras.Input([4])
    shared = keras.layers.Dense(8, activation="tanh")(source)
    model = harmonization.HarmonizedModel(source, {name: keras.layers.Dense(1, name=name)(shared) for name in targets})
    gate = harmonization.Significant(harmonization.GradientCurriculum(0.999), level)
    model.compile("sgd", loss={"a": "mse", "b": "mae"}, harmonizer=gate, gradient_parts=4)
    assert model.fit(inputs, targets, batch_size=24, verbose=0).history["step_kept"] == [kept]


@with_keras_3
def test_minimize_takes_back_the_scale_of_the_loss():
    moved = []
    for scale in (None, 2.0**15):
        variable = keras.Variable([1.0, 2.0])
        optimizer = keras.optimizers.SGD(1.0)
        if scale:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
        with tf.GradientTape(persistent=True) as tape:
            losses = [tf.reduce_sum(variable.value**2), tf.reduce_sum(variable.value * [3.0, -1.0])]
        report = harmonization.minimize(tape, losses, [variable], optimizer, harmonization.NashMTL())
        np.testing.assert_allclose(report["norms"], [20**0.5, 10**0.5], rtol=1e-5)
        moved.append(variable.numpy())
    np.testing.assert_allclose(moved[1], moved[0], rtol=1e-5)
