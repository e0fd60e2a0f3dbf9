"""The committed results of a study: taken over where the runs' directories are missing, refused where they do not fit."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import types

import pytest

from experiments.running.command_line import BadInput, RunFailed
from experiments.studies import config as study_config
from experiments.studies.config import Point
from experiments.studies.directory import StudyDirectory
from experiments.studies.record import Record, settings_of

ROOT = pathlib.Path(__file__).parents[3]
FULL = "configs/study/full.gin"
BINDINGS = [
    "study.methods = {'vatt': 'configs/methods/vatt.gin', 'gr': 'configs/methods/gr.gin'}",
    "study.two_pass = ()",
    "study.ablations = {}",
    "study.watched = ()",
]


def parsed(*bindings: str) -> tuple[study_config.Study, dict]:
    study = study_config.parse([FULL], [*BINDINGS, *bindings])
    return study, {variant: settings_of(study, variant) for variant in study.variants}


def result(point: Point, value: float = 0.5) -> dict:
    ranks = {"r1": 0.0, "r5": 0.0, "r10": value, "median_rank": 1.0, "mean_rank": 1.0}
    return {
        "point": point._asdict(), "retrieval": {"text_to_video": {**ranks, "gallery": 1, "chance": ranks}},
        "linear_probe": {}, "training": {}, "watched": [], "seconds": {"training": 1.0, "evaluation": 1.0},
    }  # fmt: skip


def values(results: list[dict]) -> list[float]:
    return [each["retrieval"]["text_to_video"]["r10"] for each in results]


@pytest.fixture
def kept(tmp_path) -> Record:
    """A record of two points, one of them of the oracle, and of the steps' times."""
    study, settings = parsed()
    record, runs = Record(tmp_path / "page"), StudyDirectory(tmp_path / "runs")
    assert record.start(study, settings, runs) == 0
    for point in (study.points("gr")[1], study.points("oracle")[0]):
        record.append(result(point))
    runs.cost.parent.mkdir(parents=True)
    runs.cost.write_text('{"gr": 0.1}')
    record.keep_cost(runs)
    return record


def test_a_study_takes_over_what_its_directory_lacks(kept, tmp_path):
    study, settings = parsed()
    runs = StudyDirectory(tmp_path / "other machine")
    own = study.points("gr")[1]
    runs.write_point(own, result(own, 0.7))
    assert kept.start(study, settings, runs) == 1
    assert values(runs.read_points(study)) == [0.7, 0.5]
    assert runs.cost.read_text() == '{"gr": 0.1}' and set(json.loads(kept.settings.read_text())) == {
        "vatt",
        "gr",
        "oracle",
    }
    assert kept.start(study, settings, runs) == 0


def test_more_seeds_and_methods_may_be_added(kept, tmp_path):
    study, settings = parsed(
        "study.seeds = (1, 30, 31)",
        "study.methods = {'vatt': 'configs/methods/vatt.gin', 'cl': 'configs/methods/cl.gin'}",
        "study.ablation_seeds = 1",
    )
    runs = StudyDirectory(tmp_path / "other machine")
    assert kept.start(study, settings, runs) == 1  # gr is not this study's
    assert set(json.loads(kept.settings.read_text())) == {"vatt", "gr", "oracle", "cl"}
    assert [each["point"]["variant"] for each in kept.read()] == ["gr", "oracle"]  # nothing paid for is lost


@pytest.mark.parametrize(
    "binding, message",
    [
        (
            "study.bindings = ('STEPS = 451',)",
            "(?s)with other settings.*STEPS: 450 there, 451 now.*Use another --output_dir",
        ),
        ("study.train_clips = 90", "train_clips: 1440 there, 90 now"),
        ("study.seeds = (2, 1)", "vocabulary_seed: 1 there, 2 now"),
    ],
)
def test_points_of_other_settings_are_refused(kept, tmp_path, binding, message):
    with pytest.raises(BadInput, match=message):
        kept.start(*parsed(binding, "study.ablation_seeds = 2"), StudyDirectory(tmp_path / "other machine"))
    assert len(kept.read()) == 2


def test_points_without_settings_are_refused_unless_the_runs_are_there(kept, tmp_path):
    study, settings = parsed()
    kept.settings.unlink()
    with pytest.raises(
        BadInput, match="holds points of gr, oracle, but .*settings.json does not say how they were made"
    ):
        kept.start(study, settings, StudyDirectory(tmp_path / "other machine"))
    runs = StudyDirectory(tmp_path / "runs")
    for each in kept.read():
        runs.write_point(Point(**each["point"]), each)
    assert kept.start(study, settings, runs) == 0 and kept.settings.exists()


def test_a_line_that_a_kill_cut_is_dropped_and_a_damaged_one_is_told(kept, tmp_path):
    study, settings = parsed()
    whole = kept.results.read_text()
    kept.results.write_text(whole + whole[: len(whole) // 4])
    assert kept.start(study, settings, StudyDirectory(tmp_path / "runs")) == 2
    assert kept.results.read_text() == whole
    kept.results.write_text(whole.rstrip())  # a point is whole without the end of its line
    assert len(kept.read()) == 2
    kept.results.write_text(whole[5:])
    with pytest.raises(BadInput, match=r"results\.jsonl should be as this version writes it"):
        kept.read()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("seconds",), None), (("retrieval", "text_to_video", "r10"), "a"), (("point", "seed"), "1"), (("watched",), [{}]),
        (("training", "cosine"), [1.0]), (("dropped",), {"text": {}}),
    ],
)  # fmt: skip
def test_a_point_with_another_content_is_told(kept, path, value):
    first, second = map(json.loads, kept.results.read_text().splitlines())
    place = second
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    kept.results.write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    with pytest.raises(BadInput, match=r"results\.jsonl should be as this version writes it.*TypeCheckError"):
        kept.read()


@pytest.mark.parametrize(
    "page", [path.parent for path in ROOT.glob("docs/study/**/results.jsonl")], ids=lambda path: path.name
)
def test_all_committed_points_can_be_read(page):
    lines = (page / "results.jsonl").read_text().splitlines()
    assert len(Record(page).read()) == len(lines) > 0


def test_times_of_steps_that_are_no_numbers_are_told(kept):
    assert kept.read_cost() == {"gr": 0.1}
    kept.cost.write_text('{"gr": 0.1, "vatt": "fast"}')
    with pytest.raises(BadInput, match=r"cost\.json should be as this version writes it"):
        kept.read_cost()


def test_the_last_of_two_results_counts_and_others_stay(kept):
    gr, oracle = (Point(**each["point"]) for each in kept.read())
    kept.append(result(gr, 0.9))
    assert values(kept.read()) == [0.9, 0.5]
    kept.keep([result(oracle, 0.1)])
    assert [each["point"]["variant"] for each in kept.read()] == ["oracle", "gr"]
    assert values(kept.read()) == [0.1, 0.9]


def test_variants_may_add_points_at_once(tmp_path):
    record = Record(tmp_path)
    long = [{"step": 1, "clips": {}, "auc": {}, "values": {"similarity": [0.5] * 3000}}]
    points = [result(Point("gr", 0.0, 0.0, seed)) | {"watched": long} for seed in range(60)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(record.append, points))
    assert sorted(record.read(), key=lambda each: each["point"]["seed"]) == points


def test_a_point_that_does_not_fit_leaves_nothing(kept, monkeypatch):
    before = kept.results.read_bytes()
    full = {**vars(os), "write": lambda file, line: os.write(file, line[:20])}
    monkeypatch.setattr("experiments.studies.record.os", types.SimpleNamespace(**full))
    with pytest.raises(RunFailed, match=r"results\.jsonl could not be written: no space is left"):
        kept.append(result(Point("gr", 0.0, 0.0, 9)))
    assert kept.results.read_bytes() == before


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(RunFailed, match=r"results\.jsonl could not be written"):
        Record(tmp_path / "missing").append(result(Point("gr", 0.0, 0.0, 1)))


@pytest.mark.parametrize(
    "config, page",
    [(FULL, "docs/study"), ("configs/study/tuxpaint.gin", "docs/study/tuxpaint")],
    ids=["full", "tuxpaint"],
)
def test_the_committed_points_are_all_taken_over(tmp_path, config, page):
    study = study_config.parse([config], [])
    settings = {variant: settings_of(study, variant) for variant in study.variants}
    shutil.copytree(pathlib.Path(__file__).parents[3] / page, tmp_path / "page")
    record, planned = Record(tmp_path / "page"), [point for each in study.variants for point in study.points(each)]
    there = {Point(**each["point"]) for each in record.read()}
    assert there and there <= set(planned)
    assert record.start(study, settings, StudyDirectory(tmp_path / "runs")) == len(there)
