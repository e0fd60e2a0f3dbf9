"""Fine-tuning, from the command line's flags to the test's figures."""

import json
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import flags

import data
from experiments.finetuning import config as finetune_config
from experiments.finetuning.config import Finetune
from experiments.finetuning.progress import FinetuneProgress, figures
from experiments.finetuning.run import FinetuneRun, build_run
from experiments.finetuning.scores import Evaluator
from experiments.running.checkpoints import resume_point
from experiments.running.command_line import bad_input
from experiments.running.run_directory import RunDirectory
from experiments.running.stop_signal import StopSignal
from experiments.training.best_weights import BestWeights
from experiments.training.labeled_program import LabeledProgram, require_clips, validation_at
from experiments.training.progress import printer
from experiments.training.train_program import require_directories, resume_from_flag, strategy_from_flags

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    directory = RunDirectory(FLAGS.workdir)
    earlier = directory.earlier_defaults("finetune") if FLAGS.workdir else []
    config = finetune_config.parse(FLAGS.gin_file, FLAGS.gin_bindings, FLAGS.checkpoint, earlier)
    require_directories("; see --help for an example.")
    strategy = strategy_from_flags()
    with bad_input():
        prepared = data.open_labeled(config.dataset, FLAGS.data_dir, multi_label=True)
    require_clips(prepared, sound=config.modality == "audio")
    if config.checkpoint is None:
        printer()("No --checkpoint: training FROM SCRATCH, on random weights.")
    run = build_run(config, strategy, len(prepared.class_names), prepared.multi_label, _source(config, directory))
    return FinetuneProgram(run, directory, prepared).train(FLAGS.allow_config_change)


class FinetuneProgram(LabeledProgram):
    """Fine-tuning and testing one modality.

    Args:
      run: The run.
      directory: Where it is.
      prepared: The data set.
    """

    def __init__(self, run: FinetuneRun, directory: RunDirectory, prepared: data.PreparedDataset):
        description = {**prepared.describe(), "class_names": list(prepared.class_names)}
        super().__init__(run, directory, prepared, description, video=run.config.modality == "video")
        self.model_config = run.model.backbone.get_config()

    def make_progress(self, stop: StopSignal, show: Callable[[str], None]) -> FinetuneProgress:
        """See `TrainProgram.make_progress`."""
        run = self.run
        self.best = BestWeights(run.best_state, self.directory.best, run.best_step, run.best_score)
        return FinetuneProgress(self.directory, run, stop, show, make_evaluator(run, self.prepared), self.best)

    def finish(self) -> str:
        """See `TrainProgram.finish`."""
        evaluator = make_evaluator(self.run, self.prepared, test_views=True)
        return _summary(write_result(self.run, self.directory, evaluator, self.best))


def _source(config: Finetune, directory: RunDirectory) -> str | None:
    """Returns where the model comes from: this run if it has a checkpoint, so that the first one may be gone.

    A run from scratch is always built from its configuration, so that config.gin has the same lines at every start.
    """
    if config.checkpoint is None:
        return None
    own = resume_point(directory.checkpoints, resume_from_flag()) if directory.model.exists() else None
    return own or config.checkpoint


def make_evaluator(run: FinetuneRun, prepared: data.PreparedDataset, test_views: bool = False) -> Evaluator:
    """Returns what scores the run's model, on one view per clip or on those of the test."""
    config = run.config
    video = config.modality == "video"
    views = dict(windows=config.test_windows, crops=config.test_crops if video else 1) if test_views else {}

    def batches(split: str) -> tf.data.Dataset:
        return data.eval_batches(
            prepared, split, config.clips, batch_size=config.evaluation_batch_size, video=video, **views
        )

    return Evaluator(run.model, config.clip_shape, config.entry, run.multi_label, batches)


def write_result(run: FinetuneRun, directory: RunDirectory, evaluator: Evaluator, best: BestWeights) -> dict:
    """Tests the last weights and the best ones, which the model has afterwards; writes and returns result.json.

    Raises:
      RunFailed: There are no best weights, a split cannot be scored, or metrics.jsonl lacks the validation.
    """
    config = run.config
    last = evaluator("test")
    best_step = best.restore()
    result = {
        **{name: getattr(config, name) for name in ("modality", "dataset", "checkpoint", "frozen", "seed", "steps")},
        "classes": run.classes,
        "multi_label": run.multi_label,
        "chance": evaluator.chance["test"],
        "views": config.test_windows * (config.test_crops if config.modality == "video" else 1),
        "best_step": best_step,
        "chosen_by_validation": bool(np.isfinite(best.score.numpy())),
        "validation": validation_at(directory, "step", best_step),
        "test": {"best": evaluator("test"), "last": last},
        "seconds_spent": float(run.seconds_spent.numpy()),
    }
    directory.write(directory.result, json.dumps(result, indent=2) + "\n")
    return result


def _summary(result: dict) -> str:
    best, last = (figures(result["test"][name], result["chance"]) for name in ("best", "last"))
    lines = [f"Done: {result['steps']} steps, {result['seconds_spent']:.0f} s. {result['views']} views per test clip."]
    if result["chosen_by_validation"]:
        lines.append(f"test, step {result['best_step']}, the best on validation: {best}")
    return "\n".join([*lines, f"test, step {result['steps']}, the last: {last}"])
