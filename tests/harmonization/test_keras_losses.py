"""Losses count as in a plain Keras model, however they are given; everything here holds for Keras 2 and Keras 3."""

import inspect
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import harmonization

keras = tf.keras
KERAS_3 = hasattr(keras, "ops")
ROOT = pathlib.Path(__file__).parents[2]
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
