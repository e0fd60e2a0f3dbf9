"""The table of quantities: what a number is read from, and what it is over a loop and over a run."""

import dataclasses
import json
import math

import numpy as np
import pytest
import tensorflow as tf

from experiments.evaluation.metrics import METRICS
from experiments.evaluation.table import rows
from experiments.pretraining.log import StepLog
from experiments.reports.plots import curves
from experiments.training import quantities
from experiments.training.history import all_cosines, harmonization_summary
from experiments.training.layer_metrics import json_list
from experiments.training.quantities import conflict_rate, mean_cosine

NAN = math.nan


def columns(cosines, text_norms, **others) -> dict[str, np.ndarray]:
    """A loop's columns of pre-training."""
    values = dict(
        cosine=cosines, gradient_norm_video_audio=[1.0] * len(cosines), gradient_norm_video_text=text_norms, **others
    )
    values["data_wait_seconds"] = [0.5] * len(cosines)
    return {name: np.float32(column) for name, column in values.items()}


@pytest.mark.parametrize(
    ("cosines", "mean", "rate"),
    [
        ([-0.5, 0.5, -0.1, NAN], -0.1 / 3, 2 / 3),
        ([0.5] * 4, 0.5, 0),
        ([NAN] * 4, 0, 0),
        ([0.0, -0.5], -0.25, 0.5),
        ([], 0, 0),
    ],
)
def test_only_steps_with_a_cosine_count(cosines, mean, rate):
    cosines = np.array(cosines, np.float64)
    assert mean_cosine(cosines) == pytest.approx(mean) and conflict_rate(cosines) == pytest.approx(rate)


def test_a_step_without_text_has_no_cosine():
    found = quantities.with_undefined(columns([-0.5, 0.0, 0.25], [2.0, 0.0, 1.0]))
    np.testing.assert_array_equal(found["cosine"], [-0.5, NAN, 0.25])
    means = quantities.over_loop(found, step_seconds=2.0)
    assert means["cosine"] == -0.125 and means["conflict_rate"] == 0.5
    assert means["data_wait_share"] == 0.25 and means["step_seconds"] == 2.0 and "data_wait_seconds" not in means


def test_error_bars_are_no_cosines_of_a_part():
    found = quantities.with_undefined(
        columns([-0.5, 0.25], [2.0, 1.0], cosine_error=[0.25, NAN], conflict_p=[0.01, NAN])
    )
    means = quantities.over_loop(found, step_seconds=2.0)
    assert means["cosine"] == -0.125 and means["cosine_error"] == 0.25 and means["significant_conflict_rate"] == 1.0
    np.testing.assert_allclose(quantities.every_step(found)["conflict_ps"], [0.01, NAN], rtol=1e-6)
    assert set(quantities.every_step(found)) == {"cosines", "conflict_ps"}


def test_a_part_has_a_cosine_of_its_own():
    norms = {
        "gradient_norm_multimodal_audio": [1, 0], "gradient_norm_audio_audio": [1, 1],
        "gradient_norm_multimodal_video": [1, 1], "gradient_norm_video_video": [1, 1],
    }  # fmt: skip
    raw = {"cosine_audio": [-0.5, 0.0], "cosine_video": [0.5, -0.5], **norms, "data_wait_seconds": [0.0, 0.0]}
    found = quantities.with_undefined({name: np.float32(column) for name, column in raw.items()})
    np.testing.assert_array_equal(found["cosine_audio"], [-0.5, NAN])
    np.testing.assert_array_equal(found["cosine_video"], [0.5, -0.5])
    means = quantities.over_loop(found, 1.0)
    assert (means["conflict_rate_audio"], means["conflict_rate_video"]) == (1.0, 0.5)
    assert set(quantities.every_step(found)) == {"cosines_audio", "cosines_video"}


def test_a_run_weighs_loops_by_the_steps_that_have_a_cosine():
    lines = []
    for cosines, norms in (([-0.5, 0.0], [1, 0]), ([0.25, 0.25, 0.25], [1, 1, 1]), ([0.0], [0])):
        found = quantities.with_undefined(columns(cosines, norms, keep=[1.0] * len(cosines)))
        listed = {name: json_list(values, 4) for name, values in quantities.every_step(found).items()}
        lines.append(json.loads(json.dumps(quantities.over_loop(found, 1.0) | listed, allow_nan=False)))
    assert [line["cosines"] for line in lines] == [[-0.5, None], [0.25] * 3, [None]]
    assert harmonization_summary(lines) == {"mean_cosine": 0.0625, "conflict_rate": 0.25, "kept_rate": 1.0}
    np.testing.assert_array_equal(all_cosines(lines), [-0.5, NAN, 0.25, 0.25, 0.25, NAN])
    assert harmonization_summary(lines[2:])["mean_cosine"] == 0.0


def test_curves_take_steps_without_a_cosine(trained_run_records):
    first, second = trained_run_records
    drawings = curves([first, second | {"cosines": [None] * 20}])
    assert len(drawings) == 9 and "nan" not in drawings[2].lower()


@pytest.fixture
def trained_run_records(trained_run):
    return [json.loads(line) for line in (trained_run / "metrics.jsonl").read_text().splitlines()]


def test_the_log_has_the_columns_of_the_table():
    fields = StepLog(1, others=("clip_weight",)).fields
    assert all(
        any(field == each.name or field.startswith(f"{each.name}_") for each in quantities.QUANTITIES)
        for field in fields
    )
    assert {"loss_video_text", "weight_video_audio", "cosine", "clip_weight", "bad_variable"} <= set(fields)
    assert len(set(fields)) == len(fields)


def test_a_new_quantity_is_a_line_of_the_table(monkeypatch, trained_run_records):
    new = quantities.Quantity(
        "agreement", "Agreement", "cosine squared", read=lambda report: report["cosine"] ** 2,
        line=" | agreement {:.2f}", figure=quantities.Figure("agreement", "mean agreement", 3, optional=True),
    )  # fmt: skip
    monkeypatch.setattr(quantities, "QUANTITIES", (*quantities.QUANTITIES, new))
    for module in (
        "reports.plots.QUANTITIES",
        "evaluation.table.RUN_QUANTITIES",
        "training.history.RUN_QUANTITIES",
    ):
        monkeypatch.setattr(
            f"experiments.{module}", (*quantities.QUANTITIES[:-1], new) if "reports" in module else (new,)
        )
    log = StepLog(1)
    gram = tf.ones([1, 2, 2])
    report = dict(
        norms=tf.ones([2]), weights=tf.ones([2]), cosine=tf.constant(-0.5), keep=True, finite=True, variable_gram=gram
    )
    layers = dict(layer_norms=tf.ones([0, 2]), layer_cosine=tf.ones([0]), layer_defined=tf.ones([0]))
    log.append(log.row(dict.fromkeys(log.objectives, 1.0), report | layers, tf.constant(0.1)), 0.0)
    means = quantities.over_loop({name: column.numpy() for name, column in log.read().items()}, 1.0)
    assert means["agreement"] == 0.25 and quantities.line(means).endswith("| agreement 0.25")
    summary = harmonization_summary([{**means, "cosines": [-0.5]}])
    assert summary == {"agreement": 0.25}
    result = dict(
        retrieval={"text_to_video": dict.fromkeys(("r1", "r5", "r10", "median_rank", "gallery"))}, linear_probe={}
    )
    (row,) = [
        row for row in rows({**result, "harmonization": summary, "alignment": None}) if row.name == "mean agreement"
    ]
    assert row.value == "+0.250"
    drawings = curves([record | {"agreement": 0.25} for record in trained_run_records])
    assert any("cosine squared" in drawing for drawing in drawings)


def test_names_and_titles_are_told_apart():
    for values in (
        [each.name for each in quantities.QUANTITIES],
        [each.figure.key for each in quantities.RUN_QUANTITIES],
        [metric.title for metric in METRICS],
    ):
        assert len(set(values)) == len(values)
    assert all(dataclasses.astuple(each)[1] and each.unit for each in quantities.QUANTITIES)


def test_norms_are_averaged_over_the_steps_that_measured_them():
    norms = np.array([[1.0, NAN], [NAN, NAN], [3.0, NAN]])
    np.testing.assert_array_equal(quantities.measured_mean(norms), [2.0, NAN])
    columns = {"cosine": np.array([0.5, 0.0, -0.5]), "gradient_norm_one": norms[:, 0], "gradient_norm_two": norms[:, 0]}
    np.testing.assert_array_equal(quantities.with_undefined(columns)["cosine"], [0.5, NAN, -0.5])
    assert quantities.over_loop(columns, 1.0)["gradient_norm_one"] == 2.0
