"""Losses count as in a plain Keras model, however they are given; test_keras_3.py runs all of it with Keras 3."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import harmonization

pytestmark = pytest.mark.slow

keras = tf.keras
KERAS_3 = hasattr(keras, "ops")
MODELS = ((keras.Model, {}), (harmonization.HarmonizedModel, {"harmonizer": "sum"}))
NOT_LOGGED_BY_KERAS = {"gradient_cosine", "gradient_conflict", "step_kept"}
SAMPLES = 6


def _shipped(form):
    """Every loss of `keras.losses` in one of the forms that Keras takes, by the name of its output."""
    losses = vars(keras.losses).items()
    if form == "object":
        classes = {name: loss for name, loss in losses if inspect.isclass(loss) and loss is not keras.losses.Loss}
        return {name: loss() for name, loss in classes.items() if issubclass(loss, keras.losses.Loss)}
    functions = {
        loss.__name__: loss
        for name, loss in losses
        if inspect.isfunction(loss) and list(inspect.signature(loss).parameters)[:2] == ["y_true", "y_pred"]
    }
    functions.pop("categorical_generalized_cross_entropy", None)  # an object only: the function wants its `q`
    if form == "string":
        crossentropies = {"binary": "ce", "sparse": "CE", "categorical": "crossentropy"}
        return {name: name for name in functions} | (crossentropies if KERAS_3 else {})
    if form == "lambda":
        return {name: lambda true, predicted, loss=loss: loss(true, predicted) for name, loss in functions.items()}
    return functions


def _kind(name):
    """What the output of a loss is: probabilities of classes, vectors, letters, a direction, or one number."""
    name = name.lower().replace("_", "")
    for kind, marks in {
        "sparse": ("sparse", "generalized"), "classes": ("categorical",), "letters": ("ctc",), "vectors": ("circle",),
        "direction": ("cosine",),
    }.items():  # fmt: skip
        if any(mark in name for mark in marks):
            return kind
    return "number"


def _targets(kind, rank, dtype, generator):
    labels = generator.integers(0, 3, SAMPLES)
    if kind == "letters":
        return generator.integers(1, 4, [SAMPLES, 2]).astype(np.int32)
    if kind == "classes":
        return np.eye(3, dtype=dtype)[labels]
    values = labels if kind in ("sparse", "vectors") else labels % 2
    dtype = "float32" if kind == "direction" and not KERAS_3 else dtype  # Keras 2 refuses integers
    return values.astype(dtype) if rank == 1 or kind == "vectors" else values.astype(dtype)[:, None]


def _many_outputs(cls, losses):
    keras.utils.set_random_seed(0)
    inputs = keras.Input([4])
    few, many = (keras.layers.Dense(units, use_bias=False)(inputs) for units in (3, 16))
    kinds = {
        "number": keras.layers.Dense(1, use_bias=False, activation="sigmoid")(inputs),
        "classes": keras.layers.Softmax()(few),
        "vectors": keras.layers.UnitNormalization()(few),
        "letters": keras.layers.Reshape([4, 4])(many),
    }
    kinds |= {"sparse": kinds["classes"], "direction": kinds["number"]}
    return cls(inputs, {name: keras.layers.Activation("linear", name=name)(kinds[_kind(name)]) for name in losses})


def _inputs():
    return np.random.default_rng(0).normal(size=[SAMPLES, 4]).astype(np.float32)


def _assert_same(expected, found):
    assert set(found) - NOT_LOGGED_BY_KERAS == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-6, err_msg=name)


def _assert_same_results(results):
    (*expected, expected_weights), (*found, weights) = results
    for one, other in zip(expected, found, strict=True):
        _assert_same(one, other)
    for one, other in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def _results(model, inputs, targets, **options):
    history = model.fit(inputs, targets, batch_size=4, verbose=0, shuffle=False, **options).history
    return history, model.evaluate(inputs, targets, verbose=0, return_dict=True)


@pytest.mark.parametrize("form", ["string", "object", "function", "lambda"])
def test_every_shipped_loss_counts_as_in_keras(form):
    losses = _shipped(form)
    assert len(losses) > 15
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=[SAMPLES, 4]).astype(np.float32)
    flat, columns = (
        {name: _targets(_kind(name), rank, dtype, generator) for name in losses}
        for rank, dtype in ((1, "float32"), (2, "int32"))
    )
    results = []
    for cls, options in MODELS:
        model = _many_outputs(cls, losses)
        model.compile(keras.optimizers.SGD(0.01), losses, run_eagerly=True, **options)
        history = model.fit(inputs, flat, verbose=0, shuffle=False).history
        step = model.train_on_batch(inputs, columns, return_dict=True)
        evaluations = [model.evaluate(inputs, each, verbose=0, return_dict=True) for each in (flat, columns)]
        results.append((history, step, *evaluations, model.get_weights()))
    _assert_same_results(results)
    assert np.isfinite(results[0][0]["loss"]).all()


def _sequences(cls):
    """Outputs with a mask, without one, of whole numbers, and one that no loss is for."""
    keras.utils.set_random_seed(0)
    words = keras.Input([3], dtype="int32")
    states = keras.layers.Embedding(4, 3, mask_zero=True)(words)
    pooled = keras.layers.GlobalAveragePooling1D()(states)
    outputs = {
        "each": keras.layers.Dense(1, name="each")(states),
        "last": keras.layers.Dense(1, name="last", kernel_regularizer=keras.regularizers.L2(0.1))(pooled),
        "kind": keras.layers.Dense(3, name="kind", activation="softmax")(pooled),
        "unused": keras.layers.Dense(1, name="unused")(pooled),
    }
    return cls(words, outputs)


def _sequence_data():
    generator = np.random.default_rng(1)
    inputs = np.array([[1, 2, 0], [3, 0, 0], [2, 2, 1], [1, 0, 0], [2, 3, 0], [3, 3, 3]])
    values = generator.normal(size=[SAMPLES, 3]).astype(np.float32)
    targets = {"each": values[..., None], "last": values[:, 0], "kind": inputs[:, 0] % 3, "unused": values[:, 0]}
    weights = {
        "each": np.abs(values),
        "last": np.abs(values[:, 1]),
        "kind": np.abs(values[:, 2]),
        "unused": values[:, 0],
    }
    return inputs, targets, weights


def _root_error(true, predicted):
    return tf.sqrt(tf.reduce_mean((tf.cast(true, predicted.dtype) - predicted) ** 2, axis=-1) + 1.0)


@pytest.mark.parametrize(
    ("weighted", "reduction"),
    [(False, "sum_over_batch_size"), (True, "mean_with_sample_weight" if KERAS_3 else "sum_over_batch_size")],
)
def test_masks_weights_and_reductions_count_as_in_keras(weighted, reduction):
    inputs, targets, weights = _sequence_data()
    losses = {"each": keras.losses.MeanAbsoluteError(reduction=reduction), "last": _root_error, "unused": None}
    losses["kind"] = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
    results = []
    for cls, options in MODELS:
        model = _sequences(cls)
        scales = {"each": 0.5, "last": 3.0, "kind": 0.1, "unused": 1.0}
        model.compile(keras.optimizers.SGD(0.1), losses, loss_weights=scales, run_eagerly=True, **options)
        weight = weights if weighted else None
        data = (inputs, targets, weights) if weighted else (inputs, targets)
        stop = keras.callbacks.EarlyStopping("val_last_loss", mode="max")
        fitted = model.fit(
            inputs, targets, sample_weight=weight, batch_size=4, epochs=3, validation_data=data, callbacks=[stop],
            shuffle=False, verbose=0,
        )  # fmt: skip
        step = model.train_on_batch(inputs, targets, weight, return_dict=True)
        found = model.evaluate(inputs, targets, sample_weight=weight, batch_size=4, verbose=0, return_dict=True)
        results.append((fitted.history, step, found, model.get_weights()))
    _assert_same_results(results)
    assert len(results[0][0]["loss"]) == 2


def _two_heads(cls):
    """Outputs in another order than that of their names, by which Keras 2 sorts."""
    keras.utils.set_random_seed(0)
    source = keras.Input([4])
    return cls(source, {name: keras.layers.Dense(1, name=name)(source) for name in ("b", "a")})


def test_unreduced_losses_train_as_in_keras():
    inputs = _inputs()
    results = []
    for cls, options in MODELS:
        model = _two_heads(cls)
        losses = {name: keras.losses.Huber(reduction="none") for name in ("a", "b")}
        model.compile(keras.optimizers.SGD(0.1), losses, loss_weights={"a": 2.0, "b": 0.5}, run_eagerly=True, **options)
        model.fit(inputs, {"a": inputs[:, 0], "b": inputs[:, 1:2]}, shuffle=False, verbose=0)
        results.append(({}, model.get_weights()))
    _assert_same_results(results)


def _listing(base):
    class Listing(base):
        """Two outputs in a list, or the first alone."""

        def __init__(self, count):
            super().__init__()
            self.layers_in_order = [keras.layers.Dense(1) for _ in range(count)]

        def call(self, inputs):
            outputs = [layer(inputs) for layer in self.layers_in_order]
            return outputs if len(outputs) > 1 else outputs[0]

    return Listing


def test_lists_are_logged_by_the_same_names():
    inputs = _inputs()
    results = []
    for base, options in MODELS:
        keras.utils.set_random_seed(0)
        model = _listing(base)(3)
        losses = ["MSE", lambda true, predicted: tf.abs(true - predicted), keras.losses.Huber()]
        model.compile(keras.optimizers.SGD(0.1), losses, loss_weights=[1.0, 2.0, 3.0], run_eagerly=True, **options)
        results.append((*_results(model, inputs, [inputs[:, 0], inputs[:, 1], inputs[:, 2:3]]), model.get_weights()))
    _assert_same_results(results)


def test_class_weights_count_as_in_keras():
    inputs = _inputs()
    kinds = (inputs[:, 0] > 0).astype(np.int32)
    weights, results, refusals = {0: 0.3, 1: 2.0}, [], []
    for base, options in MODELS:
        keras.utils.set_random_seed(0)
        model = _listing(base)(1)
        model.compile(keras.optimizers.SGD(0.1), ["mse"], run_eagerly=True, **options)
        results.append((*_results(model, inputs, kinds, class_weight=weights), model.get_weights()))
        model = _listing(base)(2)
        model.compile("sgd", ["mse", "mse"], run_eagerly=True, **options)
        with pytest.raises(ValueError) as refused:
            model.fit(inputs, [kinds, kinds], class_weight=weights, verbose=0)
        refusals.append(str(refused.value))
    _assert_same_results(results)
    assert refusals[0] == refusals[1]


class Louder(harmonization.HarmonizedTraining, keras.Model):
    """Its logged loss is twice Keras'."""

    def compute_loss(self, *args, **options):
        return 2 * super().compute_loss(*args, **options)


def test_an_overridden_compute_loss_changes_only_the_log():
    inputs = _inputs()
    trained = []
    for cls in (harmonization.HarmonizedModel, Louder):
        model = _two_heads(cls)
        model.compile(keras.optimizers.SGD(0.1), {"a": "mse", "b": "mae"}, run_eagerly=True)
        logged = model.train_on_batch(inputs, {"a": inputs[:, 0], "b": inputs[:, 1]}, return_dict=True)
        trained.append((logged, model.get_weights()))
    (once, weights), (twice, same_weights) = trained
    factor = 2 if KERAS_3 else 1  # Keras 2 logs the sum before it returns it
    np.testing.assert_allclose(twice["loss"], factor * once["loss"], rtol=1e-6)
    for one, other in zip(weights, same_weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_losses_after_the_step_are_not_logged():
    inputs = _inputs()
    targets = {"a": inputs[:, 0], "b": inputs[:, 1]}
    logged = []
    for method in ("sum", "famo"):
        model = _two_heads(harmonization.HarmonizedModel)
        model.compile(keras.optimizers.SGD(0.1), {"a": "mse", "b": "mae"}, run_eagerly=True, harmonizer=method)
        logged.append(model.train_on_batch(inputs, targets, return_dict=True))
    for name in ("loss", "a_loss", "b_loss"):
        np.testing.assert_allclose(logged[1][name], logged[0][name], rtol=1e-6)


def test_compiling_with_the_losses_of_a_compiled_model_counts_them_once():
    inputs = _inputs()
    model = _listing(harmonization.HarmonizedModel)(2)
    model.compile(keras.optimizers.SGD(0.0), ["mse", "mae"], run_eagerly=True)
    targets = [inputs[:, 0], inputs[:, 1]]
    first = model.train_on_batch(inputs, targets, return_dict=True)
    model.compile(keras.optimizers.SGD(0.0), model.loss, run_eagerly=True)
    _assert_same({"loss": first["loss"]}, {"loss": model.train_on_batch(inputs, targets, return_dict=True)["loss"]})


def test_objectives_are_in_the_order_of_the_outputs():
    inputs = _inputs()
    targets = {"a": inputs[:, 0], "b": inputs[:, 1]}
    weighted = {"loss_weights": {"b": 3.0, "a": 0.5}, "harmonizer": "sum"}
    trained = []
    for options in (weighted, {"harmonizer": harmonization.Reweight([3.0, 0.5])}):
        model = _two_heads(harmonization.HarmonizedModel)
        model.compile(keras.optimizers.SGD(0.1), {"a": "mse", "b": "mae"}, run_eagerly=True, **options)
        model.train_on_batch(inputs, targets)
        trained.append(({}, model.get_weights()))
    _assert_same_results(trained)
