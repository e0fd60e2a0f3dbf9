"""The work of `experiments.compare_classifiers`: the jobs of all methods and seeds, then the table."""

import itertools
import json
import pathlib
import sys

from absl import flags

from experiments.classifiers.recipes import RECIPES
from experiments.classifiers.table import run_row, table
from experiments.running.command_line import BadInput, RunFailed
from experiments.running.jobs import FAILED, Job, run_jobs
from experiments.running.own_files import read_json, read_json_object
from experiments.running.run_directory import RunDirectory
from experiments.sweeps.classifier_differences import differences
from experiments.sweeps.table import csv_text

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    if not (FLAGS.gin_file and FLAGS.data_dir and FLAGS.outdir):
        raise BadInput("--gin_file, --data_dir and --outdir are needed; see --help for an example.")
    methods = FLAGS.methods or list(RECIPES)
    unknown = [name for name in methods if name not in RECIPES]
    if unknown or not all(seed.isdecimal() for seed in FLAGS.seeds):
        raise BadInput(
            f"--methods should be some of {', '.join(RECIPES)}, and --seeds whole numbers. Found {methods}, {FLAGS.seeds}."
        )
    outdir = RunDirectory(FLAGS.outdir)
    _require_same_settings(outdir)
    runs = list(itertools.product(FLAGS.seeds, methods))  # seed by seed: a table early on
    outcomes = run_jobs([_job(seed, method) for seed, method in runs], FLAGS.jobs, lambda line: print(line, flush=True))
    failed = [outcome.message for outcome in outcomes if outcome.status == FAILED]
    results = [path for path in itertools.starmap(_result, runs) if path.exists()]
    rows = [run_row(read_json_object(path)) for path in results]
    if rows:
        outdir.write(outdir.path / "runs.csv", csv_text(rows))
        outdir.write(outdir.path / "table.md", table(rows))
        outdir.write(outdir.path / "differences.md", differences(rows))
        print(table(rows))
        print(differences(rows))
    if failed:
        raise RunFailed("\n".join([f"{len(failed)} of {len(runs)} runs failed:", *failed]))
    return 0


def _require_same_settings(outdir: RunDirectory) -> None:
    """Raises `BadInput` if the directory holds a comparison of other settings; its finished runs would be reused."""
    settings = {"gin_file": FLAGS.gin_file, "gin_bindings": FLAGS.gin_bindings}
    path = outdir.path / "comparison.json"
    if path.exists() and (found := read_json(path)) != settings:
        raise BadInput(f"{outdir.path} holds a comparison with {found}. Found {settings} now. Use another --outdir.")
    outdir.write(path, json.dumps(settings, indent=2) + "\n")


def _result(seed: str, method: str) -> pathlib.Path:
    return pathlib.Path(FLAGS.outdir) / method / seed / "result.json"


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
    command += [f"--gin_file={path}" for path in (*FLAGS.gin_file, f"configs/classify/methods/{method}.gin")]
    command += [f"--gin_bindings={binding}" for binding in (*FLAGS.gin_bindings, f"classify.seed = {seed}")]
    return Job(f"{method}, seed {seed}", result.parent, {"classify": command}, lambda _: result.exists())
