import re

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization import decisions
from harmonization.decisions import weighted_sum

LARGE = (1024, 1030)


def _draw(dtype, objectives=3):
    numbers = np.random.default_rng(2).normal(size=(objectives, *LARGE))
    return [tf.constant(each, dtype) for each in numbers]


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float64])
@pytest.mark.parametrize("compiles", [True, False])
def test_sums_large_gradients(dtype, compiles, monkeypatch):
    monkeypatch.setattr(decisions, "_compiles_on_cpu", lambda: compiles)
    column, weights = _draw(dtype), [0.7, -1.3, 0.2]
    got = tf.function(weighted_sum)(column, [tf.constant(weight) for weight in weights])
    assert got.dtype == dtype
    exact = sum(
        each.numpy().astype(np.float64) * np.float32(weight) for each, weight in zip(column, weights, strict=True)
    )
    accuracy = {tf.bfloat16: 8e-3, tf.float32: 2e-6, tf.float64: 1e-12}[dtype]
    np.testing.assert_allclose(got.numpy().astype(np.float64), exact, rtol=accuracy, atol=min(accuracy, 2e-6))


def test_is_compiled_where_it_is_large(monkeypatch):
    def operations(shape):
        column = [tf.TensorSpec(shape), tf.TensorSpec(shape)]
        graph = tf.function(weighted_sum).get_concrete_function(column, [tf.TensorSpec([])] * 2).graph
        return [operation for operation in graph.get_operations() if operation.type.endswith("PartitionedCall")]

    monkeypatch.setattr(decisions, "_compiles_on_cpu", lambda: True)
    (call,) = operations(LARGE)
    assert call.get_attr("_XlaMustCompile")
    assert not operations([10, 10])
    monkeypatch.setattr(decisions, "_compiles_on_cpu", lambda: False)
    assert not operations(LARGE)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_weight_of_zero_silences_what_is_not_finite(jit_compile):
    column = [*_draw(tf.float32, 1), tf.fill(LARGE, np.nan), None, tf.fill(LARGE, np.inf)]
    weights = [tf.constant(weight) for weight in (2.0, 0.0, 5.0, 0.0)]
    total = tf.function(weighted_sum, jit_compile=jit_compile)(column, weights)
    np.testing.assert_array_equal(total, 2.0 * column[0])


def test_a_profile_finds_the_compiled_sum_by_its_name(monkeypatch):
    monkeypatch.setattr(decisions, "_compiles_on_cpu", lambda: True)
    specs = [tf.TensorSpec(LARGE), tf.TensorSpec(LARGE)]
    step = tf.function(
        lambda *rows: harmonization.harmonize([[row] for row in rows], harmonization.get("gr"))[0], jit_compile=True
    )
    program = step.experimental_get_compiler_ir(*specs)(stage="hlo")
    assert re.search(r'op_name="weighted_sum/[^"]*multiply_no_nan', program)


def test_none_everywhere_is_none():
    assert weighted_sum([None, None], [tf.constant(1.0)] * 2) is None


def test_replicas_in_threads_sum_large_gradients():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    column = _draw(tf.float32, 2)

    def replica_step():
        scale = 1.0 + tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
        return harmonization.harmonize([[scale * column[0]], [scale * column[1]]], harmonization.get("sum"))[0][0]

    updates = strategy.experimental_local_results(tf.function(lambda: strategy.run(replica_step), autograph=False)())
    for scale, update in enumerate(updates, start=1):
        np.testing.assert_allclose(update, scale * (column[0] + column[1]), rtol=1e-6, atol=1e-6)


def test_many_shapes_are_no_reason_for_a_warning(caplog):
    columns = [[tf.ones([1024, 1024 + width])] * 2 for width in range(6)]
    weights = [tf.constant(2.0), tf.constant(3.0)]
    for total in tf.function(lambda: [weighted_sum(column, weights) for column in columns])():
        np.testing.assert_array_equal(total, 5.0)
    assert float(weighted_sum(columns[0], weights)[0, 0]) == 5.0  # eagerly
    assert "retracing" not in caplog.text
