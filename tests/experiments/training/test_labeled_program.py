"""What training on labeled clips reads of its own files."""

import pathlib
import runpy

import numpy as np
import pytest

import data
from experiments.running.command_line import BadInput, RunFailed
from experiments.running.run_directory import RunDirectory
from experiments.training.labeled_program import require_clips, validation_at

STORED_SETS = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "stored_sets.py"))


def test_a_lost_validation_is_named(tmp_path):
    directory = RunDirectory(tmp_path)
    for step in (2, 4):
        directory.append_metrics({"step": step})
        directory.append_metrics({"step": step, "epoch": step // 2, "validation": {"top1": step / 10}})
    assert validation_at(directory, "step", 4) == validation_at(directory, "epoch", 2) == {"top1": 0.4}
    directory.metrics.write_text("")
    with pytest.raises(RunFailed, match=r"metrics\.jsonl should have the validation at step 4"):
        validation_at(directory, "step", 4)


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> data.PreparedDataset:
    """A data set whose training clips have labels and sound, but the first; validation has no sound, the test no labels."""
    noise_clip, silence = STORED_SETS["noise_clip"], np.zeros(0, np.int16)
    splits = {
        "train": [noise_clip("a", label=-1), noise_clip("b", audio=silence), noise_clip("c")],
        "validation": [noise_clip("d", audio=silence), noise_clip("e", label=-1)],
        "test": [noise_clip("f", label=-1)],
    }
    directory = tmp_path_factory.mktemp("stored")
    STORED_SETS["write_set"](directory, splits)
    return data.open_dataset("stored", str(directory))


def test_splits_without_a_clip_that_can_be_used_are_named_before_the_training(stored):
    with pytest.raises(BadInput, match="should have labeled clips with sound in the split 'validation'"):
        require_clips(stored, sound=True)
    with pytest.raises(BadInput, match="should have labeled clips in the split 'test'"):
        require_clips(stored, sound=False)


def test_a_damaged_file_is_left_to_what_reads_it(stored, monkeypatch):
    def read_split(prepared, split):
        raise data.DataError("damaged")

    monkeypatch.setattr(data, "read_split", read_split)
    require_clips(stored, sound=True)
