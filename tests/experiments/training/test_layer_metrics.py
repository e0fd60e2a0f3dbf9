"""The layers in the log of a loop, in metrics.jsonl, in TensorBoard, and read back for the report."""

import json
import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import tensorflow as tf

from experiments.pretraining.log import StepLog
from experiments.reports.layers import COLUMNS, binned, conflict_rates, layer_map
from experiments.training.history import LayerHistory, layer_history
from experiments.training.layer_metrics import layer_record, write_layer_summaries

LAYERS, OBJECTIVES = ("patches", "block", "head"), ("video_audio", "video_text")
NAN = math.nan


@pytest.fixture
def columns() -> dict[str, np.ndarray]:
    """Three layers in two steps, as `StepLog` gives them; a loss alone reaches the last layer."""
    return {
        "layer_cosine": np.float32([[0.12345, -0.5, NAN], [NAN, -0.25, NAN]]),
        "layer_gradient_norm_video_audio": np.float32([[1, 2, 3], [3, 4, 3]]),
        "layer_gradient_norm_video_text": np.float32([[1.23456, 1, 0], [1.23456, 1, 0]]),
    }


def logged(cosine, defined) -> StepLog:
    """A log of one step."""
    log = StepLog(2, OBJECTIVES, LAYERS)
    report = dict(
        norms=tf.ones([2]), weights=tf.ones([2]), cosine=0.0, keep=True, finite=True, variable_gram=tf.ones([4, 2, 2]),
        layer_norms=tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        layer_cosine=tf.constant(cosine), layer_defined=tf.constant(defined),
    )  # fmt: skip
    log.append(log.row(dict.fromkeys(OBJECTIVES, 7.0), report, tf.constant(0.5)), 0.25)
    return log


def test_the_log_keeps_a_number_per_layer():
    columns = logged([0.5, -0.5, 0.0], [True, True, False]).read()
    np.testing.assert_array_equal(columns["layer_cosine"], [[0.5, -0.5, NAN]])
    np.testing.assert_array_equal(columns["layer_gradient_norm_video_audio"], [[1, 3, 5]])
    np.testing.assert_array_equal(columns["layer_gradient_norm_video_text"], [[2, 4, 6]])
    assert (
        columns["loss_video_text"] == [7]
        and columns["data_wait_seconds"] == [0.25]
        and columns["learning_rate"] == [0.5]
    )


def test_the_log_averages_over_the_replicas_that_had_a_cosine():
    # Means over two replicas, of which one had no cosine in the second layer, and both none in the third.
    columns = logged([0.5, -0.2, 0.0], [1.0, 0.5, 0.0]).read()
    np.testing.assert_allclose(columns["layer_cosine"], [[0.5, -0.4, NAN]], rtol=1e-6)


def test_the_record_is_json_with_a_list_per_layer(columns):
    record = layer_record(columns, LAYERS, OBJECTIVES)
    assert json.loads(json.dumps(record, allow_nan=False)) == {
        "layer_cosines": {"patches": [0.123, None], "block": [-0.5, -0.25]},
        "layer_gradient_norms": {"patches": [2.0, 1.235], "block": [3.0, 1.0], "head": [3.0, 0.0]},
    }


def test_tensorboard_gets_numbers_per_layer_and_a_histogram_over_them(columns, tmp_path):
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        write_layer_summaries(layer_record(columns, LAYERS, OBJECTIVES), OBJECTIVES, step=2)
    values = {}
    (path,) = tmp_path.iterdir()
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        values |= {value.tag: tf.make_ndarray(value.tensor) for value in event.summary.value}
    found = {name: value.item() for name, value in values.items() if value.ndim == 0}
    assert found == pytest.approx({
        "layer_cosine/patches": 0.123, "layer_cosine/block": -0.375,
        "layer_conflict_rate/patches": 0, "layer_conflict_rate/block": 1,
        "layer_gradient_norm_video_audio/patches": 2, "layer_gradient_norm_video_text/patches": 1.235,
        "layer_gradient_norm_video_audio/block": 3, "layer_gradient_norm_video_text/block": 1,
        "layer_gradient_norm_video_audio/head": 3, "layer_gradient_norm_video_text/head": 0,
    })  # fmt: skip
    histogram = values["layer_cosine"]
    assert histogram[:, 2].sum() == 2 and histogram[0, 0] == pytest.approx(-0.375)


def test_a_loop_without_any_cosine_is_shown_too(columns, tmp_path):
    columns["layer_cosine"] = np.full_like(columns["layer_cosine"], NAN)
    record = layer_record(columns, LAYERS, OBJECTIVES)
    assert record["layer_cosines"] == {}
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        write_layer_summaries(record, OBJECTIVES, step=2)


def test_the_history_joins_loops_old_ones_and_layers_that_were_not_compared(columns):
    first = {"step": 13, "cosines": [0.1] * 3}  # of a program that did not look at layers yet
    second = {"step": 15, "cosines": [0.1] * 2, **layer_record(columns, LAYERS, OBJECTIVES)}
    columns["layer_cosine"] = columns["layer_cosine"][:, ::-1]
    third = {"step": 17, "cosines": [0.1] * 2, **layer_record(columns, LAYERS, OBJECTIVES)}
    history = layer_history([first, second])
    assert (history.compared, history.left_out, history.first_step) == (["patches", "block"], ["head"], 10)
    np.testing.assert_array_equal(history.cosines, [[NAN] * 3 + [0.123, NAN], [NAN] * 3 + [-0.5, -0.25]])
    history = layer_history([second, third])
    assert (history.compared, history.left_out, history.first_step) == (list(LAYERS), [], 13)
    np.testing.assert_array_equal(history.cosines[0], [0.123, NAN, NAN, NAN])
    assert layer_history([first]) is None and layer_history([]) is None


@pytest.mark.parametrize("steps", [1, 7, 10, 11, 95])
def test_columns_are_means_of_neighbors(steps):
    generator = np.random.default_rng(steps)
    values = generator.normal(size=(3, steps))
    values[generator.random(values.shape) < 0.4] = NAN
    values[0] = NAN
    found = binned(values, 10)
    assert found.shape == (3, min(steps, 10))
    borders = [steps * column // found.shape[1] for column in range(found.shape[1] + 1)]
    for column, (start, end) in enumerate(zip(borders, borders[1:], strict=False)):
        for row in range(3):
            some = values[row, start:end][~np.isnan(values[row, start:end])]
            assert found[row, column] == pytest.approx(some.mean() if len(some) else NAN, nan_ok=True)
    expected = [np.mean(row[~np.isnan(row)] < 0) if not np.isnan(row).all() else 0 for row in values]
    np.testing.assert_allclose(conflict_rates(values), expected)


def test_the_map_of_a_long_run_stays_small():
    cosines = np.random.default_rng(0).normal(size=(53, 100 * COLUMNS)).clip(-1, 1)
    drawing = layer_map(LayerHistory([f"layer_{index}" for index in range(53)], [], 0, cosines))
    assert len(drawing) < 300_000 and "layer 52" in drawing
    assert "currentColor" in drawing and not {"width", "height"} & set(ElementTree.fromstring(drawing).attrib)
