"""One program at a time writes a run; what a killed one has left behind locks nobody out."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from experiments.running.command_line import BadInput, RunFailed
from experiments.running.run_directory import RunDirectory
from experiments.running.run_lock import only_writer


def test_a_second_writer_is_refused_and_told_of_the_first(tmp_path):
    directory = tmp_path / "run"
    with only_writer(directory, "training"):
        with pytest.raises(BadInput) as refusal, only_writer(directory, "training"):
            pass
        assert re.search(
            rf"works on the training of {directory}: process {os.getpid()} on \S+ since \d{{4}}-.*Wait for it",
            str(refusal.value),
        )
        with only_writer(directory, "evaluation"):
            pass
        (directory / "result").touch()
    assert os.listdir(directory) == ["result"]
    with only_writer(directory, "training"):
        pass


def test_a_directory_without_anything_written_goes_again(tmp_path):
    with pytest.raises(RuntimeError), only_writer(tmp_path / "runs" / "one", "training"):
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    (tmp_path / "own").mkdir()
    with only_writer(tmp_path / "own", "training"):
        pass
    assert os.listdir(tmp_path) == ["own"]


def test_the_lock_of_a_killed_process_is_noticed(tmp_path):
    code = (
        "import pathlib, sys, time\nfrom experiments.running.run_lock import only_writer\n"
        f"with only_writer(pathlib.Path({str(tmp_path)!r}), 'training'):\n    print('locked', flush=True)\n    time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(BadInput, match=f"process {process.pid} on"), only_writer(tmp_path, "training"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((tmp_path / ".training.lock").read_text())["process"] == process.pid
    with only_writer(tmp_path, "training"):
        assert json.loads((tmp_path / ".training.lock").read_text())["process"] == os.getpid()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_writer_that_has_not_told_its_name_yet(tmp_path, content):
    with open(tmp_path / ".training.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(content)
        file.flush()
        with pytest.raises(BadInput, match="it has just begun"), only_writer(tmp_path, "training"):
            pass


def test_a_place_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file should be a directory that can be made"):
        with RunDirectory(tmp_path / "file").only_writer("training"):
            pass


def test_a_file_system_without_locks_has_none(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with only_writer(tmp_path, "training"), only_writer(tmp_path, "training"):
        pass


def test_a_full_disk_is_one_message(tmp_path, full_disk):
    with full_disk(), pytest.raises(RunFailed, match=r"\.training\.lock could not be written"):
        with only_writer(tmp_path / "run", "training"):
            pass
    assert os.listdir(tmp_path) == []
