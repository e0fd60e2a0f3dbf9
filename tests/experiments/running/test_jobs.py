"""Batches of programs: real processes, but of the shell, which starts at once."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from experiments.running.jobs import FAILED, FINISHED, STOPPED, Job, environments, run_jobs

pytestmark = pytest.mark.every_python


@pytest.fixture
def make_job(tmp_path):
    """A function (name, **scripts) -> job whose programs are shell scripts; each is done when it has made a file of its name."""

    def make(name: str, **scripts: str) -> Job:
        directory = tmp_path / name
        programs = {program: ["sh", "-c", f"cd {directory}; {script}"] for program, script in scripts.items()}
        return Job(name, directory, programs, lambda program: (directory / program).exists())

    return make


def statuses(outcomes) -> list[str]:
    return [outcome.status for outcome in outcomes]


def test_programs_run_in_their_order_and_leave_a_log(make_job):
    lines = []
    job = make_job("a", train="echo trained; touch train", test="ls; touch test")
    (outcome,) = run_jobs([job], 1, lines.append)
    assert outcome.status == FINISHED and outcome.seconds >= 0
    assert job.log.read_text() == "trained\nlog.txt\ntrain\n"
    assert lines[:2] == [f"a: train runs, see {job.log}", f"a: test runs, see {job.log}"]
    assert re.fullmatch(r"\[1/1\] a: finished in 0m0\ds", lines[2])


def test_what_is_done_is_not_run_again(make_job):
    job = make_job(
        "a", train="echo train; touch train", test="echo test; touch test", report="echo report; touch report"
    )
    job.directory.mkdir()
    (job.directory / "train").touch()
    (job.directory / "report").touch()  # of an older test
    assert job.left() == ["test", "report"]
    assert statuses(run_jobs([job], 1, lambda _: None)) == [FINISHED]
    assert job.log.read_text() == "test\nreport\n"
    (outcome,) = run_jobs([job], 1, lambda _: None)
    assert outcome.status == FINISHED and outcome.seconds is None and job.log.read_text() == "test\nreport\n"


def test_a_failure_is_reported_with_its_log_and_stops_nothing(make_job):
    jobs = [
        make_job("bad", train="echo before; touch train", test="seq 30; exit 3", report="touch report"),
        make_job("idle", train="true"),
        make_job("killed", train="kill -9 $$"),
        make_job("good", train="touch train"),
    ]
    lines = []
    bad, idle, killed, good = run_jobs(jobs, 1, lines.append)
    assert statuses([bad, idle, killed, good]) == [FAILED, FAILED, FAILED, FINISHED]
    head, *tail = bad.message.splitlines()
    assert head == f"bad: test ended with exit code 3; the end of {jobs[0].log}:"
    assert [int(line) for line in tail] == list(range(16, 31))
    assert not (jobs[0].directory / "report").exists()
    assert idle.message.startswith("idle: train ended before it was finished")
    assert "train was ended by SIGKILL" in killed.message
    progress = [line for line in lines if line.startswith("[")]
    assert re.fullmatch(r"\[2/4\] idle: failed in \d+m\d\ds \| 2 failed \| ETA \d+m\d\ds", progress[1])
    assert re.fullmatch(r"\[4/4\] good: finished in \d+m\d\ds \| 3 failed", progress[3])


def test_a_program_that_cannot_be_started_is_a_failure(tmp_path):
    job = Job("a", tmp_path / "a", {"train": ["/nowhere/train"]}, lambda _: False)
    (outcome,) = run_jobs([job], 1, lambda _: None)
    assert outcome.status == FAILED and "/nowhere/train" in outcome.message


def test_as_many_as_asked_for_run_beside_each_other(make_job, tmp_path):
    # Each waits for the other one, which so has to run at the same time.
    wait = "touch {0}; until [ -e ../{1}/{1} ]; do sleep 0.01; done; touch train"
    jobs = [make_job("a", train=wait.format("a", "b")), make_job("b", train=wait.format("b", "a"))]
    assert statuses(run_jobs(jobs, 2, lambda _: None)) == [FINISHED, FINISHED]


def test_a_signal_reaches_the_programs_and_nothing_more_is_begun(make_job):
    script = "trap 'echo saved; exit 0' TERM; touch started; while :; do sleep 0.02; done"
    jobs = [make_job("a", train=script, test="touch test"), make_job("b", train="touch train")]

    def interrupt():
        while not (jobs[0].directory / "started").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    before, lines = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=interrupt)
    thread.start()
    outcomes = run_jobs(jobs, 1, lines.append)
    thread.join()
    assert statuses(outcomes) == [STOPPED, STOPPED]
    assert jobs[0].log.read_text() == "saved\n" and not (jobs[0].directory / "test").exists()
    assert not jobs[1].directory.exists()
    assert lines[-1].startswith("[0/2] a: stopped in") and signal.getsignal(signal.SIGINT) is before


def test_what_a_killed_batch_has_left_running_is_waited_for(make_job, tmp_path):
    job = make_job("a", train="echo begun; touch begun; until [ -e go ]; do sleep 0.02; done; echo ended; touch train")
    batch = f"""
import pathlib
from experiments.running.jobs import Job, run_jobs
directory = pathlib.Path({str(job.directory)!r})
run_jobs([Job("a", directory, {job.programs!r}, lambda _: False)], 1, print)
"""
    root = pathlib.Path(__file__).parents[3]
    killed = subprocess.Popen([sys.executable, "-c", batch], cwd=root, stdout=subprocess.DEVNULL)
    while not (job.directory / "begun").exists():
        assert killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    lines = []

    def show(line):
        lines.append(line)
        if "waiting for another program" in line:
            (job.directory / "go").touch()

    assert statuses(run_jobs([job], 1, show)) == [FINISHED]
    assert lines[0] == f"a: waiting for another program that works in {job.directory}"
    assert job.log.read_text() == "begun\nended\n"  # not run a second time


def test_the_cores_and_the_named_gpus_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,5")
    one, other = environments(2)
    assert one["TF_NUM_INTRAOP_THREADS"] == one["OMP_NUM_THREADS"] == "4" and one["TF_NUM_INTEROP_THREADS"] == "7"
    assert (one["CUDA_VISIBLE_DEVICES"], other["CUDA_VISIBLE_DEVICES"]) == ("0,5", "2")
    assert {environment["CUDA_VISIBLE_DEVICES"] for environment in environments(4)} == {"0,2,5"}
    assert environments(1) == [dict(os.environ)]
