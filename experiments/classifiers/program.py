"""Training a classifier, from the command line's flags to the test's figures."""

import json
from collections.abc import Callable

import tensorflow as tf
from absl import flags

import data
from experiments.classifiers import config as classifier_config
from experiments.classifiers.progress import ClassifierProgress, accuracies
from experiments.classifiers.run import ClassifierRun, build_run, clip_specs
from experiments.classifiers.scores import Evaluator
from experiments.running.command_line import bad_input
from experiments.running.run_directory import RunDirectory
from experiments.running.stop_signal import StopSignal
from experiments.training.best_weights import BestWeights
from experiments.training.history import all_cosines
from experiments.training.labeled_program import LabeledProgram, require_clips, validation_at
from experiments.training.step_means import conflict_rate, mean_cosine
from experiments.training.train_program import require_directories, strategy_from_flags

FLAGS = flags.FLAGS

EVALUATION_BATCH = 64


def run() -> int:
    """Runs the command line; returns the exit code."""
    config = classifier_config.parse(FLAGS.gin_file, FLAGS.gin_bindings)
    require_directories("; see --help for an example.")
    strategy = strategy_from_flags()
    with bad_input():
        prepared = data.open_labeled(config.dataset, FLAGS.data_dir)
    require_clips(prepared, sound=True)
    run = build_run(config, strategy, len(prepared.class_names), prepared.split_sizes["train"])
    return ClassifyProgram(run, RunDirectory(FLAGS.workdir), prepared).train(FLAGS.allow_config_change)


class ClassifyProgram(LabeledProgram):
    """Training and testing a classifier.

    Args:
      run: The run.
      directory: Where it is.
      prepared: The data set.
    """

    def __init__(self, run: ClassifierRun, directory: RunDirectory, prepared: data.PreparedDataset):
        super().__init__(run, directory, prepared, prepared.describe())
        self.evaluator = Evaluator(run.model, clip_specs(run.config.clips), self._evaluation_batches)

    def make_progress(self, stop: StopSignal, show: Callable[[str], None]) -> ClassifierProgress:
        """See `TrainProgram.make_progress`."""
        run = self.run
        weights = tf.train.Checkpoint(model=run.model)
        self.best = BestWeights(weights, self.directory.best, run.best_epoch, run.best_accuracy)
        return ClassifierProgress(self.directory, run, stop, show, self.evaluator, self.best)

    def finish(self) -> str:
        """See `TrainProgram.finish`."""
        write_result(self.run, self.directory, self.evaluator, self.best)
        return _summary(json.loads(self.directory.result.read_text(encoding="utf-8")))

    def _evaluation_batches(self, split):
        return data.eval_batches(self.prepared, split, self.run.config.clips, batch_size=EVALUATION_BATCH)


def write_result(run: ClassifierRun, directory: RunDirectory, evaluator: Evaluator, best: BestWeights) -> None:
    """Tests the last epoch and the best one, whose weights the model has afterwards; writes result.json."""
    last = evaluator("test")
    best_epoch = best.restore()
    records = directory.read_metrics()
    result = {
        "method": run.config.method,
        "harmonizer": type(run.trainer.harmonizer).__name__,
        "fusion": run.config.fusion,
        "dataset": run.config.dataset,
        "seed": run.config.seed,
        "steps": int(run.trainer.global_step.numpy()),
        "epochs": run.config.epochs,
        "chance": evaluator.chance["test"],
        "clips": evaluator.clips["test"],
        "clips_left_out": evaluator.clips_left_out["test"],
        "alone": "head" if run.config.recipe.heads else "fusion with the other modality removed",
        "best_epoch": best_epoch,
        "validation": validation_at(directory, "epoch", best_epoch),
        "test": {"best": evaluator("test"), "last": last},
        "gradients": _gradients(records, run.trainer.compared()),
        "seconds_spent": float(run.seconds_spent.numpy()),
    }
    directory.write(directory.result, json.dumps(result, indent=2) + "\n")


def _gradients(records: list[dict], encoders: list[str]) -> dict[str, dict[str, float]]:
    """Returns the mean cosine and the conflict rate of all steps, in the encoders that several losses reach."""
    loops = [record for record in records if "validation" not in record]
    cosines = {part: all_cosines(loops, f"cosines_{part}") for part in encoders}
    return {
        part: {"mean_cosine": float(mean_cosine(values)), "conflict_rate": float(conflict_rate(values))}
        for part, values in cosines.items()
    }


def _summary(result: dict) -> str:
    chance = f"of {result['chance']['items']} clips (chance {result['chance']['top1']:.1%})"
    best, last = (accuracies(result["test"][name], result["clips"]) for name in ("best", "last"))
    return (
        f"Done: {result['steps']} steps, {result['seconds_spent']:.0f} s.\n"
        f"test, epoch {result['best_epoch']}, the best on validation: {best} {chance}\n"
        f"test, epoch {result['epochs']}, the last: {last} {chance}"
    )
