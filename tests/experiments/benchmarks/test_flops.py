"""What the benchmarks compute from the shapes, and how they measure."""

import itertools
import math
import time

import pytest
import tensorflow as tf
from absl.testing import flagsaver

import vatt
from experiments.benchmarks import model_timing
from experiments.benchmarks.flops import forward_flops, training_flops
from experiments.benchmarks.measure import median_seconds
from experiments.benchmarks.step_timing import bound
from experiments.running.command_line import _guarded as guarded

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("size, published", [(224, 604.7), (320, 1490.4)])
def test_one_view_of_the_medium_video_tower(size, published):
    """facts/vatt.md 11, worked out independently: two per multiply-add, both products of the attention counted."""
    flops = forward_flops(vatt.VATT("vit_medium"), "video", (32, size, size, 3))
    assert flops / 1e9 == pytest.approx(published, rel=2e-3)


@pytest.mark.parametrize(
    "options, modality",
    [
        ({}, "video"), ({}, "audio"), ({}, "text"),
        (dict(preset="mbs", video="vit_tiny", audio="wat_tiny", text="t5_tiny"), "text"),
        (dict(preset="mbs", modalities=["text"], text="linear"), "text"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pooled", [False, True])
def test_counts_the_matrix_products_that_tensorflow_runs(make_model, options, modality, pooled):
    model = make_model(**options)
    shape = model.input_shapes[{"video": "video", "audio": "waveform", "text": "text"}[modality]]
    clips = [1, 1] if pooled and modality == "text" else [1]
    spec = tf.TensorSpec([*clips, *shape], tf.int32 if modality == "text" else tf.float32)
    encode = model.encode if pooled else model.encode_tokens
    graph = tf.function(lambda raw: encode(modality, raw), autograph=False).get_concrete_function(spec).graph
    counted = sum(_product_flops(op) for op in graph.get_operations())
    left_out = 0  # the projection behind the encoder, of one token or of all
    if modality in model.feature_projections:
        layer = model.feature_projections[modality]
        tokens = 1 if pooled else model.token_counts(training=False)[modality]
        left_out = 2 * tokens * layer.kernel.shape[0] * layer.units
    assert forward_flops(model, modality, pooled=pooled) == counted - left_out


def _product_flops(op) -> float:
    if op.type not in ("MatMul", "BatchMatMulV2", "Einsum"):
        return 0.0
    left, result = op.inputs[0].shape, op.outputs[0].shape
    if op.type == "Einsum":
        terms, kept = op.get_attr("equation").decode().split("->")
        one, other = terms.split(",")
        summed = (size for axis, size in zip(one, left, strict=True) if axis in other and axis not in kept)
        return 2.0 * result.num_elements() * math.prod(summed)
    inner = left[-1] if not op.get_attr("adj_x" if op.type == "BatchMatMulV2" else "transpose_a") else left[-2]
    return 2.0 * result.num_elements() * inner


def test_drop_token_and_candidates_count(make_model):
    model = make_model(drop_token_rate=0.5)
    training = training_flops(model, candidates=3)
    inference = {modality: forward_flops(model, modality, pooled=True) for modality in model.modalities}
    assert training["text"] == 3 * inference["text"] and training["video"] < 0.6 * inference["video"]
    assert 1.0 < bound(training) < 5 / 3


@pytest.fixture
def benchmark(only_flags_of):
    return only_flags_of("experiments.benchmarks.model")


@pytest.mark.usefixtures("eager", "benchmark")
def test_the_models_benchmark_measures_every_way():
    calls, flops = model_timing.calls("ut_tiny", 8, 32), model_timing.operations("ut_tiny", 8, 32)
    assert set(calls) | {"matrix products"} == set(flops) and flops["recomputed"] / flops["step"] == pytest.approx(
        4 / 3
    )
    seconds = median_seconds(calls, repeats=1)
    assert all(spent > 0 for spent in seconds.values())


def test_times_are_medians_of_alternating_calls(monkeypatch):
    clock, order = itertools.count(), []
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    found = median_seconds({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=3)
    assert found == {"a": 1.0, "b": 1.0} and order == ["a", "b"] * 5


@pytest.mark.parametrize(
    "flags, message",
    [
        (dict(preset=["nope"]), "`preset` should be one of"),
        (dict(clip=["2x8"]), "holds no whole patch"),
        (dict(clip=["large"]), "--clip should be FRAMESxPIXELS"),
    ],
)
def test_a_wrong_wish_is_explained_at_once(benchmark, capsys, flags, message):
    with flagsaver.flagsaver(**flags):
        assert guarded(benchmark.main, ["model"]) == 2
    assert message in capsys.readouterr().err
