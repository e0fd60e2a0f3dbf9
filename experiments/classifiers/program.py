"""Training a classifier, from the command line's flags to the test's figures."""

import json

import numpy as np
import tensorflow as tf
from absl import flags

import data
from experiments.classifiers import config as classifier_config
from experiments.classifiers.progress import ClassifierProgress, accuracies
from experiments.classifiers.run import ClassifierRun, build_run, clip_specs
from experiments.classifiers.scores import Evaluator
from experiments.running import strategies
from experiments.running.checkpoints import RunCheckpoints
from experiments.running.command_line import BadInput, bad_input
from experiments.running.damaged_data import damage_named, record_files
from experiments.running.progress import printer
from experiments.running.run_directory import RunDirectory, operative_config
from experiments.running.stop_signal import StopSignal
from experiments.running.training_loop import make_controller, train

FLAGS = flags.FLAGS

EVALUATION_BATCH = 64


def run() -> int:
    """Runs the command line; returns the exit code."""
    config = classifier_config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    if not FLAGS.data_dir or not FLAGS.workdir:
        raise BadInput("--data_dir and --workdir are needed; see --help for an example.")
    if FLAGS.cpu_replicas > 1:
        strategies.split_cpu(FLAGS.cpu_replicas)
    tf.config.experimental.enable_op_determinism()
    strategy = strategies.create_strategy(FLAGS.strategy)
    with bad_input():
        prepared = data.open_labeled(config.dataset, FLAGS.data_dir)
    return classify(config, strategy, prepared, RunDirectory(FLAGS.workdir), FLAGS.allow_config_change)


def classify(
    config: classifier_config.Classify,
    strategy: tf.distribute.Strategy,
    prepared: data.PreparedDataset,
    directory: RunDirectory,
    allow_config_change: bool = False,
) -> int:
    """Trains, from the newest checkpoint of `directory` if there is one, and tests; returns the exit code."""
    run = build_run(config, strategy, len(prepared.class_names), prepared.split_sizes["train"])
    description = {prepared.name: prepared.describe()}
    directory.check(operative_config(), description, allow_config_change)
    checkpoints = RunCheckpoints(
        run.state, directory.checkpoints, run.trainer.global_step, config.checkpoint_every_steps, config.keep_checkpoints
    )
    best = RunCheckpoints(tf.train.Checkpoint(model=run.model), directory.best, run.best_epoch, every_steps=1, keep=1)
    evaluator = Evaluator(
        run.model, clip_specs(config.clips), lambda split: _evaluation_batches(config, prepared, split)
    )
    progress = ClassifierProgress(directory, run, StopSignal(), printer(), evaluator, best)
    controller = make_controller(run, progress, checkpoints, lambda step: run.steps_per_epoch - step % run.steps_per_epoch)
    step = int(run.trainer.global_step.numpy())
    with bad_input():
        run.trainer.train_dataset = data.distributed_train_batches(
            strategy, prepared, config.clips, batch_size=config.batch_size, seed=config.seed, start_step=step,
            shuffle_window=config.shuffle_window, augmentation=config.augmentation,
        )  # fmt: skip
    # Nothing was written so far: a start that is refused leaves nothing behind.
    directory.start(operative_config(), description, None, allow_config_change)
    directory.drop_metrics_after(step)
    progress.announce(step)
    with damage_named(lambda: record_files(prepared)):
        if not train(controller, progress):
            return 0
        write_result(run, directory, evaluator, best)
    progress.show(_summary(json.loads(directory.result.read_text(encoding="utf-8"))))
    return 0


def _evaluation_batches(config, prepared, split):
    return data.eval_batches(prepared, split, config.clips, batch_size=EVALUATION_BATCH)


def write_result(run: ClassifierRun, directory: RunDirectory, evaluator: Evaluator, best: RunCheckpoints) -> None:
    """Tests the last epoch and the best one, whose weights the model has afterwards; writes result.json."""
    last = evaluator("test")
    best.restore_or_initialize()
    records = directory.read_metrics()
    validations = [record for record in records if "validation" in record]
    best_epoch = int(run.best_epoch.numpy())
    result = {
        "method": run.config.method,
        "harmonizer": type(run.trainer.harmonizer).__name__,
        "fusion": run.config.fusion,
        "dataset": run.config.dataset,
        "seed": run.config.seed,
        "steps": int(run.trainer.global_step.numpy()),
        "epochs": run.config.epochs,
        "chance": evaluator.chance["test"],
        "alone": "head" if run.config.recipe.heads else "fusion with the other modality removed",
        "best_epoch": best_epoch,
        "validation": next(record["validation"] for record in validations if record["epoch"] == best_epoch),
        "test": {"best": evaluator("test"), "last": last},
        "gradients": _gradients(records, run.trainer.compared()),
        "seconds_spent": float(run.seconds_spent.numpy()),
    }
    directory.write(directory.result, json.dumps(result, indent=2) + "\n")


def _gradients(records: list[dict], encoders: list[str]) -> dict[str, dict[str, float]]:
    """Returns the mean cosine and the conflict rate of all steps in the encoders that several losses reach."""
    cosines = {
        part: np.concatenate([record[f"cosines_{part}"] for record in records if "validation" not in record])
        for part in encoders
    }
    return {
        part: {"mean_cosine": float(values.mean()), "conflict_rate": float((values < 0).mean())}
        for part, values in cosines.items()
    }


def _summary(result: dict) -> str:
    chance = f"of {result['chance']['items']} clips (chance {result['chance']['top1']:.1%})"
    return (
        f"Done: {result['steps']} steps, {result['seconds_spent']:.0f} s.\n"
        f"test, epoch {result['best_epoch']}, the best on validation: {accuracies(result['test']['best'])} {chance}\n"
        f"test, epoch {result['epochs']}, the last: {accuracies(result['test']['last'])} {chance}"
    )
