"""The study's tables, sentences and page, from made-up results."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from experiments.evaluation.alignment import INDICATORS
from experiments.evaluation.statistics import BETTER, EQUAL, SAME, UNDECIDED, WORSE
from experiments.studies import results as study_results
from experiments.studies import tables as study_tables
from experiments.studies.config import Point, Study
from experiments.studies.findings import findings
from experiments.studies.page import PLAIN_STEP, Provenance, page, write_page
from experiments.studies.plots import look
from experiments.studies.results import FIGURES, INTERIM, PRIMARY, Results

NOISY = (0.6, 0.3)
SEEDS = (1, 2, 3, 4, 5)
GAINS = {"vatt": 0.0, "good": 0.2, "bad": -0.1, "idle": 0.0, "near": 0.01, "unsure": 0.1}
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
    """A result in which the seed decides most, the method the rest; `near` and `unsure` gain as often as they lose."""
    method = study.ablation(point.variant).method if point.variant in study.ablations else point.variant
    recall = 0.4 + 0.02 * point.seed - 0.1 * (point.noise == NOISY)
    if point.noise == NOISY and point.variant not in study.ablations:
        sign = (-1) ** point.seed if method in ("near", "unsure") else 1
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
        "good": BETTER, "bad": WORSE, "idle": SAME, "near": EQUAL, "unsure": UNDECIDED,
    }  # fmt: skip
    assert {compared[method, (0.0, 0.0)].verdict for method in list(GAINS)[1:]} == {SAME}
    assert results.ablations_compared(PRIMARY)["good_dot"].verdict == WORSE
    ranks = results.methods_compared(FIGURES[3])
    assert {found.verdict for found in ranks.values()} == {SAME} and not results.missing


def test_nothing_is_concluded_while_seeds_are_missing(study):
    late = [("good", NOISY, 5), ("bad", (0.0, 0.0), 1), ("good_dot", NOISY, 5)]
    points = [point for variant in study.variants for point in study.points(variant)]
    early = [point for point in points if (point.variant, point.noise, point.seed) not in late]
    results = Results(study, [made_up(study, point) for point in early])
    compared = results.methods_compared(PRIMARY)
    assert {place for place, found in compared.items() if found.verdict == INTERIM} == {late[0][:2], late[1][:2]}
    assert (
        compared["bad", NOISY].verdict == WORSE and results.ablations_compared(PRIMARY)["good_dot"].verdict == INTERIM
    )
    text = "\n".join(findings(results))
    assert "good at text 60 %" not in text and "Interim: 2 of these comparisons lack seeds" in text
    assert "of none of 1 a difference to its method is shown; 1 interim" in text
    (cell,) = [line[2] for line in study_tables.verdicts(results) if line[0] == "good"]
    assert cell == "+20.5 ± 0.4 interim"


def test_comparisons_that_are_still_to_come_count(study, monkeypatch):
    families = []
    monkeypatch.setattr(
        study_results, "verdicts", lambda found, _, family: families.append(family) or [BETTER] * len(found)
    )
    early = [point for point in study.points("vatt") + study.points("good") if point.noise == NOISY]
    assert Results(study, [made_up(study, point) for point in early]).methods_compared(PRIMARY).keys() == {
        ("good", NOISY)
    }
    assert families == [10]


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
        "good": "+20.6 ± 0.4 **better**", "bad": "-10.3 ± 0.2 **worse**", "idle": "0, same in all seeds",
        "near": "-0.2 ± 1.4 equal", "unsure": "-2.1 ± 14.0",
    }  # fmt: skip
    (_, line) = study_tables.ablations(results)
    assert line[:4] == ["good_dot", "36.0 ± 3.9", "good", "-20.6 ± 0.4 **worse**"] and line[-1] == "5"
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
    assert "Equal to vatt in R@10 within 3 points: near at text 60 %, sound 30 % (-0.2 ± 1.4)." in text
    assert "Undecided: 1 of 10 comparisons of R@10" in text and "counts all 10 that are planned" in text
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
        "README.md", "cosines.png", "differences.png", "indicators.png", "recall.png", "results.csv", "results.jsonl",
    ]  # fmt: skip
    text = (tmp_path / "README.md").read_text()
    for part in ("+20.6 ± 0.4 **better**", "![R@10 by noise and variant](recall.png)", "2.00", ORIGIN.command, "- 20 steps.",
                 "commit abc with uncommitted changes", "(5 here)", "65 runs, 24 s each on average, 0.4 hours in all"):  # fmt: skip
        assert part in text
    assert "not finished" not in text
    for name in ("cosines", "indicators", "recall"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert len(rows) == 65 and rows[5]["variant"] == "vatt" and float(rows[0][PRIMARY.title]) == pytest.approx(42.0)
    assert [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()] == results.points


@pytest.fixture(scope="module")
def with_oracle() -> Results:
    """Eight seeds without noise, twelve with: the oracle gains 20 points, the others a share of that with some spread."""
    found = Study(
        methods={name: f"configs/methods/{name}.gin" for name in ("vatt", "half", "none")}, oracle=True, ablation_noise=NOISY,
        noise=((0.0, 0.0), NOISY), seeds=range(12), noise_seeds={(0.0, 0.0): 8}, watched=("vatt",), watch_steps=(10, 20),
        notes=("Not run in full.",),
    )  # fmt: skip
    gains, points = {"vatt": 0.0, "half": 0.1, "none": 0.0, "oracle": 0.2}, []
    spread = dict(zip(gains, np.random.default_rng(5).normal(0.0, 0.02, [4, 12]), strict=True))
    for point in (point for name in found.variants for point in found.points(name)):
        result = made_up(dataclasses.replace(found, oracle=False), point._replace(variant="vatt"))
        added = gains[point.variant] * (point.noise == NOISY) + spread[point.variant][point.seed]
        result["point"], result["retrieval"]["text_to_video"]["r10"] = point._asdict(), 0.2 + added
        points.append(result | {"origin": {"date": "2026-11-29", "processor": "2 x a processor", "commit": "abc"}})
    return Results(found, points)


def test_the_oracle_is_the_ceiling_and_methods_reach_a_share_of_it(with_oracle):
    recalls = {
        name: np.array([with_oracle.values(name, NOISY, PRIMARY)[seed] for seed in range(12)])
        for name in with_oracle.study.trained
    }
    gains = {name: values - recalls["vatt"] for name, values in recalls.items()}
    (head, line) = study_tables.ceiling(with_oracle)
    assert head == ["noise", "vatt", "oracle", "gain, points", "seeds"] and line[-1] == "12"
    assert line[3].startswith(f"{gains['oracle'].mean():+.1f} ± ") and line[3].endswith("**better**")
    head, half, none = study_tables.shares(with_oracle)
    assert head[1:] == ["text 60 %, sound 30 %"]
    assert half[1].startswith(f"{100 * gains['half'].mean() / gains['oracle'].mean():.0f} (")
    low, high = (int(bound) for bound in none[1].partition("(")[2].strip(")").split(" to "))
    assert low < 0 < high < 20
    ((share, interim),) = with_oracle.oracle_shares("half").values()
    assert 0.4 < share.low < share.ratio < share.high < 0.6 and share.seeds == 12 and not interim


def test_a_share_is_interim_while_seeds_are_missing(with_oracle):
    early = [
        point for point in with_oracle.points if point["point"]["variant"] != "oracle" or point["point"]["seed"] < 9
    ]
    results = Results(with_oracle.study, early)
    ((share, interim),) = results.oracle_shares("half").values()
    assert share.seeds == 9 and interim
    assert all(line[1].endswith(") interim") for line in study_tables.shares(results)[1:])
    assert not any("interim" in line[1] for line in study_tables.shares(with_oracle)[1:])


def test_every_cell_of_the_verdicts_says_how_it_ended(with_oracle):
    head, half, none = study_tables.verdicts(with_oracle)
    assert head == ["R@10 minus vatt, points", "clean", "text 60 %, sound 30 %"]
    assert half[2].endswith(" **better**") and none[2].endswith(" equal within 3")
    assert all(
        cell.endswith(("**better**", "**worse**", "equal within 3", "undecided")) for cell in half[1:] + none[1:]
    )


def test_a_study_has_its_own_number_of_seeds_at_each_noise(with_oracle):
    counts = {place: len(with_oracle.by_seed(*place)) for place in with_oracle.places}
    assert counts == {
        ("vatt", (0.0, 0.0)): 8, ("vatt", NOISY): 12, ("half", (0.0, 0.0)): 8, ("half", NOISY): 12,
        ("none", (0.0, 0.0)): 8, ("none", NOISY): 12, ("oracle", NOISY): 12,
    }  # fmt: skip
    text = page(with_oracle, None, [], ORIGIN, ["differences.png"])
    for part in ("(8 to 12 here)", "- Not run in full.", "## The ceiling", "of these the first 8 at clean",
                 "72 of them: 2 x a processor; 2026-11-29; abc.", "Without the false narrations and sounds (`oracle`) vatt",
                 "| indicator | step 10 | step 20 |", "](differences.png)"):  # fmt: skip
        assert part in text


def test_no_two_variants_look_alike():
    assert len({tuple(look(number).values()) for number in range(64)}) == 64


def test_a_lone_method_has_no_table_of_differences(study):
    lone = dataclasses.replace(study, methods={"vatt": "a.gin"}, ablations={}, watched=())
    text = page(Results(lone, [made_up(lone, point) for point in lone.points("vatt")]), None, [], ORIGIN, [])
    assert "| method | text to video R@1, % |" in text and "minus vatt" not in text


def test_points_that_are_not_the_studys_do_not_count(results):
    smaller = dataclasses.replace(results.study, seeds=SEEDS[:2], ablation_seeds=2)
    some = Results(smaller, results.points)
    assert some.missing == 0 and len(some.points) == 6 * 2 * 2 + 2


def test_an_unfinished_study_says_so(study):
    some = Results(study, [made_up(study, point) for point in study.points("vatt")[:3] + study.points("good")[:1]])
    text = page(some, None, [], ORIGIN, [])
    assert f"**{some.missing} points are not finished" in text and some.missing == 61
    assert "Cost of a step" not in text and "recall.png" not in text


def test_a_study_that_was_not_run_says_so_and_claims_nothing(study, tmp_path):
    planned = dataclasses.replace(study, notes=("**Not run.**",))
    write_page(tmp_path, Results(planned, []), None, ["20 steps."], ORIGIN)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    text = (tmp_path / "README.md").read_text()
    for part in (
        "- **Not run.**",
        "**65 points are not finished, 0 are.**",
        "- Methods: vatt, good,",
        "No run is finished.",
    ):
        assert part in text
    assert "](" not in text and "Better than" not in text and "## What it shows" not in text
