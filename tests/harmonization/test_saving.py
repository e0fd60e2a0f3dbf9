"""What Keras saves of a harmonized model: the method, its options and its state, in both Kerases.

As a program (`python test_saving.py train|resume folder`) it is a process that knows the model from the file alone.
"""

import os
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

import harmonization

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
keras = tf.keras


@keras.utils.register_keras_serializable("test_saving")
class Subclassed(harmonization.HarmonizedModel):
    def __init__(self, units=3, **options):
        super().__init__(**options)
        self.units, self.shared = units, keras.layers.Dense(units, activation="tanh")
        self.heads = [keras.layers.Dense(1), keras.layers.Dense(1)]

    def call(self, inputs, training=False):
        features = self.shared(inputs)
        return {"a": self.heads[0](features), "b": self.heads[1](features)}

    def get_config(self):
        return {"units": self.units}


def _functional(cls=harmonization.HarmonizedModel):
    source = keras.Input([4])
    shared = keras.layers.Dense(3, activation="tanh")(source)
    return cls(source, {name: keras.layers.Dense(1, name=name)(shared) for name in "ab"})


def _compile(model, harmonizer=None, groups=None):
    optimizer = keras.optimizers.Adam(0.05)
    method = harmonizer or harmonization.GradVac(beta=0.3)
    losses = {"a": "mse", "b": keras.losses.Huber()}
    # Few steps, which take less time than their graphs would.
    model.compile(optimizer, losses, harmonizer=method, groups=groups, run_eagerly=True)
    return model


def _fit(model, **options):
    inputs = np.random.default_rng(0).normal(size=[20, 4]).astype(np.float32)
    targets = {"a": inputs[:, :1], "b": -inputs.sum(axis=1, keepdims=True)}
    return model.fit(inputs, targets, batch_size=10, verbose=0, shuffle=False, **options)


def _all_of(model):
    state = [np.asarray(variable) for variable in model.harmonization_state.variables]
    return [*model.get_weights(), *state]


def _assert_same(model, expected):
    for one, other in zip(_all_of(model), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def _models():
    functional = _functional()
    heads = {"first": functional.layers[1], "heads": functional.layers[2:]}
    return {
        "functional": _compile(functional, groups=heads),
        "subclassed": _compile(Subclassed(5)),
        "scheduled": _compile(_functional(), harmonization.Both(harmonization.LinearSchedule(9, start=-0.9))),
    }


def train(folder):
    """Trains and saves models, trains on, and writes down what that gives."""
    for name, model in _models().items():
        _fit(model)
        model.save(folder / f"{name}.keras")
        _fit(model)
        np.savez(folder / f"{name}.npz", *_all_of(model))


def resume(folder):
    """Loads each model and trains on."""
    for name in ("functional", "subclassed", "scheduled"):
        model = keras.models.load_model(folder / f"{name}.keras")
        _fit(model)
        with np.load(folder / f"{name}.npz") as expected:
            _assert_same(model, [expected[key] for key in expected.files])
        assert model.harmonization_state.step == 4


def callbacks(folder):
    """Interrupts `fit`, and reads weights of one model into others."""
    expected = _compile(_seeded())
    _fit(expected, epochs=2)
    for interrupted in (True, False):
        model = _compile(_seeded())
        backup = keras.callbacks.BackupAndRestore(str(folder / "backup"))
        stop = [keras.callbacks.LambdaCallback(on_epoch_begin=_stop_after_an_epoch)] if interrupted else []
        weights = keras.callbacks.ModelCheckpoint(str(folder / "last.weights.h5"), save_weights_only=True)
        try:
            _fit(model, epochs=2, callbacks=[backup, weights, *stop])
        except InterruptedError:
            assert interrupted
    _assert_same(model, _all_of(expected))
    same = _compile(_functional())
    same.load_weights(str(folder / "last.weights.h5"))
    _assert_same(same, _all_of(expected))
    plain = _functional(keras.Model)
    plain.load_weights(str(folder / "last.weights.h5"))
    other = _compile(_functional(), harmonization.FAMO())
    with pytest.warns(UserWarning, match="another harmonization method's state"):
        other.load_weights(str(folder / "last.weights.h5"))
    assert other.harmonization_state.step == 4
    for each in (plain, other):
        np.testing.assert_array_equal(each.get_weights()[0], expected.get_weights()[0])


def _seeded():
    keras.utils.set_random_seed(0)
    return _functional()


def _stop_after_an_epoch(epoch, _):
    if epoch:
        raise InterruptedError


def test_keras_2_resumes_what_it_saved(tmp_path):
    train(tmp_path)
    resume(tmp_path)


def test_keras_2_callbacks_keep_the_state(tmp_path):
    callbacks(tmp_path)


def test_keras_3_resumes_in_another_process(tmp_path):
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "0", "PYTHONPATH": str(ROOT)}
    for what in ("train", "resume"):
        command = [sys.executable, __file__, what, str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]


def test_a_tf_checkpoint_of_the_model_holds_the_state(tmp_path):
    model, other = _compile(_functional()), _compile(_functional())
    model.harmonization_state.step.assign(5)
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(model=other).read(path).assert_existing_objects_matched()
    assert other.harmonization_state.step == 5


def test_a_saved_model_directory_can_be_read(tmp_path):
    model = _compile(_functional())
    model.save(tmp_path / "model")
    inputs = np.ones([2, 4], np.float32)
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model")(inputs)["a"], model(inputs)["a"])


def test_a_method_of_the_users_has_to_be_compiled_again(tmp_path):
    class Own(harmonization.Sum):
        pass

    _compile(_functional(), Own()).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"trained with 'Own', which is not among .*compile=False"):
        keras.models.load_model(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras", compile=False)


def test_a_file_cannot_name_code(tmp_path):
    path, changed = tmp_path / "model.keras", tmp_path / "changed.keras"
    _compile(_functional(), "cagrad").save(path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(changed, "w") as out:
        for name in whole.namelist():
            out.writestr(name, whole.read(name).replace(b'"method": "cagrad"', b'"method": "os.system"'))
    with pytest.raises(ValueError, match=r"Unknown method 'os\.system'"):
        keras.models.load_model(changed)


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "train":
        train(folder)
        callbacks(folder)
    else:
        resume(folder)
