"""The work of `experiments.study`: the jobs of every variant, then the page."""

import datetime
import shlex
import sys
from collections.abc import Mapping, Sequence

from absl import flags

from experiments.pretraining.config import Pretrain
from experiments.running.command_line import BadInput
from experiments.running.jobs import STOPPED, Job, exit_code, run_jobs
from experiments.running.run_directory import RunDirectory, environment
from experiments.studies import config as study_config
from experiments.studies.config import Study
from experiments.studies.data import prepare_sets
from experiments.studies.directory import StudyDirectory
from experiments.studies.page import Provenance, write_page
from experiments.studies.record import Record, processor, settings_of
from experiments.studies.results import Results

FLAGS = flags.FLAGS
_PLACES = ("data_dir", "study_dir", "output_dir", "jobs")


def run() -> int:
    """Runs the command line; returns the exit code."""
    study = study_config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    if not FLAGS.output_dir or not (FLAGS.page_only or (FLAGS.data_dir and FLAGS.study_dir)):
        raise BadInput("--data_dir, --study_dir and --output_dir are needed; see --help for an example.")
    # What cannot be configured is found before anything runs.
    settings = {variant: settings_of(study, variant) for variant in study.variants}
    record = Record(FLAGS.output_dir)
    with RunDirectory(record.path).only_writer("page"):
        if FLAGS.page_only:
            record.checked_settings(settings)
            _write_page(study, record, record.read())
            return 0
        with RunDirectory(FLAGS.study_dir).only_writer("study"):
            return _run(study, settings, record)


def _run(study: Study, settings: Mapping[str, dict], record: Record) -> int:
    directory = StudyDirectory(FLAGS.study_dir)
    if taken := record.start(study, settings, directory):
        _show(f"{taken} finished points are taken from {record.results}")
    points = [point for variant in study.variants for point in study.points(variant)]
    prepare_sets(study, FLAGS.data_dir, _show, [point for point in points if not directory.has_point(point)])
    outcomes = run_jobs([_cost_job(directory)], 1, _show)  # first: a study that is stopped early then has it
    record.keep_cost(directory)
    if outcomes[0].status != STOPPED:
        outcomes += run_jobs([_variant_job(study, variant, directory) for variant in study.variants], FLAGS.jobs, _show)
    results = directory.read_points(study)
    if results:
        _write_page(study, record, results)
    return exit_code(outcomes, "jobs", _show)


def _variant_job(study: Study, variant: str, directory: StudyDirectory) -> Job:
    arguments = [f"--variant={variant}", f"--data_dir={FLAGS.data_dir}", f"--output_dir={FLAGS.output_dir}"]
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


def _write_page(study: Study, record: Record, points: Sequence[dict]) -> None:
    results = Results(study, points)
    write_page(record.path, results, record.read_cost(), describe(study.pretraining(study.baseline)), _origin())
    _show(f"Page: {record.path / 'README.md'} ({len(results.points)} points, {results.missing} missing)")


def _origin() -> Provenance:
    places = [f"--{name}={value}" for name in _PLACES if (value := getattr(FLAGS, name))]
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
