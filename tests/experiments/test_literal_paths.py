"""Paths are literal: a run and its data may lie in directories whose names are patterns to TensorFlow."""

import shutil

import pytest

from experiments.evaluation.evaluate import evaluate
from experiments.inference.trained_model import open_run
from experiments.running.run_directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("eager")
def test_a_run_in_a_directory_with_brackets_is_resumed_and_evaluated(pretrain_here, tiny_data, tmp_path):
    data_dir = tmp_path / "d[v2]*"
    shutil.copytree(tiny_data, data_dir)
    directory = RunDirectory(tmp_path / "lr=[1e-3]" / "what?")
    for steps in (2, 4):
        code, output, errors = pretrain_here(
            f"pretrain.steps = {steps}", "pretrain.warmup_steps = 1", data_dir=str(data_dir), workdir=str(directory.path),
            allow_config_change=True,
        )  # fmt: skip
        assert code == 0, errors
    assert "Resumed at step 2," in output
    assert [record["step"] for record in directory.read_metrics()] == [2, 4]
    assert open_run(str(directory.path)).step == 4
    result, _ = evaluate(directory, str(data_dir), tasks=["retrieval"])
    assert result["step"] == 4 and result["tasks"] is not None
    assert not list(directory.path.glob(".*"))


@pytest.mark.usefixtures("eager")
def test_two_programs_do_not_train_one_run(pretrain_here, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with directory.only_writer("training"):
        code, _, errors = pretrain_here(workdir=str(directory.path))
        assert code == 2 and "another program works on the training of" in errors
