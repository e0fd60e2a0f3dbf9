import csv
import json

import pytest

from experiments.dataset_checks.ranking import COLUMNS
from experiments.evaluation.tasks import DOWNSTREAM_TASKS
from experiments.inference.score_names import SCORES
from experiments.reports.model_card import as_markdown, clip_scores, model_card
from experiments.running.command_line import BadInput
from experiments.running.run_directory import RunDirectory

RETRIEVAL = {
    "r1": 0.25, "r5": 0.5, "r10": 1.0, "median_rank": 2.5, "gallery": 4,
    "chance": {"r1": 0.25, "r5": 1.0, "r10": 1.0, "median_rank": 2.5},
}  # fmt: skip
RESULT = {
    "step": 20,
    "checkpoint": "0123456789abcdef",
    "dataset": "a|b`<script>",
    "retrieval": {"text_to_video": RETRIEVAL},
    "linear_probe": {},
    "alignment": None,
    "harmonization": {"mean_cosine": 0.02, "conflict_rate": 0.5, "kept_rate": 1.0},
    "tasks": {"ucf101": None},
}


@pytest.fixture
def directory(tmp_path) -> RunDirectory:
    """A run that was trained for 20 steps."""
    found = RunDirectory(tmp_path / "a_run")
    found.write(found.config, "STEPS = 20\npretrain.steps = %STEPS\npretrain.seed = 1\n")
    found.write(found.data, json.dumps({"synthetic": {"clips": {"train": 8}}}))
    found.write(
        found.metrics, "".join(json.dumps({"step": step, "step_seconds": step / 10}) + "\n" for step in (10, 20))
    )
    found.write(found.path / "environment.json", json.dumps({"command": ["/home/somebody/train.py"], "python": "3.11"}))
    return found


@pytest.fixture
def ranking(tmp_path):
    """A table of four clips; one has no sound."""
    lines = [dict.fromkeys(COLUMNS, "") | {"clip_id": f"clip{row}"} for row in range(4)]
    for row, line in enumerate(lines):
        line["video_text_similarity"] = f"{row / 10 - 0.1:.4f}"
        line["video_audio_similarity"] = "0.5" if row else ""
    path = tmp_path / "clips.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    return path


def test_a_card_says_what_was_trained_and_what_was_not_measured(directory):
    card = model_card(directory)
    assert card["training"]["steps"] == 20 and card["training"]["median_step_seconds"] == pytest.approx(1.5)
    assert card["training"]["configuration"]["pretrain.steps"] == "%STEPS" and card["data"]["synthetic"]["clips"] == {
        "train": 8
    }
    assert card["evaluated"] is None and card["figures"] == [] and card["model"] is None
    missing = "\n".join(card["not_measured"])
    assert "rank_clips" in missing and all(f"--tasks={name}" in missing for name in DOWNSTREAM_TASKS)
    assert "one seed" in missing
    text = as_markdown(card)
    assert "Not evaluated." in text and "## Model\n\nUnknown." in text and "`%STEPS`" in text


def test_figures_come_with_chance_and_a_skipped_task_is_missing(directory):
    directory.write(directory.result, json.dumps(RESULT))
    card = model_card(directory)
    figures = {row["name"]: (row["value"], row["chance"]) for row in card["figures"]}
    assert figures["R@5"] == ("50.0 %", "100.0 %")
    missing = "\n".join(card["not_measured"])
    assert "retrieval" not in missing and "--tasks=ucf101" in missing
    assert "| 50.0 % | 100.0 % |" in as_markdown(card)


def test_a_card_is_plain_text_without_the_owners_paths(directory):
    directory.write(directory.result, json.dumps(RESULT))
    card = model_card(directory)
    text = as_markdown(card)
    assert "somebody" not in text + json.dumps(card) and str(directory.path) not in text
    assert "<script>" not in text and "a/b'&lt;script>" in text


def test_a_card_names_files_without_their_folders(directory):
    names = {
        "'/home/somebody/rank/clips.csv'": "'clips.csv'",
        '"/home/o\'brien/clips.csv"': "'clips.csv'",
        "{'a': 'x/clips.csv', 'b': 'clips.csv'}": "{'a': 'clips.csv', 'b': 'clips.csv'}",
        "@ClipWeights()": "@ClipWeights()",
        "None": "None",
    }
    for value, expected in names.items():
        for binding in ("ClipWeights.path", "pretrain.clip_weights"):
            directory.write(directory.config, f"{binding} = {value}\npretrain.steps = 3\n")
            found = model_card(directory)["training"]["configuration"]
            assert found == {binding: expected, "pretrain.steps": "3"}


def test_clip_scores_are_summarized(ranking):
    found = clip_scores(ranking)
    assert found["clips"] == 4
    text, sound = (found["scores"][f"video_{other}_similarity"] for other in ("text", "audio"))
    assert text["clips"] == 4 and text["negative_share"] == 0.25 and text["quantiles"]["0.5"] == pytest.approx(0.05)
    assert sound["clips"] == 3 and found["scores"]["summed_similarity"] == {
        "clips": 0, "negative_share": None, "quantiles": None
    }  # fmt: skip


@pytest.mark.parametrize("score", ["nan", "1e999", "high"])
def test_a_score_that_is_no_number_is_refused(ranking, score):
    ranking.write_text(ranking.read_text().replace("0.5", score, 1))
    with pytest.raises(BadInput, match=r"clips\.csv should be as this version writes it"):
        clip_scores(ranking)


@pytest.mark.parametrize("facts", ["3", "null", '["train"]'])
def test_facts_of_another_kind_are_refused(directory, facts):
    directory.write(directory.data, f'{{"synthetic": {facts}}}')
    with pytest.raises(BadInput, match=r"data\.json should be as this version writes it"):
        model_card(directory)


def test_a_configuration_that_is_none_is_refused(directory):
    directory.write(directory.config, "version 999\n" + directory.config.read_text())
    with pytest.raises(BadInput, match=r"config\.gin should be as this version writes it"):
        model_card(directory)


def test_the_page_shows_the_scores_that_there_are(directory, ranking):
    card = model_card(directory, str(ranking))
    text = as_markdown(card)
    assert f"| {SCORES['video_text_similarity']} | 4 | 25.0 % |" in text and SCORES["summed_similarity"] not in text
    assert "rank_clips" not in "\n".join(card["not_measured"])


@pytest.mark.parametrize(
    "content",
    ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\n1,x" + "," * 6 + "\n", ",".join(COLUMNS) + "\n" + "c" * 200_000],
)
def test_another_table_is_refused_by_name(directory, tmp_path, content):
    path = tmp_path / "other.csv"
    path.write_text(content)
    with pytest.raises(BadInput, match=r"other\.csv"):
        model_card(directory, str(path))
