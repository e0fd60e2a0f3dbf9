"""The work of `experiments.sweep`: the jobs of every point of a grid."""

import shlex
import sys
import tempfile
from collections.abc import Sequence

from absl import flags

import data
from experiments.evaluation.tasks import OWN_TASKS
from experiments.pretraining import config
from experiments.pretraining.assembly import make_model
from experiments.pretraining.dry_run import VOCABULARY_SIZE
from experiments.running.command_line import BadInput, bad_input
from experiments.running.jobs import Job, exit_code, run_jobs
from experiments.running.run_directory import operative_config
from experiments.sweeps import config as sweep_config
from experiments.sweeps.config import Point, Sweep
from experiments.sweeps.directory import PointRun, SweepDirectory
from experiments.sweeps.report import write_sweep_report

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    sweep = sweep_config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    if not FLAGS.dry_run and not (FLAGS.data_dir and FLAGS.sweep_dir):
        raise BadInput("--data_dir and --sweep_dir are needed, unless with --dry_run.")
    if FLAGS.dry_run:
        return _dry_run(sweep)
    directory = SweepDirectory(FLAGS.sweep_dir)
    points = sweep.points()
    runs = [_checked(sweep, point, directory) for point in points]
    directory.describe({axis: list(found) for axis, found in sweep.named_axes().items()}, runs)
    programs = [_programs(sweep, point, run) for point, run in zip(points, runs, strict=True)]
    if FLAGS.print_commands:
        for commands in programs:
            print(" && ".join(shlex.join(command) for command in commands.values()))
        return 0
    jobs = [Job(run.name, run.directory.path, each, run.is_done) for run, each in zip(runs, programs, strict=True)]
    outcomes = run_jobs(jobs, FLAGS.jobs, _show)
    print("\n" + write_sweep_report(directory))
    return exit_code(outcomes, "points", _show)


def _checked(sweep: Sweep, point: Point, directory: SweepDirectory) -> PointRun:
    """Builds what a point describes, without variables, so that a mistake is found before anything runs.

    Raises:
      BadInput: The point's configuration cannot be used, its data are not prepared, or its directory holds another run.
    """
    try:
        earlier = directory.run(point.name).earlier_defaults("pretrain")
        settings = config.parse(point.gin_files, point.bindings, earlier)
        make_model(settings, VOCABULARY_SIZE)
        with bad_input():
            described = None if FLAGS.print_commands else _describe(settings.datasets)
    except BadInput as error:
        raise BadInput(f"the point {point.name}: {error}") from error
    tasks = list(sweep.tasks or OWN_TASKS)
    run = PointRun(point.name, point.labels, settings.steps, directory.run(point.name), sweep.programs, tasks)
    if difference := run.directory.difference(operative_config(), described):
        raise BadInput(
            f"{run.directory.path} holds a run with another configuration:\n" + "\n".join(difference) + "\n"
            "Use another --sweep_dir, or the configuration of the sweep in this one."
        )
    return run


def _describe(names: Sequence[str]) -> dict:
    """Returns what a run remembers of its data sets."""
    prepared = [data.open_dataset(name, FLAGS.data_dir) for name in names]
    return {one_set.name: one_set.describe() for one_set in prepared}


def _programs(sweep: Sweep, point: Point, run: PointRun) -> dict[str, list[str]]:
    """Returns the command lines of a point by program."""
    places = [f"--data_dir={FLAGS.data_dir}", f"--workdir={run.directory.path}"]
    arguments = {
        "pretrain": [*_configuration(point), *places],
        "finetune": [f"--checkpoint={run.directory.path}", places[0], f"--workdir={run.finetuning.path}"],
        "evaluate": [*([f"--tasks={','.join(sweep.tasks)}"] if sweep.tasks else []), *places],
        "report": places,
    }
    return {
        name: [sys.executable, "-m", f"experiments.{name}", *arguments[name], *sweep.flags.get(name, ())]
        for name in sweep.programs
    }


def _configuration(point):
    return [f"--gin_file={path}" for path in point.gin_files] + [f"--gin_bindings={text}" for text in point.bindings]


def _dry_run(sweep: Sweep) -> int:
    with tempfile.TemporaryDirectory() as logs:
        jobs = [_dry_job(sweep, point, SweepDirectory(logs)) for point in sweep.points()]
        return exit_code(run_jobs(jobs, FLAGS.jobs, _show), "points", _show)


def _dry_job(sweep, point, logs):
    command = [sys.executable, "-m", "experiments.pretrain", "--dry_run", *_configuration(point)]
    command += sweep.flags.get("pretrain", ())
    log = logs.run(point.name).path / "log.txt"
    return Job(
        point.name,
        log.parent,
        {"dry run": command},
        lambda _: log.exists() and "\nDry run done" in log.read_text("utf-8"),
    )


def _show(line: str) -> None:
    print(line, flush=True)
