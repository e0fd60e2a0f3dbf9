"""`experiments.sweep` as people meet it: killed and started again, what it prints and what it refuses.

Real processes, and real signals to them, are in test_jobs.py.
"""

import collections
import contextlib
import json
import re
import shlex
import shutil
import sys
import types

import pytest
import tensorflow as tf

from experiments.pretraining import config, program
from experiments.running import jobs
from experiments.running.jobs import FAILED, FINISHED, STOPPED, Outcome
from experiments.running.run_directory import RunDirectory
from experiments.training import train_program
from experiments.training.progress import Progress

pytestmark = pytest.mark.slow

SHORT = [
    "pretrain.steps = 10", "pretrain.checkpoint_every_steps = 4", "pretrain.shuffle_window = 8",
    "VATT.dropout = 0.0", "VATT.drop_token_rate = 0.0",
]  # fmt: skip
FILES = ("sweep.csv", "table.md", "report/index.html")


@pytest.fixture(scope="module")
def gin_file(tiny_run, tmp_path_factory) -> str:
    """A sweep over two methods on the tiny data, which are only pre-trained."""
    path = tmp_path_factory.mktemp("sweeps") / "methods.gin"
    path.write_text(
        f"sweep.bindings = {(*tiny_run, *SHORT)!r}\n"
        "sweep.axes = {'method': {'gr': \"pretrain.harmonizer = 'gr'\", 'both': \"pretrain.harmonizer = 'both'\"}}\n"
        "sweep.programs = ('pretrain',)\n"
    )
    return str(path)


@pytest.fixture
def sweep_here(run_here, gin_file):
    """A function (*bindings, **flags) -> exit code, stdout and stderr of `experiments.sweep`, run in this process."""
    run = run_here("sweep", [])
    return lambda *bindings, **values: run(*bindings, **(dict(gin_file=[gin_file]) | values))


class Deaf(contextlib.nullcontext):
    """Hears no signal."""

    received = ""


@pytest.fixture
def begun_here(monkeypatch):
    """Runs the points' pre-training in this process, where it costs half; returns the places of those that have begun."""
    begun = []
    monkeypatch.setattr(train_program, "StopSignal", Deaf)  # the true one needs the main thread
    monkeypatch.setattr(program, "FLAGS", types.SimpleNamespace(allow_config_change=False, data_service=""))

    def execute(batch, command, environment, log, claim) -> int:
        options = collections.defaultdict(list)
        for argument in command[3:]:
            name, _, value = argument.removeprefix("--").partition("=")
            options[name].append(value)
        directory, (data_dir,) = RunDirectory(options["workdir"][0]), options["data_dir"]
        begun.append(directory.path.name)
        settings = config.parse(options["gin_file"], options["gin_bindings"])
        return program.pretrain(settings, tf.distribute.get_strategy(), data_dir, directory)

    monkeypatch.setattr(jobs._Batch, "_execute", execute)
    return begun


@pytest.mark.usefixtures("deterministic", "eager")
def test_a_sweep_killed_half_way_ends_like_one_left_alone(
    begun_here, sweep_here, tmp_path, killed_at, same_checkpoints
):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    code, output, errors = sweep_here(sweep_dir=str(alone))
    assert code == 0, output + errors
    assert begun_here == ["method=gr", "method=both"]
    assert re.search(r"^\[1/2\] method=gr: finished in \S+ \| ETA \S+$", output, re.MULTILINE)
    assert re.search(r"^\[2/2\] method=both: finished in \S+$", output, re.MULTILINE)
    found = (alone / "table.md").read_text()
    loss, cosine = r"\d\.\d{3}", r"-?0\.\d{4}"
    assert found in output and re.search(
        rf"^\| both \| {loss} \| {loss} \| {cosine} \| .* \| 1 of 1 \|$", found, re.MULTILINE
    )

    # The first point is finished, the second one is in the middle of its steps when all dies.
    shutil.copytree(alone / "method=gr", killed / "method=gr")
    begun_here.clear()
    with killed_at(Progress, 6):
        sweep_here(sweep_dir=str(killed))
    assert begun_here == ["method=both"] and not (killed / "table.md").exists()
    assert RunDirectory(killed / "method=both").read_metrics()[-1]["step"] == 6

    code, output, errors = sweep_here(sweep_dir=str(killed))
    assert code == 0, output + errors
    assert "[1/2] method=gr: finished before\n" in output
    assert begun_here == ["method=both"] * 2
    for name in ("table.md", "sweep.csv"):
        assert (alone / name).read_text() == (killed / name).read_text()
    same_checkpoints(*(RunDirectory(each / "method=both") for each in (alone, killed)), least=50)

    # All is done: nothing more runs, and another configuration is refused with the difference.
    code, output, errors = sweep_here(sweep_dir=str(killed))
    assert code == 0 and "[2/2] method=both: finished before\n" in output and len(begun_here) == 2
    code, output, errors = sweep_here(
        "sweep.axes = {'method': {'gr': \"pretrain.harmonizer = 'cl'\"}}", sweep_dir=str(killed)
    )
    assert code == 2 and errors.startswith(f"error: {killed}/method=gr holds a run with another configuration:\n")
    assert "  pretrain.harmonizer: 'gr' there, 'cl' now\n" in errors and "Use another --sweep_dir" in errors


@pytest.fixture
def without_running(monkeypatch):
    """A function (status of each point) that keeps the sweep from running its programs; returns what it was given."""
    given = []

    def install(*statuses: str) -> list:
        def run_jobs(jobs, at_a_time, show):
            given.append((jobs, at_a_time))
            return [
                Outcome(job, status, message=f"{job.name}: said why")
                for job, status in zip(jobs, statuses, strict=True)
            ]

        monkeypatch.setattr("experiments.sweeps.program.run_jobs", run_jobs)
        return given

    return install


def test_a_failed_point_is_reported_at_the_end(sweep_here, without_running, tmp_path):
    given = without_running(FAILED, FINISHED)
    code, output, errors = sweep_here(sweep_dir=str(tmp_path / "sweep"), jobs=2)
    assert code == 1
    assert errors == "error: 1 of 2 points failed.\nmethod=gr: said why\nRun the same command again to retry.\n"
    assert "| gr | 0 of 1 |" in output
    assert all((tmp_path / "sweep" / name).exists() for name in FILES)
    assert [(len(jobs), at_a_time) for jobs, at_a_time in given] == [(2, 2)]


def test_a_stopped_sweep_says_how_it_goes_on(sweep_here, without_running, tmp_path):
    without_running(STOPPED, STOPPED)
    code, output, errors = sweep_here(sweep_dir=str(tmp_path / "sweep"))
    assert code == 0 and not errors
    assert output.endswith(
        "Stopped by a signal; what was finished or saved is kept. Run the same command again to resume.\n"
    )


def test_commands_are_printed_a_line_per_point(sweep_here, without_running, tiny_data, tmp_path):
    given = without_running()
    sweep_dir = tmp_path / "a sweep"
    code, output, errors = sweep_here(
        "sweep.programs = ('pretrain', 'finetune', 'evaluate', 'report')", "sweep.tasks = ('retrieval', 'esc50')",
        "sweep.flags = {'pretrain': ('--strategy=tpu',), 'finetune': ('--gin_file=k400.gin',)}",
        sweep_dir=str(sweep_dir), print_commands=True,
    )  # fmt: skip
    assert code == 0 and not errors and not given
    first, second = output.splitlines()
    words = shlex.split(second)
    _, finetune, evaluate, report = " ".join(words).split(" && ")
    assert words[:3] == [sys.executable, "-m", "experiments.pretrain"]
    assert {
        "--gin_bindings=pretrain.harmonizer = 'both'",
        "--strategy=tpu",
        f"--workdir={sweep_dir}/method=both",
    } <= set(words)
    places = f"--data_dir={tiny_data} --workdir={sweep_dir}/method=both"
    run = f"{sweep_dir}/method=both"
    assert finetune == (
        f"{sys.executable} -m experiments.finetune --checkpoint={run} --data_dir={tiny_data} --workdir={run}/kinetics400 "
        "--gin_file=k400.gin"
    )
    assert evaluate == f"{sys.executable} -m experiments.evaluate --tasks=retrieval,esc50 {places}"
    assert report == f"{sys.executable} -m experiments.report {places}"
    # The report can be made once they have run, wherever that was.
    assert json.loads((sweep_dir / "sweep.json").read_text())["points"][1] == {
        "name": "method=both", "labels": {"method": "both"}, "steps": 10,
        "programs": ["pretrain", "finetune", "evaluate", "report"], "tasks": ["retrieval", "esc50"],
    }  # fmt: skip


def test_a_dry_run_goes_over_all_points_and_writes_nothing(sweep_here, without_running, tmp_path, monkeypatch):
    given = without_running(FINISHED, FAILED)
    monkeypatch.chdir(tmp_path)
    code, _, errors = sweep_here(data_dir="", dry_run=True)
    assert code == 1 and "method=both: said why" in errors
    ((jobs, _),) = given
    command = jobs[0].programs["dry run"]
    assert (
        command[1:4] == ["-m", "experiments.pretrain", "--dry_run"]
        and "--gin_bindings=pretrain.harmonizer = 'gr'" in command
    )
    assert not jobs[0].is_done("dry run") and list(tmp_path.iterdir()) == []


MISTAKES = {
    "no directory": ((), dict(sweep_dir=""), "--data_dir and --sweep_dir are needed"),
    "no file": ((), dict(gin_file=[]), "--gin_file is needed"),
    "points that collide": (("sweep.axes = {'m': {'a b': (), 'a/b': ()}}",), {}, "would write into m=a_b"),
    "a point that cannot be built": (
        ("sweep.axes = {'m': {'a': (), 'b': 'pretrain.stepps = 3'}}",), {}, r"the point m=b: .*Did you mean `pretrain\.steps`\?"
    ),
    "a model that does not fit its clips": (("sweep.axes = {'VATT.waveform_patch': (100000,)}",), {}, "holds no whole patch"),
    "data that are not prepared": (("sweep.axes = {'pretrain.datasets': (('audioset',),)}",), {}, "No prepared data .*audioset"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_before_anything_runs(mistake, is_one_message, sweep_here, without_running, tmp_path):
    given = without_running()
    bindings, values, message = MISTAKES[mistake]
    is_one_message(sweep_here(*bindings, **(dict(sweep_dir=str(tmp_path / "sweep")) | values)), message)
    assert not given and not (tmp_path / "sweep").exists()
