"""What training on labeled clips reads of its own files."""

import pytest

from experiments.running.command_line import RunFailed
from experiments.running.run_directory import RunDirectory
from experiments.training.labeled_program import validation_at


def test_a_lost_validation_is_named(tmp_path):
    directory = RunDirectory(tmp_path)
    for step in (2, 4):
        directory.append_metrics({"step": step})
        directory.append_metrics({"step": step, "epoch": step // 2, "validation": {"top1": step / 10}})
    assert validation_at(directory, "step", 4) == validation_at(directory, "epoch", 2) == {"top1": 0.4}
    directory.metrics.write_text("")
    with pytest.raises(RunFailed, match=r"metrics\.jsonl should have the validation at step 4"):
        validation_at(directory, "step", 4)
