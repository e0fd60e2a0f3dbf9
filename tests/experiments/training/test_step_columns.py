"""The columns of a log: what a loop's and a run's numbers are made of."""

import json
import math

import numpy as np
import pytest

from experiments.training import step_columns
from experiments.training.history import all_cosines, harmonization_summary
from experiments.training.layer_metrics import json_list

NAN = math.nan


def columns(cosines, text_norms, **others) -> dict[str, np.ndarray]:
    """A loop's columns of pre-training."""
    values = dict(
        cosine=cosines, gradient_norm_video_audio=[1.0] * len(cosines), gradient_norm_video_text=text_norms, **others
    )
    values["data_wait_seconds"] = [0.5] * len(cosines)
    return {name: np.float32(column) for name, column in values.items()}


def test_a_step_without_text_has_no_cosine():
    found = step_columns.with_undefined(columns([-0.5, 0.0, 0.25], [2.0, 0.0, 1.0]))
    np.testing.assert_array_equal(found["cosine"], [-0.5, NAN, 0.25])
    means = step_columns.over_loop(found, step_seconds=2.0)
    assert means["cosine"] == -0.125 and means["conflict_rate"] == 0.5
    assert means["data_wait_share"] == 0.25 and means["step_seconds"] == 2.0 and "data_wait_seconds" not in means


def test_error_bars_are_no_cosines_of_a_part():
    found = step_columns.with_undefined(
        columns([-0.5, 0.25], [2.0, 1.0], cosine_error=[0.25, NAN], conflict_p=[0.01, NAN])
    )
    means = step_columns.over_loop(found, step_seconds=2.0)
    assert means["cosine"] == -0.125 and means["cosine_error"] == 0.25 and means["significant_conflict_rate"] == 1.0
    np.testing.assert_allclose(step_columns.every_step(found)["conflict_ps"], [0.01, NAN], rtol=1e-6)
    assert set(step_columns.every_step(found)) == {"cosines", "conflict_ps"}


def test_a_part_has_a_cosine_of_its_own():
    norms = {
        "gradient_norm_multimodal_audio": [1, 0], "gradient_norm_audio_audio": [1, 1],
        "gradient_norm_multimodal_video": [1, 1], "gradient_norm_video_video": [1, 1],
    }  # fmt: skip
    raw = {"cosine_audio": [-0.5, 0.0], "cosine_video": [0.5, -0.5], **norms, "data_wait_seconds": [0.0, 0.0]}
    found = step_columns.with_undefined({name: np.float32(column) for name, column in raw.items()})
    np.testing.assert_array_equal(found["cosine_audio"], [-0.5, NAN])
    np.testing.assert_array_equal(found["cosine_video"], [0.5, -0.5])
    means = step_columns.over_loop(found, 1.0)
    assert (means["conflict_rate_audio"], means["conflict_rate_video"]) == (1.0, 0.5)
    assert set(step_columns.every_step(found)) == {"cosines_audio", "cosines_video"}


def test_a_run_weighs_loops_by_the_steps_that_have_a_cosine():
    lines = []
    for cosines, norms in (([-0.5, 0.0], [1, 0]), ([0.25, 0.25, 0.25], [1, 1, 1]), ([0.0], [0])):
        found = step_columns.with_undefined(columns(cosines, norms, keep=[1.0] * len(cosines)))
        listed = {name: json_list(values, 4) for name, values in step_columns.every_step(found).items()}
        lines.append(json.loads(json.dumps(step_columns.over_loop(found, 1.0) | listed, allow_nan=False)))
    assert [line["cosines"] for line in lines] == [[-0.5, None], [0.25] * 3, [None]]
    assert harmonization_summary(lines) == {"mean_cosine": 0.0625, "conflict_rate": 0.25, "kept_rate": 1.0}
    np.testing.assert_array_equal(all_cosines(lines), [-0.5, NAN, 0.25, 0.25, 0.25, NAN])
    assert harmonization_summary(lines[2:])["mean_cosine"] == 0.0


def test_a_run_weighs_error_bars_by_the_steps_that_measured_them():
    lines = []
    for errors, ps in (([0.1, NAN], [0.01, NAN]), ([NAN], [NAN]), ([0.4, 0.4, 0.4], [0.2, 0.01, 0.01])):
        steps = len(ps)
        found = columns([0.5] * steps, [1.0] * steps, keep=[1.0] * steps)
        found |= {"cosine_error": np.array(errors), "conflict_p": np.array(ps)}
        means = {name: json_list(np.array([mean]), 6)[0] for name, mean in step_columns.over_loop(found, 1.0).items()}
        lines.append(means | {name: json_list(values, 4) for name, values in step_columns.every_step(found).items()})
    assert lines[1]["cosine_error"] is None
    found = harmonization_summary(lines)
    assert found["mean_cosine_error"] == pytest.approx(0.325) and found["significant_conflict_rate"] == pytest.approx(
        0.75
    )
    assert harmonization_summary(lines[1:2])["mean_cosine_error"] is None


def test_a_loop_averages_norms_over_the_steps_that_measured_them():
    norms = np.array([1.0, NAN, 3.0])
    columns = {"cosine": np.array([0.5, 0.0, -0.5]), "gradient_norm_one": norms, "gradient_norm_two": norms}
    np.testing.assert_array_equal(step_columns.with_undefined(columns)["cosine"], [0.5, NAN, -0.5])
    assert step_columns.over_loop(columns, 1.0)["gradient_norm_one"] == 2.0
