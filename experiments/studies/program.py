"""The work of `experiments.study`: the jobs of every variant, then the page."""

import datetime
import pathlib
import shlex
import sys

from absl import flags

from experiments.pretraining.config import Pretrain
from experiments.running.command_line import BadInput
from experiments.running.jobs import STOPPED, Job, exit_code, run_jobs
from experiments.running.own_files import read_json_object
from experiments.running.run_directory import environment
from experiments.studies import config as study_config
from experiments.studies.config import Study
from experiments.studies.data import prepare_sets
from experiments.studies.directory import StudyDirectory
from experiments.studies.page import Provenance, processor, write_page
from experiments.studies.results import Results

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    study = study_config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    if not (FLAGS.data_dir and FLAGS.study_dir and FLAGS.output_dir):
        raise BadInput("--data_dir, --study_dir and --output_dir are needed; see --help for an example.")
    for variant in study.variants:  # what cannot be configured is found before anything runs
        study.pretraining(variant)
    prepare_sets(study, FLAGS.data_dir, _show)
    directory = StudyDirectory(FLAGS.study_dir)
    outcomes = run_jobs([_cost_job(directory)], 1, _show)  # first: a study that is stopped early then has it
    if outcomes[0].status != STOPPED:
        outcomes += run_jobs([_variant_job(study, variant, directory) for variant in study.variants], FLAGS.jobs, _show)
    _write_page(study, directory)
    return exit_code(outcomes, "jobs", _show)


def _variant_job(study: Study, variant: str, directory: StudyDirectory) -> Job:
    arguments = [f"--variant={variant}", f"--data_dir={FLAGS.data_dir}"]
    points = study.points(variant)
    return Job(
        variant, directory.variant(variant).path, {"points": _command("studies.variant", arguments)},
        lambda _: all(map(directory.has_point, points)),
    )  # fmt: skip


def _cost_job(directory: StudyDirectory) -> Job:
    return Job(
        "cost", directory.cost.parent, {"steps": _command("studies.cost", [])}, lambda _: directory.cost.exists()
    )


def _command(program, arguments):
    return [
        sys.executable,
        "-m",
        f"experiments.{program}",
        *_configuration(),
        *arguments,
        f"--study_dir={FLAGS.study_dir}",
    ]


def _configuration():
    return [f"--gin_file={path}" for path in FLAGS.gin_file] + [f"--gin_bindings={text}" for text in FLAGS.gin_bindings]


def _write_page(study: Study, directory: StudyDirectory) -> None:
    results = Results(study, directory.read_points(study))
    if not results.points:
        return
    cost = read_json_object(directory.cost) if directory.cost.exists() else None
    output = pathlib.Path(FLAGS.output_dir)
    write_page(output, results, cost, describe(study.pretraining(study.baseline)), _origin())
    _show(f"Page: {output / 'README.md'} ({len(results.points)} points, {results.missing} missing)")


def _origin() -> Provenance:
    places = [f"--{name}={getattr(FLAGS, name)}" for name in ("data_dir", "study_dir", "output_dir", "jobs")]
    command = shlex.join(["python", "-m", "experiments.study", *_configuration(), *places])
    return Provenance(command, datetime.date.today().isoformat(), environment(), processor())


def describe(settings: Pretrain) -> list[str]:
    """Returns sentences on what all runs have in common."""
    clips = settings.clips
    return [
        f"{settings.steps} steps of {settings.batch_size} clips, Adam at {settings.learning_rate:g} after {settings.warmup_steps} "
        f"steps, then half a cosine to {settings.final_learning_rate:g}; temperature {settings.temperature:g}.",
        f"A clip: {clips.frames} frames of {clips.image_size} px at {clips.frames_per_second:g} per second, its sound at "
        f"{clips.sample_rate_hz} Hz, {clips.candidates} captions of {clips.words} word pieces.",
    ]


def _show(line: str) -> None:
    print(line, flush=True)
