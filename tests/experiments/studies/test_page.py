"""The study's tables, sentences and page, from made-up results."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from experiments.evaluation.alignment import INDICATORS
from experiments.studies import tables as study_tables
from experiments.studies.config import Point, Study
from experiments.studies.findings import findings
from experiments.studies.page import PLAIN_STEP, Provenance, page, write_page
from experiments.studies.results import FIGURES, PRIMARY, Results
from experiments.studies.statistics import BETTER, NOT_SHOWN, SAME, WORSE

NOISY = (0.6, 0.3)
SEEDS = (1, 2, 3, 4, 5)
GAINS = {"vatt": 0.0, "good": 0.2, "bad": -0.1, "idle": 0.0, "unsure": 0.01}
ORIGIN = Provenance(
    "python -m experiments.study --jobs=2",
    "2026-11-26",
    {
        "packages": {"tensorflow": "2.20.0"},
        "uncommitted_changes": True,
        "platform": "Linux",
        "python": "3.11",
        "commit": "abc",
    },
    "2 x a processor",
)


@pytest.fixture
def study() -> Study:
    return Study(
        methods={name: f"configs/methods/{name}.gin" for name in GAINS},
        ablations={"good_dot": ("good", "GradientCurriculum.indicator = 'dot'")},
        gin_files=("configs/study/scenes.gin", "configs/methods/vatt.gin"),
        noise=((0.0, 0.0), NOISY), seeds=SEEDS, watched=("vatt",), watch_steps=(10, 20),
    )  # fmt: skip


def made_up(study: Study, point: Point) -> dict:
    """A result in which the seed decides most, the method the rest; `unsure` gains as often as it loses."""
    method = study.ablation(point.variant).method if point.variant in study.ablations else point.variant
    recall = 0.4 + 0.02 * point.seed - 0.1 * (point.noise == NOISY)
    if point.noise == NOISY and point.variant not in study.ablations:
        sign = (-1) ** point.seed if method == "unsure" else 1
        recall += sign * GAINS[method] * (1 + 0.01 * point.seed)
    recalls = {"r1": 0.1, "r5": 0.2, "r10": recall, "median_rank": 10.0, "gallery": 240, "chance": {"r10": 10 / 240}}
    probes = {name: {"top1": 0.5, "chance": 0.02} for name in ("video", "audio")}
    training = {
        "cosine": 0.125,
        "conflict_rate": 0.25,
        "keep": 1.0,
        "loss_video_audio": 3.0,
        "loss_video_text": 2.0,
        "steps": 20,
    }
    watched = []
    if method == "vatt" and point.noise == NOISY:
        kinds = dict(misaligned=0.75 + 0.01 * point.seed, text_only=0.8, audio_only=None)
        watched = [{"step": step, "auc": dict.fromkeys(INDICATORS, kinds)} for step in (10, 20)]
        values = np.random.default_rng(point.seed).uniform(-1, 1, 8).tolist()
        aligned = {"text_aligned": [1, 0] * 4, "audio_aligned": [1] * 8}
        watched[1]["values"] = aligned | dict.fromkeys(INDICATORS, values)
    return {
        "point": point._asdict(), "retrieval": {"text_to_video": recalls}, "linear_probe": probes, "training": training,
        "watched": watched, "seconds": {"training": 20.0, "evaluation": 4.0},
    }  # fmt: skip


@pytest.fixture
def results(study) -> Results:
    return Results(study, [made_up(study, point) for variant in study.variants for point in study.points(variant)])


def test_verdicts_are_those_that_were_built_in(results):
    compared = results.methods_compared(PRIMARY)
    assert {method: compared[method, NOISY].verdict for method in list(GAINS)[1:]} == {
        "good": BETTER, "bad": WORSE, "idle": SAME, "unsure": NOT_SHOWN,
    }  # fmt: skip
    assert {compared[method, (0.0, 0.0)].verdict for method in list(GAINS)[1:]} == {SAME}
    assert results.ablations_compared(PRIMARY)["good_dot"].verdict == WORSE
    ranks = results.methods_compared(FIGURES[3])
    assert {found.verdict for found in ranks.values()} == {SAME} and not results.missing


def test_tables_have_means_intervals_and_differences(results):
    head, *lines = study_tables.figures(results, NOISY)
    # Recalls 32, 34, ... 40 %: deviation sqrt(10), t(4) = 2.776.
    assert dict(zip(head, lines[0], strict=True)) | {} == {
        "method": "vatt", "text to video R@1, %": "10.0 ± 0.0", "text to video R@5, %": "20.0 ± 0.0",
        "text to video R@10, %": "36.0 ± 3.9", "text to video median rank": "10.0 ± 0.0",
        "linear probe video, %": "50.0 ± 0.0", "linear probe audio, %": "50.0 ± 0.0", "seeds": "5",
    }  # fmt: skip
    head, *lines = study_tables.differences(results, NOISY)
    column = {line[0]: line[head.index(PRIMARY.title)] for line in lines}
    assert head[0] == "minus vatt" and column == {
        "good": "+20.6 ± 0.4 **better**", "bad": "-10.3 ± 0.2 **worse**", "idle": "0, same in all seeds", "unsure": "-0.2 ± 1.4",
    }  # fmt: skip
    (_, line) = study_tables.ablations(results)
    assert line[:3] == ["good_dot", "good", "-20.6 ± 0.4 **worse**"] and line[-1] == "5"
    assert study_tables.gradients(results)[2] == [
        "vatt",
        "text 60 %, sound 30 %",
        "0.125",
        "25.0",
        "100.0",
        "-",
        "3.00",
        "2.00",
    ]


def test_indicators_are_those_of_the_last_step_watched(results):
    head, *lines = study_tables.indicators(results)
    assert len(lines) == len(INDICATORS)
    # 0.76 ... 0.80: deviation sqrt(0.00025).
    assert dict(zip(head, lines[0], strict=True)) == {
        "method": "vatt", "noise": "text 60 %, sound 30 %", "indicator": "gradient cosine, shared encoder",
        "either": "0.780 ± 0.020", "text only": "0.800 ± 0.000", "sound only": "-", "seeds": "5",
    }  # fmt: skip


def test_cost_is_told_beside_the_plain_step():
    assert study_tables.cost({PLAIN_STEP: 0.1, "gr": 0.15}, PLAIN_STEP) == [
        ["step", "ms", "x one gradient"], ["one gradient", "100.0", "1.00"], ["gr", "150.0", "1.50"],
    ]  # fmt: skip


def test_findings_say_what_was_built_in_and_nothing_else(results):
    text = "\n".join(findings(results))
    assert "vatt reaches R@10 46.0 ± 3.9 % (chance 4.2 %, gallery of 240 clips)" in text
    assert "Noise (text 60 %, sound 30 %) changes its R@10 by -10.0 ± 0.0 points" in text
    assert "Better than vatt in R@10, after the correction: good at text 60 %, sound 30 % (+20.6 ± 0.4)." in text
    assert "Worse than vatt in R@10, after the correction: bad at text 60 %, sound 30 % (-10.3 ± 0.2)." in text
    assert "In 1 of 8 comparisons of R@10 no difference is shown" in text
    assert "Other figures, each corrected for its own comparisons only: no difference is shown." in text
    assert "Ablations (text 60 %, sound 30 %), R@10: good_dot worse than good (-20.6 ± 0.4)." in text


def test_a_method_that_does_not_help_is_not_called_better(study):
    quiet = dataclasses.replace(study, methods={"vatt": "a.gin", "idle": "b.gin", "unsure": "c.gin"}, ablations={})
    text = "\n".join(
        findings(Results(quiet, [made_up(quiet, point) for name in quiet.methods for point in quiet.points(name)]))
    )
    assert "Better than vatt in R@10, after the correction: no method at any noise." in text
    assert "Worse than vatt in R@10, after the correction: no method at any noise." in text


def test_the_page_and_the_files_beside_it(results, tmp_path):
    write_page(tmp_path, results, {PLAIN_STEP: 0.1, "vatt": 0.2}, ["20 steps."], ORIGIN)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md", "cosines.png", "indicators.png", "recall.png", "results.csv", "results.jsonl",
    ]  # fmt: skip
    text = (tmp_path / "README.md").read_text()
    for part in ("+20.6 ± 0.4 **better**", "![R@10 by noise and method](recall.png)", "2.00", ORIGIN.command, "- 20 steps.",
                 "commit abc with uncommitted changes", "(5 here)", "55 runs, 24 s each"):  # fmt: skip
        assert part in text
    assert "not finished" not in text
    for name in ("cosines", "indicators", "recall"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert len(rows) == 55 and rows[5]["variant"] == "vatt" and float(rows[0][PRIMARY.title]) == pytest.approx(42.0)
    assert [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()] == results.points


def test_an_unfinished_study_says_so(study):
    some = Results(study, [made_up(study, point) for point in study.points("vatt")[:3] + study.points("good")[:1]])
    text = page(some, None, [], ORIGIN, [])
    assert f"**{some.missing} points are not finished" in text and some.missing == 51
    assert "Cost of a step" not in text and "recall.png" not in text
    assert page(Results(study, []), None, [], ORIGIN, [])
