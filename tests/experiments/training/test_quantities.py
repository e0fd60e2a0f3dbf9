"""The table of quantities: what a number is read from, and what it is over a loop and over a run."""

import dataclasses
import json

import pytest
import tensorflow as tf

from experiments.evaluation.metrics import METRICS
from experiments.evaluation.table import rows
from experiments.pretraining.log import StepLog
from experiments.reports.plots import curves
from experiments.training import quantities, step_columns
from experiments.training.history import harmonization_summary


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
    monkeypatch.setattr(step_columns, "QUANTITIES", (*quantities.QUANTITIES, new))
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
    means = step_columns.over_loop({name: column.numpy() for name, column in log.read().items()}, 1.0)
    assert means["agreement"] == 0.25 and step_columns.line(means).endswith("| agreement 0.25")
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
