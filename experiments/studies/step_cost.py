"""The work of `experiments.studies.cost`: times the step of each method."""

import json

import tensorflow as tf
from absl import flags

from experiments.benchmarks.measure import median_seconds
from experiments.benchmarks.plain_step import plain_step
from experiments.pretraining.assembly import build_run, random_batch
from experiments.running.command_line import BadInput
from experiments.running.run_directory import RunDirectory
from experiments.studies import config as study_config
from experiments.studies.config import Study
from experiments.studies.directory import StudyDirectory
from experiments.studies.page import PLAIN_STEP

FLAGS = flags.FLAGS
VOCABULARY_SIZE = 200  # that of the narrators is about as large


def run() -> int:
    """Runs the command line; returns the exit code."""
    study = study_config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    if not FLAGS.study_dir:
        raise BadInput("--study_dir is needed.")
    place = StudyDirectory(FLAGS.study_dir).cost
    RunDirectory(place.parent).write(place, json.dumps(step_seconds(study)) + "\n")
    return 0


def step_seconds(study: Study) -> dict[str, float]:
    """Returns the median time of a step: of `PLAIN_STEP`, one gradient of the sum of both losses, and of each method."""
    runs = {
        method: build_run(study.pretraining(method), tf.distribute.get_strategy(), VOCABULARY_SIZE)
        for method in study.methods
    }
    first = runs[study.baseline]
    batch = random_batch(first.config.clips, first.config.batch_size, VOCABULARY_SIZE)
    plain = plain_step(first)
    calls = {PLAIN_STEP: lambda: plain(batch)}
    calls |= {method: lambda trainer=run.trainer: _step(trainer, batch) for method, run in runs.items()}
    return median_seconds(calls, study.cost_repeats)


def _step(trainer, batch):
    trainer.log.clear()
    trainer.train_on_batch(batch, tf.constant(0.0))
