"""The files of a run."""

import json
import os
import subprocess

import pytest

from experiments.running import run_directory
from experiments.running.command_line import BadInput, RunFailed
from experiments.running.run_directory import RunDirectory, config_difference, environment

pytestmark = pytest.mark.every_python

CONFIG = """\
# Macros:
# ==============================================================================
STEPS = 40

# Parameters for pretrain:
# ==============================================================================
pretrain.batch_size = 4
pretrain.datasets = \\
    ('a_very_long_name_of_a_data_set_that_fills_the_line', 'another_long_name',
     'and_a_third')
pretrain.steps = %STEPS
pretrain.steps_per_loop = 2
"""


@pytest.fixture
def vocabulary(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("a\nb\n", encoding="utf-8")
    return path


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "runs" / "one")


def test_equal_configurations_do_not_differ():
    added = CONFIG + "pretrain.gram = 'exact'\npretrain.measure_gradients_every = 1\npretrain.clips_per_pass = None\n"
    added += "pretrain.gradient_parts = None\n"
    added += "SimilarityGate.clip_slots = 0\n"
    assert config_difference(CONFIG, added) == [], "what an earlier version did"
    assert config_difference(CONFIG, added.replace("'exact'", "'features'")) == [
        "  pretrain.gram: 'exact' there, 'features' now"
    ]
    assert config_difference(CONFIG, "# another comment\n\n" + CONFIG) == []


def test_a_difference_shows_both_values():
    changed = CONFIG.replace("batch_size = 4", "batch_size = 8")
    assert config_difference(CONFIG, changed) == ["  pretrain.batch_size: 4 there, 8 now"]
    assert config_difference(CONFIG, CONFIG + "VATT.width = 16\n") == ["  VATT.width: (not set) there, 16 now"]
    assert config_difference(CONFIG + "VATT.width = 16\n", CONFIG) == ["  VATT.width: 16 there, (not set) now"]
    assert config_difference(CONFIG, CONFIG.replace("STEPS = 40", "STEPS = 50")) == ["  STEPS: 40 there, 50 now"]


def test_a_value_of_several_lines_is_compared_whole():
    names = "('a_very_long_name_of_a_data_set_that_fills_the_line', 'another_long_name', "
    assert config_difference(CONFIG, CONFIG.replace("'and_a_third'", "'and_a_fourth'")) == [
        f"  pretrain.datasets: {names}'and_a_third') there, {names}'and_a_fourth') now"
    ]


def test_bindings_that_do_not_change_what_is_computed_may_change():
    assert config_difference(CONFIG, CONFIG.replace("steps_per_loop = 2", "steps_per_loop = 20")) == []


def test_a_new_run_has_its_files(directory, vocabulary):
    directory.start(CONFIG, {"synthetic": {"clips": 3}}, vocabulary, allow_config_change=False)
    assert directory.config.read_text() == CONFIG
    assert directory.vocabulary.read_text() == "a\nb\n"
    assert json.loads(directory.data.read_text()) == {"synthetic": {"clips": 3}}
    written = json.loads((directory.path / "environment.json").read_text())
    assert written["packages"]["tensorflow"].startswith("2.") and written["devices"] and written["command"]
    assert set(written) == set(environment())


def test_a_run_resumes_only_with_the_same_configuration_and_data(directory, vocabulary):
    start = directory.start
    start(CONFIG, {"set": 1}, vocabulary, False)
    vocabulary.write_text("c\n")
    start(CONFIG, {"set": 1}, vocabulary, False)
    assert directory.vocabulary.read_text() == "a\nb\n", "word vectors belong to the words they were trained for"
    other = CONFIG.replace("batch_size = 4", "batch_size = 8")
    with pytest.raises(BadInput, match="batch_size: 4 there, 8 now\n.*--allow_config_change"):
        start(other, {"set": 1}, vocabulary, False)
    with pytest.raises(BadInput, match='data: {"set": 1} there, {"set": 2} now'):
        start(CONFIG, {"set": 2}, vocabulary, False)
    assert directory.config.read_text() == CONFIG
    start(other, {"set": 2}, vocabulary, True)
    assert directory.config.read_text() == other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only comments\n",
        "[[1]]\n",
        "[" * 5000,
        "pretrain.steps = %",
        "pretrain.steps = {[]: 1}",
        "version 999\n" + CONFIG,
        CONFIG[: CONFIG.index(" 4\n")],
        CONFIG[:-60],
    ],
)
def test_a_configuration_that_is_none_is_named(directory, text):
    directory.write(directory.config, CONFIG)
    assert directory.read_config() == CONFIG
    directory.write(directory.config, text)
    with pytest.raises(BadInput, match=r"config\.gin should be as this version writes it"):
        directory.read_config()


@pytest.mark.parametrize("name", ["config.gin", "data.json"])
def test_a_broken_link_is_no_new_run(directory, vocabulary, name):
    directory.start(CONFIG, {"set": 1}, vocabulary, False)
    (directory.path / name).unlink()
    (directory.path / name).symlink_to("/not/mounted")
    with pytest.raises(BadInput, match=rf"{name} should be as this version writes it"):
        directory.check(CONFIG, {"set": 1}, False)


@pytest.mark.parametrize("name", ["model.json", "result.json"])
def test_a_folder_in_the_place_of_a_file_is_found_out_before_the_training(directory, vocabulary, name):
    (directory.path / name).mkdir(parents=True)
    with pytest.raises(BadInput, match=rf"{name} should be a file\. Found a folder"):
        directory.start(CONFIG, {}, vocabulary, allow_config_change=True)
    assert not directory.config.exists()


def test_a_configuration_may_name_what_this_version_does_not_know(directory):
    directory.write(directory.config, text := "pretrain.model = @OldModel()\nscope/OldModel.width = %WIDTH\n")
    assert directory.read_config() == text


def test_metrics_of_steps_that_will_run_again_are_forgotten(directory, vocabulary):
    directory.drop_metrics_after(3)  # before there are any
    directory.start(CONFIG, {}, vocabulary, False)
    for step in (2, 4, 6):
        directory.append_metrics({"step": step, "loss": 0.1 * step})
    with directory.metrics.open("a") as file:
        file.write('{"step": 8, "lo')  # as a kill leaves it
    assert [record["step"] for record in directory.read_metrics()] == [2, 4, 6]
    directory.drop_metrics_after(4)
    directory.append_metrics({"step": 6, "loss": 1.0})
    assert directory.read_metrics() == [{"step": 2, "loss": 0.2}, {"step": 4, "loss": 0.4}, {"step": 6, "loss": 1.0}]


def test_a_file_appears_whole_or_not_at_all(directory, monkeypatch):
    directory.write(directory.result, "first")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunFailed, match="result.json could not be written: .*No space left"):
        directory.write(directory.result, "second")
    assert directory.result.read_text() == "first"
    assert os.listdir(directory.path) == ["result.json"]


def test_a_file_in_the_place_of_a_folder_is_told(directory, tmp_path):
    directory.write(directory.report, "in the way")
    with pytest.raises(BadInput, match="report should be a folder. Found a file"):
        directory.require_place_for_report()
    with pytest.raises(RunFailed, match="index.html could not be written"):
        directory.write(directory.report / "index.html", "page")


def test_other_workers_write_elsewhere(directory):
    assert directory.of_worker(0) is directory
    assert directory.of_worker(2).metrics == directory.path / "workers" / "2" / "metrics.jsonl"


def test_the_commit_is_not_that_of_an_enclosing_project(tmp_path, monkeypatch):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for arguments in (
        ["init", "--quiet"],
        [*identity, "commit", "--quiet", "--allow-empty", "--message=Another project"],
    ):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True)
    installed = tmp_path / ".venv" / "run_directory.py"
    installed.parent.mkdir()
    installed.touch()
    monkeypatch.setattr(run_directory, "__file__", str(installed))
    found = run_directory.environment()
    assert found["commit"] is None and found["uncommitted_changes"] is False
    subprocess.run(["git", "-C", tmp_path, "add", installed], check=True)
    found = run_directory.environment()
    assert len(found["commit"]) == 40 and found["uncommitted_changes"] is True


def test_metrics_of_a_run_that_lost_its_checkpoints_are_not_forgotten(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.require_no_checkpointed_metrics(10)
    directory.path.mkdir()
    for step in (5, 10):  # a kill may come between the line of step 10 and its checkpoint
        directory.append_metrics({"step": step})
        directory.require_no_checkpointed_metrics(10)
    directory.append_metrics({"step": 15})
    with pytest.raises(RunFailed, match=r"metrics\.jsonl tells of 15 steps, but .*checkpoints holds no checkpoint"):
        directory.require_no_checkpointed_metrics(10)
