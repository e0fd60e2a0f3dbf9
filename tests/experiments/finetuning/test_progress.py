"""What fine-tuning says of a validation, and what it keeps."""

import types

import numpy as np
import pytest
import tensorflow as tf

from experiments.finetuning.progress import FinetuneProgress
from experiments.running.checkpoints import host_number
from experiments.running.run_directory import RunDirectory
from experiments.training.best_weights import BestWeights


@pytest.fixture
def told(tmp_path):
    """A function (values of mAP at the steps 1, 2, ...) -> the progress after them, with the lines that it showed."""

    def validate(*values):
        told, weight = FinetuneProgress.__new__(FinetuneProgress), tf.Variable(0.0)
        memory = host_number("number", 0, tf.int64), host_number("score", -np.inf)
        told.best = BestWeights(tf.train.Checkpoint(weight=weight), tmp_path / "best", *memory)
        told.directory, told.lines = RunDirectory(tmp_path), []
        told.run, told.show = types.SimpleNamespace(multi_label=True), told.lines.append
        for step, value in enumerate(values, start=1):
            weight.assign(step)
            told.evaluator = lambda split, value=value: {"map": value, "loss": 1.0, "classes": 2, "clips": 3}
            told.validate(step)
        return told

    return validate


def test_the_best_step_is_kept(told):
    after = told(0.5, 0.75, 0.25)
    assert after.lines[2] == "step 3 | validation map 25.0% of 3 clips, 2 classes | best step 2: map 75.0%"
    assert after.best.restore() == 2


def test_a_validation_that_cannot_choose_says_so_at_once_and_the_last_weights_are_kept(told):
    after = told(None, None)
    for step, line in enumerate(after.lines, start=1):
        assert line.startswith(
            f"step {step} | validation nothing to score of 3 clips, 2 classes | map is not defined, as no "
        )
        assert "the last weights will be tested" in line
    assert after.best.restore() == 2 and after.best.score.numpy() == -np.inf
