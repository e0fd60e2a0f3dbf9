"""The work of `experiments.compare_classifiers`: the jobs of all methods and seeds, then the table."""

import contextlib
import itertools
import json
import pathlib
import re
import sys
from collections.abc import Sequence

import tensorflow as tf
from absl import flags

import data
from experiments.classifiers import config as classifier_config
from experiments.classifiers.config import Classify
from experiments.classifiers.recipes import RECIPES
from experiments.classifiers.table import run_row, table
from experiments.running.command_line import BadInput, RunFailed, bad_input
from experiments.running.jobs import FAILED, Job, run_jobs
from experiments.running.own_files import read_json, read_json_object
from experiments.running.run_directory import RunDirectory, operative_config
from experiments.sweeps.classifier_differences import differences
from experiments.sweeps.table import csv_text

FLAGS = flags.FLAGS

_SEED_DIGITS = 10  # of 2^32 - 1; a run refuses what is too great with as many


def run() -> int:
    """Runs the command line; returns the exit code."""
    if not (FLAGS.gin_file and FLAGS.data_dir and FLAGS.outdir):
        raise BadInput("--gin_file, --data_dir and --outdir are needed; see --help for an example.")
    runs = list(itertools.product(_seeds(), _methods()))  # seed by seed: a table early on
    outdir = RunDirectory(FLAGS.outdir)
    _require_one_comparison(outdir, runs)
    outcomes = run_jobs([_job(seed, method) for seed, method in runs], FLAGS.jobs, lambda line: print(line, flush=True))
    failed = [outcome.message for outcome in outcomes if outcome.status == FAILED]
    rows = [run_row(read_json_object(path)) for path in _results()]
    if rows:
        outdir.write(outdir.path / "runs.csv", csv_text(rows))
        outdir.write(outdir.path / "table.md", table(rows))
        outdir.write(outdir.path / "differences.md", differences(rows))
        print(table(rows))
        print(differences(rows))
    if failed:
        raise RunFailed("\n".join([f"{len(failed)} of {len(runs)} runs failed:", *failed]))
    return 0


def _methods() -> list[str]:
    methods = FLAGS.methods or list(RECIPES)
    if any(name not in RECIPES for name in methods) or len(set(methods)) < len(methods):
        raise BadInput(f"--methods should be some of {', '.join(RECIPES)}, each once. Found {methods}.")
    return methods


def _seeds() -> list[str]:
    """Returns the seeds, written in one way: they name directories."""
    if not FLAGS.seeds or not all(seed.isdecimal() and len(seed) <= _SEED_DIGITS for seed in FLAGS.seeds):
        raise BadInput(f"--seeds should be whole numbers from 0 to 2^32 - 1. Found {FLAGS.seeds}.")
    seeds = [str(int(seed)) for seed in FLAGS.seeds]
    if len(set(seeds)) < len(seeds):
        raise BadInput(f"--seeds should name each seed once. Found {FLAGS.seeds}.")
    return seeds


def _require_one_comparison(outdir: RunDirectory, runs: Sequence[tuple[str, str]]) -> None:
    """Checks that all runs, those in the directory too, have the configuration and the data that are asked for now.

    Raises:
      BadInput: One has not, or the configuration cannot be used.
    """
    settings = {"gin_file": FLAGS.gin_file, "gin_bindings": FLAGS.gin_bindings}
    path = outdir.path / "comparison.json"
    if path.exists() and (found := read_json(path)) != settings:
        raise BadInput(f"{outdir.path} holds a comparison with {found}. Found {settings} now. Use another --outdir.")
    there = [tuple(place.parent.parts[:-3:-1]) for place in sorted(outdir.path.glob("*/*/config.gin"))]
    for method in RECIPES:
        planned, found = ([seed for seed, name in each if name == method] for each in (runs, there))
        _require_same_configuration(method, planned, [seed for seed in found if seed.isdecimal()])
    outdir.write(path, json.dumps(settings, indent=2) + "\n")


def _require_same_configuration(method: str, planned: Sequence[str], found: Sequence[str]) -> None:
    """Reads the configuration of a method's runs, of the seeds that are planned, and compares it with the runs found."""
    for seed in (*planned, *found[:1]):
        settings = classifier_config.parse(*_configuration(seed, method))
        if settings.method != method:
            raise BadInput(
                f"`classify.method` should come from --methods, {method!r} here. Found {settings.method!r}, which "
                "--gin_bindings sets."
            )
    if found:
        config, described = _as_run(settings)
    for seed in found:
        directory = RunDirectory(_result(seed, method).parent)
        own = re.sub(r"^classify\.seed = .*$", f"classify.seed = {seed}", config, flags=re.MULTILINE)
        if difference := directory.difference(own, described):
            raise BadInput(
                f"{directory.path} holds a run with another configuration:\n" + "\n".join(difference) + "\n"
                "Use another --outdir, or the configuration and the data of the comparison in this one."
            )


def _as_run(settings: Classify) -> tuple[str, dict]:
    """Returns what a run remembers of the configuration that was read last, and of its data."""
    with contextlib.suppress(RuntimeError):  # too late where something has used a GPU
        tf.config.set_visible_devices([], "GPU")  # the runs need them
    with bad_input():
        prepared = data.open_labeled(settings.dataset, FLAGS.data_dir)
        settings.encoder("audio", settings.clips)  # so that its options, of both modalities, are in gin's list
    return operative_config(), {prepared.name: prepared.describe()}


def _result(seed: str, method: str) -> pathlib.Path:
    return pathlib.Path(FLAGS.outdir) / method / seed / "result.json"


def _results() -> list[pathlib.Path]:
    """Returns the results of all finished runs, seed by seed, also of those that are not asked for now."""
    order, finished = list(RECIPES), pathlib.Path(FLAGS.outdir).glob("*/*/result.json")
    own = [path for path in finished if path.parts[-3] in order and path.parts[-2].isdecimal()]
    return sorted(own, key=lambda path: (int(path.parts[-2]), order.index(path.parts[-3])))


def _configuration(seed: str, method: str) -> tuple[list[str], list[str]]:
    """Returns the gin files and the bindings of a run."""
    files = [*FLAGS.gin_file, f"configs/classify/methods/{method}.gin"]
    return files, [*FLAGS.gin_bindings, f"classify.seed = {seed}"]


def _job(seed: str, method: str) -> Job:
    """Returns the run of one method with one seed; it is done when it has its result."""
    result = _result(seed, method)
    command = [
        sys.executable,
        "-m",
        "experiments.classify",
        f"--data_dir={FLAGS.data_dir}",
        f"--workdir={result.parent}",
    ]
    files, bindings = _configuration(seed, method)
    command += [f"--gin_file={path}" for path in files]
    command += [f"--gin_bindings={binding}" for binding in bindings]
    return Job(f"{method}, seed {seed}", result.parent, {"classify": command}, lambda _: result.exists())
