"""Attention's own backward pass against a softmax, a dropout and a matrix product in float64, differentiated by TensorFlow."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from vatt import randomness
from vatt.layers.dot_product import dot_product_attention
from vatt.tracing import traced_for_tpu

KEY, RATE = tf.constant([7], tf.uint64), 0.4


@pytest.fixture
def form(request):
    """The form of the backward pass: that of any device, or that of a TPU."""
    with traced_for_tpu() if request.param == "a TPU" else contextlib.nullcontext():
        yield request.param


both_forms = pytest.mark.parametrize("form", ["any device", "a TPU"], indirect=True)


def plain(query, key, value, mask, bias, rate, weights_key):
    scores = tf.matmul(query, key, transpose_b=True)
    if bias is not None:
        scores += bias
    if mask is not None:
        scores += tf.where(mask, tf.zeros([], scores.dtype), -1e9)[:, tf.newaxis, tf.newaxis, :]
    weights = tf.linalg.matrix_transpose(tf.nn.softmax(scores))  # the order in which the draws fall
    kept = randomness.dropout(weights, rate, weights_key)
    return tf.matmul(kept, value, transpose_a=True)


def inputs(queries=6, tokens=6, dtype=tf.float32, spread=1.0):
    draw = lambda shape, number: tf.random.stateless_normal(shape, [3, number])  # noqa: E731
    query = spread * draw([5, 2, queries, 4], 0)
    key, value = draw([5, 2, tokens, 4], 1), draw([5, 2, tokens, 4], 2)
    return [tf.cast(value, dtype) for value in (query, key, value)], draw([1, 2, queries, tokens], 3)


def in_float64(values):
    return [None if value is None else tf.cast(value, tf.float64) for value in values]


def with_gradients(attend, values, bias, mask, rate, weights_key):
    values = [*values, *([] if bias is None else [bias])]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        mixed = attend(*values[:3], mask, bias, rate, weights_key)
        objectives = [tf.reduce_sum(tf.sin(mixed)), tf.reduce_sum(tf.square(mixed))]
    return [mixed, *(gradient for one in objectives for gradient in tape.gradient(one, values))]


def errors(exact, found):
    """Returns how far each array is off, as a share of its norm."""
    pairs = zip(exact, found, strict=True)
    return [np.linalg.norm(one - tf.cast(other, tf.float64)) / np.linalg.norm(one) for one, other in pairs]


@pytest.mark.parametrize("queries", [6, 1])
@pytest.mark.parametrize(
    "weights_key, form", [(None, "any device"), (KEY, "any device"), (KEY, "a TPU")], indirect=["form"]
)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.usefixtures("form")
def test_it_is_the_same_function_with_the_same_gradients(queries, weights_key, biased):
    values, bias = inputs(queries)
    bias, mask = (bias, tf.sequence_mask([6, 4, 2, 1, 5], 6)) if biased else (None, None)
    exact = with_gradients(plain, in_float64(values), *in_float64([bias]), mask, RATE, weights_key)
    compiled = tf.function(with_gradients, autograph=False, jit_compile=True)
    for run in (with_gradients, compiled):
        found = run(dot_product_attention, values, bias, mask, RATE, weights_key)
        assert np.all(np.array(errors(exact, found)) < 2e-6)


@pytest.mark.parametrize("largest, dtype, spared", [(30.0, tf.float32, True), (30.0, tf.bfloat16, True), (50.0, tf.float32, False),
                                                    (float("nan"), tf.float32, False), (10.0, tf.float16, False)])  # fmt: skip
def test_small_scores_need_no_maximum(monkeypatch, largest, dtype, spared):
    """The product of the longest query and the longest key is `largest`."""
    (query, key, value), _ = inputs(dtype=dtype)
    query *= tf.cast(largest, dtype) / tf.reduce_max(tf.norm(query, axis=-1)) / tf.reduce_max(tf.norm(key, axis=-1))
    maxima, real = [], tf.reduce_max
    monkeypatch.setattr(tf, "reduce_max", lambda *args, **options: maxima.append(options) or real(*args, **options))
    dot_product_attention(query, key, value, None, None, RATE, KEY)
    assert (dict(axis=-2, keepdims=True) not in maxima) == spared


@pytest.mark.parametrize(
    "largest, form",
    [*((largest, "any device") for largest in (1.0, 30.0, 39.9, 40.1, 300.0)), (39.9, "a TPU"), (300.0, "a TPU")],
    indirect=["form"],
)
@pytest.mark.usefixtures("form")
def test_scores_of_either_sign_have_the_same_function_and_gradients(largest):
    """All of a query's scores near the largest or near its opposite, where their exponentials are the farthest from 1."""
    (_, key, value), _ = inputs()
    key = tf.math.l2_normalize(key + 5.0, axis=-1)
    query = largest * tf.sign(tf.random.stateless_normal([5, 2, 6, 1], [5, 5])) * tf.reverse(key, axis=[0])
    exact = with_gradients(plain, in_float64([query, key, value]), None, None, RATE, KEY)
    compiled = tf.function(with_gradients, autograph=False, jit_compile=True)
    for run in (with_gradients, compiled):
        found = run(dot_product_attention, [query, key, value], None, None, RATE, KEY)
        assert np.all(np.array(errors(exact, found)) < 2e-6 * max(largest, 10))


@both_forms
@pytest.mark.usefixtures("form")
def test_scores_of_any_size_stay_finite():
    values, _ = inputs(spread=1e4)
    expected = plain(*values, None, None, RATE, KEY)
    found = with_gradients(dot_product_attention, values, None, None, RATE, KEY)
    np.testing.assert_allclose(expected, found[0], rtol=1e-4, atol=1e-5)
    assert all(np.isfinite(one).all() for one in found)


@both_forms
@pytest.mark.usefixtures("form")
def test_bfloat16_costs_no_more_accuracy_than_in_a_softmax():
    values, _ = inputs(100, 100, tf.bfloat16)
    exact = with_gradients(plain, in_float64(values), None, None, RATE, KEY)
    expected, found = (
        with_gradients(attend, values, None, None, RATE, KEY) for attend in (plain, dot_product_attention)
    )
    assert {one.dtype for one in found} == {tf.bfloat16}
    assert all(one < 1.5 * other for one, other in zip(errors(exact, found), errors(exact, expected), strict=True))


@both_forms
def test_a_tpu_keeps_no_gradient_of_the_scores(form):
    """Each product that reads it has one of its own, of another gradient, so that it is not kept for the other."""
    values, _ = inputs(tokens=7)

    @tf.function(autograph=False)
    def step():
        return with_gradients(dot_product_attention, values, None, None, RATE, KEY)

    operations = step.get_concrete_function().graph.get_operations()
    of_values = {
        id(each.inputs[1])
        for each in operations
        if each.type == "BatchMatMulV2" and each.outputs[0].shape[2:] == [7, 6]
    }
    scores, objectives = 1, 2
    assert len(of_values) == scores + objectives * (2 if form == "a TPU" else 1)
