"""Every file of a run and of a prepared set, damaged in every way: one sentence that names it, and nothing changes on disk."""

import hashlib
import json
import os
import pathlib
import shutil

import numpy as np
import pytest

import data
from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.result import write_arrays
from experiments.evaluation.tasks import OWN_TASKS
from experiments.inference.trained_model import open_run
from experiments.running.command_line import BadInput
from experiments.running.command_line import _guarded as guarded
from experiments.running.run_directory import RunDirectory
from experiments.training.history import harmonization_summary

pytestmark = pytest.mark.slow

OTHER_TYPES = {"a number": "1", "a list": "[[1]]", "text": '"text"', "null": "null", "no key": "{}"}
CONTENTS = {
    "empty": b"", "binary": bytes(range(256)) * 8, "not JSON": b"{", "deep": b"[" * 100_000, "a huge number": b"9" * 5000,
    **{name: text.encode() for name, text in OTHER_TYPES.items()},
}  # fmt: skip
HOWS = [*CONTENTS, "cut", "a folder", "a link to itself", "a pipe"]


def damage(path: pathlib.Path, how: str) -> None:
    content = path.read_bytes()
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "a link to itself":
        path.symlink_to(path.name)
    else:
        path.write_bytes(CONTENTS.get(how, content[: len(content) // 2]))


def fingerprint(directory: pathlib.Path) -> dict[str, str]:
    """What lies in a directory, with a hash of each file."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in directory.rglob("*")
    }


@pytest.fixture
def copy(trained_run, noisy_data, tmp_path) -> RunDirectory:
    """A run with a result."""
    directory = RunDirectory(shutil.copytree(trained_run, tmp_path / "run"))
    write_arrays(directory, {"dataset": np.array("synthetic"), "rank": np.arange(3)})
    own = {name: TASKS[name].nothing for name in OWN_TASKS}
    facts = {
        "step": 30,
        "checkpoint": "",
        "dataset": "synthetic",
        "harmonization": harmonization_summary([]),
        "tasks": {},
    }
    directory.write(directory.result, json.dumps(facts | own))
    return directory


READ_BY = {
    "config.gin": ["open"], "model.json": ["open"], "vocabulary.txt": ["open"], "vocabulary.sha256": ["open"],
    "checkpoints/checkpoint": ["open"], "checkpoints/ckpt-1.index": ["open"],
    "checkpoints/ckpt-1.data-00000-of-00001": ["open"],
    "metrics.jsonl": ["report"], "result.json": ["report"], "report/evaluation.npz": ["report"],
}  # fmt: skip
HARMLESS = {  # a last line that a kill cut off does not count
    ("metrics.jsonl", "empty"), ("metrics.jsonl", "cut"), ("metrics.jsonl", "not JSON"), ("metrics.jsonl", "deep"),
    ("metrics.jsonl", "a huge number"),
}  # fmt: skip


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", [name for name, readers in READ_BY.items() if "open" in readers])
def test_a_run_with_a_damaged_file_is_not_opened(copy, capsys, name, how):
    damage(copy.path / name, how)
    before = fingerprint(copy.path)
    code = guarded(lambda _: open_run(str(copy.path)) and 0, ["program"])
    check(code, capsys.readouterr().err, copy.path / name, how)
    assert fingerprint(copy.path) == before


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", [name for name, readers in READ_BY.items() if "report" in readers])
def test_a_report_of_a_damaged_file_is_refused(copy, run_report, name, how):
    damage(copy.path / name, how)
    before = fingerprint(copy.path)
    code, _, errors = run_report(f"--workdir={copy.path}")
    check(code, errors, copy.path / name, how)
    if code:
        assert fingerprint(copy.path) == before


def test_a_vocabulary_that_is_not_the_runs_is_refused(copy):
    words = copy.vocabulary.read_text().splitlines()
    copy.vocabulary.write_text("\n".join([*words[:-2], words[-1], words[-2]]) + "\n")
    with pytest.raises(BadInput, match=r"vocabulary\.txt should be the vocabulary that this run was started with"):
        open_run(str(copy.path))
    copy.vocabulary_hash.unlink()  # as earlier versions left it
    assert open_run(str(copy.path)).step == 30


def check(code: int, errors: str, path: pathlib.Path, how: str) -> None:
    name = str(path).split("/run/")[1]
    assert "Traceback" not in errors
    if code == 0:
        assert (name, how) in HARMLESS or how == "a link to itself" and not os.path.exists(path), (name, how)
        return
    assert code in (1, 2) and errors.startswith("error: ") and errors.count("error: ") == 1, errors
    named = path.name if not name.startswith("checkpoints/ckpt") else "ckpt-1"
    assert named in errors, errors


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["features.json", "dataset_info.json", "metadata.json"])
def test_a_prepared_set_with_a_damaged_file_is_refused(tiny_data, tmp_path, capsys, name, how):
    data_dir = shutil.copytree(tiny_data, tmp_path / "data")
    (path,) = data_dir.rglob(name)
    damage(path, how)
    before = fingerprint(data_dir)
    try:
        data.open_dataset("synthetic", str(data_dir))
    except data.DataError as error:
        assert str(path.parent) in str(error) or str(data_dir / "synthetic") in str(error)
    else:
        raise AssertionError("it was opened")
    assert fingerprint(data_dir) == before
