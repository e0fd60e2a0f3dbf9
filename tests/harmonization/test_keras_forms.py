"""Models, losses, options and optimizers in the forms that Keras takes, in both Kerases (test_keras_3 runs this file, too)."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization

pytestmark = pytest.mark.slow

keras = tf.keras
KERAS_3 = hasattr(keras, "ops")
LOSSES = {"a": "mse", "b": "mae"}


def _parts():
    keras.utils.set_random_seed(0)
    source = keras.Input([4])
    shared = keras.layers.Dense(3, activation="tanh", name="shared")(source)
    return source, {name: keras.layers.Dense(1, name=name)(shared) for name in "ab"}


def _fit(model, inputs=None, **options):
    rows = np.random.default_rng(0).normal(size=[12, 4]).astype(np.float32)
    targets = {"a": rows[:, :1], "b": -rows.sum(axis=1, keepdims=True)}
    inputs = rows if inputs is None else inputs(rows)
    return model.fit(inputs, targets, batch_size=12, verbose=0, shuffle=False, **options).history


def _compiled(model, harmonizer="gr", losses=None, **options):
    # Few steps, which take less time than their graphs would.
    model.compile(keras.optimizers.SGD(0.1), losses or LOSSES, harmonizer=harmonizer, run_eagerly=True, **options)
    return model


def _state(model):
    return [np.asarray(variable) for variable in model.harmonization_state.variables]


def _with_outputs():
    source, outputs = _parts()
    return harmonization.HarmonizedModel(source, outputs=outputs)


class Subclassed(harmonization.HarmonizedModel):
    def __init__(self):
        super().__init__()
        self.heads = keras.layers.Dense(2)

    def call(self, inputs, training=False):
        outputs = self.heads(inputs)
        return {"a": outputs[:, :1], "b": outputs[:, 1:]}


class Functional(harmonization.HarmonizedModel):
    pass


class Deeper(Functional):
    def __init__(self, **options):
        source, outputs = _parts()
        super().__init__(inputs=source, outputs=outputs, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: harmonization.HarmonizedModel(*_parts()),
        _with_outputs,
        lambda: Functional(*_parts()),
        Deeper,
    ],
    ids=["positions", "outputs", "subclass", "own constructor"],
)
def test_functional_models_leave_other_subclasses_alone(make, tmp_path):
    model = _compiled(make())
    _fit(model)
    assert harmonization.HarmonizedModel.__bases__ == (harmonization.HarmonizedTraining, keras.Model)
    assert "gradient_cosine" in _fit(_compiled(Subclassed()))
    if type(model) is Deeper:  # which Keras 3 cannot load, not as a plain model either
        return
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects={"Functional": Functional})
    assert _fit(loaded)["loss"] == pytest.approx(_fit(model)["loss"], rel=1e-6)


def test_h5_files_need_the_class_alone(tmp_path):
    model = _compiled(harmonization.HarmonizedModel(*_parts()))
    _fit(model)
    model.save(tmp_path / "model.h5")
    known = {"FunctionalModel": harmonization.FunctionalModel}
    loaded = _compiled(keras.models.load_model(tmp_path / "model.h5", custom_objects=known))
    assert _fit(loaded)["loss"] == pytest.approx(_fit(model)["loss"], rel=1e-6)


class Own(harmonization.Harmonizer):
    """A method with two variables that have no names."""

    def __init__(self):
        super().__init__()
        self.one, self.two = (tf.Variable(value, trainable=False) for value in (1.0, 2.0))

    def decide(self, group):
        state = [(self.one, self.one + 1.0), (self.two, self.two * 3.0)]
        return harmonization.Decision(tf.ones([group.size]), state=state)


def _by_layers(names):
    return lambda model: {name: model.get_layer(layer) for name, layer in zip(names, ("shared", "a"), strict=True)}


@pytest.mark.parametrize(
    ("method", "groups", "parts"),
    [
        (lambda: harmonization.GradVac(beta=0.3), _by_layers(("layer:1", "layer:2")), None),
        (lambda: harmonization.GradVac(beta=0.3), _by_layers(("a/b", "a#1")), None),
        (Own, lambda model: None, None),
        (
            lambda: harmonization.Significant(harmonization.GradVac(0.3), otherwise=harmonization.GradVac(0.01)),
            lambda model: None,
            4,
        ),
    ],
    ids=["colons", "slashes", "no names", "two of a kind"],
)
def test_every_variable_of_a_method_comes_back(method, groups, parts, tmp_path):
    def make():
        model = harmonization.HarmonizedModel(*_parts())
        return _compiled(model, method(), groups=groups(model), gradient_parts=parts)

    model, other = make(), make()
    _fit(model)
    model.save_weights(tmp_path / "saved.weights.h5")
    other.load_weights(tmp_path / "saved.weights.h5")
    assert any(np.any(one != fresh) for one, fresh in zip(_state(model), _state(make()), strict=True))
    for one, same in zip(_state(model), _state(other), strict=True):
        np.testing.assert_array_equal(same, one)


def test_a_file_names_significant_and_numbers_in_arrays(tmp_path):
    gate = harmonization.Significant(harmonization.GradVac(0.3), 0.2, otherwise=harmonization.Mean())
    for method, parts in ((gate, 4), (harmonization.STCH(preferences=np.array([1.0, 2.0])), None)):
        model = _compiled(harmonization.HarmonizedModel(*_parts()), method, gradient_parts=parts)
        _fit(model)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        for each in (model, loaded):
            each.run_eagerly = True
            _fit(each)
        assert type(loaded.harmonization_state.harmonizer) is type(method)
        for one, same in zip(
            [*_state(model), *model.get_weights()], [*_state(loaded), *loaded.get_weights()], strict=True
        ):
            np.testing.assert_allclose(same, one, rtol=1e-6, atol=1e-7)


def test_groups_of_layers_that_are_not_built_are_not_saved_empty(tmp_path):
    model = Subclassed()
    _compiled(model, groups={"heads": model.heads})
    with pytest.raises(ValueError, match="Group 'heads' should have variables to be saved"):
        model.get_compile_config()


@keras.utils.register_keras_serializable("test_keras_forms")
class Power(keras.losses.Loss):
    def __init__(self, power=3, **options):
        super().__init__(**options)
        self.power = power

    def call(self, y_true, y_pred):
        return tf.reduce_mean(tf.abs(y_true - y_pred) ** self.power, axis=-1)

    def get_config(self):
        return {**super().get_config(), "power": self.power}


def test_a_loaded_model_compiles_with_its_own_losses(tmp_path):
    _compiled(harmonization.HarmonizedModel(*_parts()), losses={"a": "mse", "b": Power(2)}).save(
        tmp_path / "model.keras"
    )
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects={"Power": Power})
    again = _compiled(loaded, losses=loaded.loss)
    expected = _compiled(harmonization.HarmonizedModel(*_parts()), losses={"a": "mse", "b": Power(2)})
    assert _fit(again)["loss"] == pytest.approx(_fit(expected)["loss"], rel=1e-6)


@pytest.mark.parametrize("losses", [{"a": {"p": "mse", "q": "mae"}, "b": "mse"}, {"a": ["mse", "mae"], "b": "mse"}])
def test_nested_outputs_are_refused(losses):
    with pytest.raises(ValueError, match="one loss for output 'a', and outputs should not be nested"):
        harmonization.HarmonizedModel(*_parts()).compile("sgd", losses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"harmonizer": harmonization.GradVac}, "`harmonizer` should be a Harmonizer"),
        ({"harmonizer": None}, "`harmonizer` should be a Harmonizer"),
        ({"groups": ["shared"]}, "`groups` should be a dict"),
        ({"gradient_parts": "4"}, "Found '4' on each of 1"),
        ({"gradient_parts": 4.0}, "Found 4.0 on each of 1"),
    ],
)
def test_arguments_of_the_wrong_kind_are_named_before_anything_changes(options, message):
    model = harmonization.HarmonizedModel(*_parts())
    with pytest.raises(ValueError, match=message):
        model.compile("sgd", LOSSES, **options)
    assert getattr(model, "optimizer", None) is None


def test_a_loss_without_gradient_can_have_parts():
    def constant(y_true, y_pred):
        return tf.reduce_sum(tf.stop_gradient(y_pred) ** 2, axis=-1)

    trained = []
    for parts in (None, 4):
        model = _compiled(
            harmonization.HarmonizedModel(*_parts()), losses={"a": "mse", "b": constant}, gradient_parts=parts
        )
        trained.append((_fit(model)["loss"], model.get_weights()))
    (loss, weights), (same_loss, same_weights) = trained
    assert same_loss == pytest.approx(loss, rel=1e-6)
    for one, other in zip(weights, same_weights, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(not KERAS_3, reason="Keras 2 has no optional inputs.")
def test_optional_inputs_may_be_missing():
    class Added(keras.layers.Layer):
        def call(self, first, second=None):
            return first if second is None else first + second

        def compute_output_spec(self, first, second=None):
            return keras.KerasTensor(first.shape, first.dtype)

    given, optional = keras.Input([4], name="given"), keras.Input([4], name="absent", optional=True)
    added = Added()(given, optional)
    outputs = {name: keras.layers.Dense(1, name=name)(added) for name in "ab"}
    model = _compiled(harmonization.HarmonizedModel({"absent": optional, "given": given}, outputs))
    assert np.isfinite(_fit(model, lambda rows: {"absent": None, "given": rows})["loss"]).all()


@pytest.mark.skipif(KERAS_3, reason="Keras 3 has no optimizer with a fixed scale that it does not divide by.")
def test_a_fixed_loss_scale_skips_a_step_that_is_not_finite():
    variable = tf.Variable([1.0, 2.0])
    inner = keras.optimizers.SGD(0.1)
    optimizer = keras.mixed_precision.LossScaleOptimizer(inner, dynamic=False, initial_scale=8)
    for broken, expected in ((float("nan"), [1.0, 2.0]), (1.0, [0.7, 1.5])):
        with tf.GradientTape(persistent=True) as tape:
            losses = [tf.reduce_sum(variable**2), tf.reduce_sum(variable) * broken]
        report = harmonization.minimize(tape, losses, [variable], optimizer, harmonization.Sum())
        assert bool(report["keep"]) == np.isfinite(broken)
        np.testing.assert_allclose(variable, expected, rtol=1e-6)
