import pathlib

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization.output_losses import check_losses
from vatt.keras import keras

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
LOSSES = {"depth": "mse", "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}


def _data(size=24):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=[size, 4]).astype(np.float32)
    targets = {"depth": inputs.sum(axis=1), "kind": (inputs[:, 0] < 0).astype(np.int32)}
    weights = {name: generator.uniform(size=size).astype(np.float32) for name in targets}
    return inputs, targets, weights


def _model(cls=harmonization.HarmonizedModel, **layer):
    keras.utils.set_random_seed(0)
    inputs = keras.Input([4])
    shared = keras.layers.Dense(8, activation="tanh", name="shared", **layer)(inputs)
    outputs = {
        "depth": keras.layers.Dense(1, name="depth", dtype="float32")(shared),
        "kind": keras.layers.Dense(2, name="kind", dtype="float32")(shared),
    }
    return cls(inputs, outputs)


def _fit(model, **options):
    inputs, targets, weights = _data()
    history = model.fit(
        inputs, targets, sample_weight=weights, batch_size=8, epochs=2, verbose=0, shuffle=False, **options
    )
    return history.history


@pytest.fixture
def policy():
    """A function that sets Keras' precision, which is set back."""
    yield keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy("float32")


def test_the_plain_sum_trains_as_keras_does():
    plain, harmonized = (
        _model(cls, kernel_regularizer=keras.regularizers.L2(0.01))
        for cls in (keras.Model, harmonization.HarmonizedModel)
    )
    scales = {"depth": 0.3, "kind": 2.0}
    plain.compile(keras.optimizers.SGD(0.1), loss=LOSSES, loss_weights=scales)
    harmonized.compile(keras.optimizers.SGD(0.1), loss=LOSSES, loss_weights=scales, harmonizer="sum")
    expected, history = _fit(plain), _fit(harmonized)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)
    for one, other in zip(harmonized.weights, plain.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("precision", "jit_compile"),
    [
        ("float32", False),
        ("float32", True),
        ("mixed_float16", False),
        ("mixed_float16", True),
        ("mixed_bfloat16", False),
    ],
)
def test_fit_harmonizes(policy, precision, jit_compile):
    policy(precision)
    model = _model()
    model.compile(keras.optimizers.Adam(0.02), LOSSES, harmonizer="gr", jit_compile=jit_compile)
    history = _fit(model)
    assert history["loss"][1] < history["loss"][0]
    assert set(history) >= {"gradient_cosine", "gradient_conflict", "step_kept", "depth_loss"}
    assert all(-1 <= cosine <= 1 and cosine != 0 for cosine in history["gradient_cosine"])
    assert history["step_kept"] == [1, 1] and model.harmonization_state.step == 6


def test_a_step_of_fit_is_a_step_of_minimize():
    model, other = _model(), _model()
    inputs, targets, _ = _data()
    model.compile(keras.optimizers.SGD(0.1), LOSSES, harmonizer="gr")
    model.fit(inputs, targets, batch_size=24, epochs=1, verbose=0, shuffle=False)
    with tf.GradientTape(persistent=True) as tape:
        outputs = other(inputs, training=True)
        losses = [
            tf.reduce_mean((outputs["depth"][:, 0] - targets["depth"]) ** 2),
            LOSSES["kind"](targets["kind"], outputs["kind"]),
        ]
    method = harmonization.GradientRealignment()
    harmonization.minimize(tape, losses, other.trainable_variables, keras.optimizers.SGD(0.1), method)
    for one, expected in zip(model.weights, other.weights, strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-7)


def test_a_curriculum_leaves_steps_out():
    model = _model()
    start = [weight.numpy() for weight in model.weights]
    model.compile("adam", LOSSES, harmonizer=harmonization.GradientCurriculum(0.999))
    assert _fit(model)["step_kept"] == [0, 0] and model.harmonization_state.step == 6
    for weight, expected in zip(model.weights, start, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("every", [None, 2])
def test_fit_takes_one_backward_pass_between_measurements(every):
    histories, weights = [], []
    for measured in (every, 1):
        model = _model()
        model.compile(keras.optimizers.SGD(0.1), LOSSES, harmonizer="rlw", measure_gradients_every=measured)
        histories.append(_fit(model))
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    found, expected = histories
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)
    assert found["step_kept"] == [1.0, 1.0]
    assert ("gradient_cosine" in found) == ("gradient_conflict" in found) == (every is not None)
    if every:
        assert all(-1 < cosine < 1 and cosine for cosine in found["gradient_cosine"])
        assert found["gradient_cosine"] != expected["gradient_cosine"], "the mean is over fewer steps"


def test_refuses_to_measure_where_it_cannot(mirrored):
    model = _model()
    for every in (0, 1.5):
        with pytest.raises(ValueError, match="`measure_gradients_every` should be None or an integer of at least 1"):
            model.compile("sgd", LOSSES, measure_gradients_every=every)
    with mirrored(2).scope():
        model = _model()
        with pytest.raises(ValueError, match="Under MirroredStrategy .* should be 1 or None. Found 3"):
            model.compile("sgd", LOSSES, measure_gradients_every=3)


def test_layers_make_up_groups():
    model = _model()
    heads = [model.get_layer("depth"), model.get_layer("kind")]
    groups = {"shared": model.get_layer("shared"), "heads": heads}
    model.compile("sgd", LOSSES, harmonizer="mean", groups=groups)
    assert 0 < _fit(model)["gradient_conflict"][0] < 1  # the heads' two gradients never meet


def test_two_replicas_train_as_one(mirrored):
    trained = []
    for replicas in (1, 2):
        with mirrored(replicas).scope():
            model = _model(kernel_regularizer=keras.regularizers.L2(0.01))
            model.compile(keras.optimizers.SGD(0.1), LOSSES, harmonizer="gr")
        history = _fit(model)
        trained.append(([weight.numpy() for weight in model.weights], history["gradient_cosine"]))
    (alone, cosines), (together, same_cosines) = trained
    np.testing.assert_allclose(same_cosines, cosines, rtol=1e-4)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_keras_sees_no_weights_but_the_models():
    model = _model()
    count = len(model.weights)
    model.compile("adam", LOSSES, harmonizer="gradvac", metrics={"depth": "mae"})
    _fit(model)
    assert len(model.weights) == count
    inputs, targets, _ = _data()
    assert set(model.evaluate(inputs, targets, verbose=0, return_dict=True)) == {
        "loss", "depth_loss", "kind_loss", "depth_mae",
    }  # fmt: skip


def test_the_state_of_the_method_goes_into_a_checkpoint(tmp_path):
    model, other = _model(), _model()
    for each in (model, other):
        each.compile("adam", LOSSES, harmonizer="gradvac")
    _fit(model)
    path = tf.train.Checkpoint(method=model.harmonization_state).write(str(tmp_path / "state"))
    other.harmonization_state.harmonizer.build(2, ("all",))
    tf.train.Checkpoint(method=other.harmonization_state).read(path).assert_consumed()
    pairs = zip(model.harmonization_state.variables, other.harmonization_state.variables, strict=True)
    for one, same in pairs:
        np.testing.assert_array_equal(one, same)
    assert other.harmonization_state.step == 6


def _sequences():
    """Outputs of every rank, one of them masked, and targets and weights that fit in unusual ways."""
    generator = np.random.default_rng(1)
    inputs = np.array([[1, 2, 0], [3, 0, 0], [2, 2, 1], [1, 0, 0], [2, 3, 0]])
    values = generator.normal(size=[5, 3]).astype(np.float32)
    targets = {"each": values[..., None], "last": values[:, :1], "kind": inputs[:, :1] % 3}
    weights = {"each": np.abs(values), "last": np.abs(values[:, :1]), "kind": np.abs(values[:, 1])}
    return inputs, targets, weights


def _sequence_model(cls):
    keras.utils.set_random_seed(0)
    words = keras.Input([3], dtype=tf.int32)
    states = keras.layers.LSTM(4, return_sequences=True)(keras.layers.Embedding(4, 3, mask_zero=True)(words))
    outputs = {"each": keras.layers.Dense(1, name="each")(states)}
    pooled = keras.layers.Flatten()(keras.layers.Lambda(lambda each: each, mask=None)(states))
    outputs["last"] = keras.layers.Dense(1, name="last")(pooled)
    outputs["kind"] = keras.layers.Dense(3, name="kind")(pooled)
    return cls(words, outputs)


@pytest.mark.parametrize("weighted", [False, True])
def test_masks_weights_and_ranks_count_as_in_keras(weighted):
    inputs, targets, weights = _sequences()
    losses = {"each": "mse", "last": keras.losses.Huber(), "kind": "sparse_categorical_crossentropy"}
    trained = []
    for cls, options in ((keras.Model, {}), (harmonization.HarmonizedModel, {"harmonizer": "sum"})):
        model = _sequence_model(cls)
        model.compile(keras.optimizers.SGD(0.1), losses, **options)
        weight = weights if weighted else None
        history = model.fit(inputs, targets, sample_weight=weight, batch_size=4, epochs=2, verbose=0, shuffle=False)
        trained.append((history.history["loss"], model.get_weights()))
    (expected, weights), (found, same) = trained
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for one, other in zip(same, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_lists_of_outputs_train_as_dicts_do():
    inputs, targets, _ = _data()
    trained = []
    for listed in (False, True):
        keras.utils.set_random_seed(0)
        source = keras.Input([4])
        outputs = {
            "depth": keras.layers.Dense(1, name="depth")(source),
            "kind": keras.layers.Dense(2, name="kind")(source),
        }
        form = (lambda values: [values["depth"], values["kind"]]) if listed else dict
        model = harmonization.HarmonizedModel(source, form(outputs))
        model.compile("sgd", form(LOSSES), harmonizer="gr", loss_weights=form({"depth": 2.0, "kind": 0.5}))
        model.fit(inputs, form(targets), verbose=0, shuffle=False)
        trained.append(model.get_weights())
    for one, other in zip(*trained, strict=True):
        np.testing.assert_array_equal(one, other)


class Subclassed(harmonization.HarmonizedModel):
    def __init__(self, outputs):
        super().__init__()
        self.layer, self.outputs_wanted = keras.layers.Dense(2), outputs

    def call(self, inputs, training=False):
        depth, kind = tf.split(self.layer(inputs), 2, axis=-1)
        return {"both": {"depth": depth, "kind": kind}, "one": depth}[self.outputs_wanted]


def test_subclasses_train_even_after_a_functional_model():
    inputs, targets, _ = _data()
    assert isinstance(_model(), harmonization.HarmonizedTraining)
    model = Subclassed("both")
    model.compile("sgd", {"depth": "mse", "kind": "mse"}, harmonizer="gr", run_eagerly=True)
    model.fit(inputs, {name: target.astype(np.float32) for name, target in targets.items()}, verbose=0)
    single = Subclassed("one")
    single.compile("sgd", ["mse"])
    single.fit(inputs, targets["depth"], verbose=0)
    assert model.harmonization_state.step == single.harmonization_state.step == 1


def test_losses_after_the_step_leave_batch_statistics_unchanged():
    inputs, targets, _ = _data()
    means = []
    for name in ("sum", "famo"):
        keras.utils.set_random_seed(0)
        source = keras.Input([4])
        normed = keras.layers.BatchNormalization(name="norm")(source)
        model = harmonization.HarmonizedModel(
            source, {key: keras.layers.Dense(1, name=key)(normed) for key in ("a", "b")}
        )
        model.compile(keras.optimizers.SGD(0.0), {"a": "mse", "b": "mse"}, harmonizer=name)
        model.fit(inputs, {"a": targets["depth"], "b": targets["depth"]}, verbose=0, shuffle=False)
        means.append(model.get_layer("norm").moving_mean.numpy())
    np.testing.assert_allclose(*means, rtol=1e-6)


def test_a_saved_model_keeps_its_losses(tmp_path):
    model = _model()
    model.compile("sgd", LOSSES | {"depth": keras.losses.Huber(0.3)})
    inputs, targets, _ = _data()
    expected = model.evaluate(inputs, targets, verbose=0)
    model.save(tmp_path / "model.h5")
    loaded = keras.models.load_model(tmp_path / "model.h5", custom_objects={"FunctionalModel": type(model)})
    np.testing.assert_allclose(loaded.evaluate(inputs, targets, verbose=0), expected, rtol=1e-6)


def test_compiling_anew_goes_on_with_the_step():
    model = _model()
    model.compile("sgd", LOSSES, harmonizer="gr")
    _fit(model)
    model.compile("adam", LOSSES, ["mae"], harmonizer="gradvac")
    assert model.harmonization_state.step == 6


@pytest.mark.parametrize("loss", ["mse", None, [], {}])
def test_refuses_one_loss(loss):
    with pytest.raises(ValueError, match="`loss` should be a dict or a list with one loss per output"):
        _model().compile("sgd", loss)


def test_refuses_a_method_that_it_does_not_know_and_missing_targets():
    with pytest.raises(ValueError, match="Unknown method 'grr'"):
        _model().compile("sgd", LOSSES, harmonizer="grr")
    model = _model()
    model.compile("sgd", LOSSES)
    inputs, targets, _ = _data()
    with pytest.raises(ValueError, match="Output 'kind' has a loss"):
        model.train_step((inputs, {"depth": targets["depth"]}))


def _columns(losses, targets):
    return {"loss": losses, "loss_weights": None, "targets": targets, "sample_weight": None}


def test_refuses_losses_that_do_not_fit_the_outputs():
    inputs, targets, _ = _data()
    cases = [
        ({"depth": "mse", "knd": "mse"}, r"`loss` should name outputs among \['depth', 'kind'\]. Found \['knd'\]"),
        (["mse", "mse"], "The outputs are a dict, so `loss` should be a dict with their names"),
    ]
    for losses, message in cases:
        with pytest.raises(ValueError, match=message):
            check_losses(_columns(losses, targets), {"depth": inputs, "kind": inputs}, None)
    with pytest.raises(ValueError, match=r"`loss` should have one entry per output \(2\). Found 1"):
        check_losses(_columns(["mse"], [inputs] * 2), [inputs] * 2, None)
    with pytest.raises(ValueError, match=r"At least one of the outputs \[0, 1\] should have a loss"):
        check_losses(_columns([None, None], [inputs] * 2), [inputs] * 2, None)
    with pytest.raises(ValueError, match="Call `compile` with `harmonizer=`, also after loading it"):
        _model().train_step((inputs, targets))


def test_the_example_in_the_readme_runs(capsys):
    blocks = (ROOT / "README.md").read_text().split("```python\n")[1:]
    (example,) = [block.split("```")[0] for block in blocks if "HarmonizedModel" in block]
    assert len([line for line in example.splitlines() if line.strip()]) <= 20
    variables = {}
    exec(example, variables)
    assert len(variables["history"].history["gradient_cosine"]) == 3
    assert "gradient_cosine" in capsys.readouterr().out
