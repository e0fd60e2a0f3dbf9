"""Kinetics-400: the figures of a fine-tuning that started from the run, in 4 x 3 views per clip."""

import os
from collections.abc import Callable, Mapping

import tensorflow as tf
import tqdm

import data
import vatt
from experiments.evaluation.rows import top_rows
from experiments.evaluation.settings import Settings
from experiments.evaluation.task import DownstreamTask, Row
from experiments.finetuning import config as finetune_config
from experiments.finetuning.config import Finetune
from experiments.finetuning.model import ClipClassifier
from experiments.finetuning.run import build_model
from experiments.finetuning.scores import Evaluator
from experiments.running.command_line import BadInput, bad_input
from experiments.running.damaged_data import named_if_damaged, record_files
from experiments.running.own_files import content_of, read_json_object
from experiments.running.run_directory import RunDirectory
from vatt.keras import keras

SPLIT = "validation"
"""What VATT tests on: the labels of Kinetics' test split were long unknown."""


class FinetunedVideo(DownstreamTask):
    """The figures of a fine-tuning of video on the task's data set, which `Settings.finetuned` or the run's directory has."""

    figures = {"T1": "top1", "T5": "top5"}

    def open(self, settings: Settings) -> Callable[[], dict | None]:
        """See the base class; the task is skipped if there is no fine-tuning."""
        if path := _find_finetuned(self.name, settings):
            return Finetuned(self.name, path, settings)
        settings.notes.append(_missing_finetuning(self.name, settings))
        return lambda: None

    def rows(self, found: Mapping) -> list[Row]:
        """See the base class."""
        older = "" if "items" in found["chance"] else "; chance: 1 / classes"  # as earlier versions took it
        group = f"{self.title}, fine-tuned, {found['views']} views of {found['items']} clips{older}"
        return top_rows(group, found, found["chance"])


class Finetuned:
    """A fine-tuned classifier of video that is ready to be scored; see `__call__`.

    If that was trained on the same data set, its best weights were chosen on the split that tests them here, by one view per
    clip. The last weights, which nothing has chosen, are tested by naming their checkpoint, RUN/checkpoints/ckpt-STEP.

    Args:
      name: Name of the data set, and of the task.
      path: The fine-tuning, as a run directory or a checkpoint.
      settings: What all tasks are given.

    Raises:
      BadInput: There is no such fine-tuning, it is of another run or of other classes, or the data set is not there.
    """

    def __init__(self, name: str, path: str, settings: Settings):
        self.name, self.settings = name, settings
        self.checkpoint, self.directory = _find(path)
        self.config = finetune_config.parse_run(self.directory.config)
        self.prepared = settings.open(name, [SPLIT])
        _check_origin(self.config, self.directory, vatt.run_directory(settings.run.checkpoint))
        self._check_classes()
        config = self.config
        with bad_input():
            self.batches = data.eval_batches(
                self.prepared, SPLIT, config.clips, batch_size=config.evaluation_batch_size, windows=config.test_windows,
                crops=config.test_crops,
            )  # fmt: skip

    def __call__(self) -> dict:
        """Scores the fine-tuned weights on the clips of `SPLIT`.

        Returns:
          `top1` and `top5` over `items` clips, in `views` views each, whose logits are averaged; `chance`, what the best
          constant answer gets; the `checkpoint` of the fine-tuning `finetuned`, and what that `started_from`.
        """
        config, model = self.config, self._model(len(self.prepared.class_names))
        evaluator = Evaluator(model, config.clip_shape, config.entry, multi_label=False, batches=self._batches)
        scores = evaluator(SPLIT)
        return {
            "top1": scores["top1"],
            "top5": scores["top5"],
            "items": scores["clips"],
            "chance": evaluator.chance[SPLIT],
            "views": config.test_windows * config.test_crops,
            "finetuned": str(self.directory.path),
            "checkpoint": os.path.relpath(self.checkpoint, self.directory.path),
            "started_from": config.checkpoint,
        }

    def _model(self, classes):
        """Builds the classifier of the fine-tuning's checkpoint."""
        before = keras.mixed_precision.global_policy()
        try:
            model = build_model(self.config, classes, multi_label=False, checkpoint=self.checkpoint)
        finally:
            keras.mixed_precision.set_global_policy(before)  # which `build_model` has set
        _restore_classifier(model, self.checkpoint)
        return model

    def _batches(self, split):
        """Yields the clips of the split, in the views of the fine-tuning's own test, with a progress bar."""
        with tqdm.tqdm(total=self.prepared.split_sizes[split], desc=f"{self.name}, {split}", unit=" clips") as bar:
            for batch in named_if_damaged(self.batches, record_files(self.prepared, split)):
                yield batch
                bar.update(len(batch["label"]))

    def _check_classes(self):
        found = read_json_object(self.directory.data)
        with content_of(self.directory.data):
            (facts,) = found.values()
            len(facts["class_names"])
        if facts["class_names"] != list(self.prepared.class_names) or self.prepared.multi_label:
            raise BadInput(
                f"--finetuned should have learned the {len(self.prepared.class_names)} classes of {self.prepared.directory}. "
                f"{self.directory.path} has learned other classes, {len(facts['class_names'])} of {self.config.dataset}."
            )


def _find_finetuned(name: str, settings: Settings) -> str | None:
    """Returns the fine-tuning that was given, else that in the run's own directory, where `_missing_finetuning` puts it."""
    own = os.path.join(vatt.run_directory(settings.run.checkpoint), name)
    return settings.finetuned or (own if os.path.isdir(own) else None)


def _missing_finetuning(name: str, settings: Settings) -> str:
    """Returns a sentence that says why there are no figures, and how to get them."""
    run = vatt.run_directory(settings.run.checkpoint)
    return (
        f"{name} is skipped: its figures come from a fine-tuning, and this run has none yet. Run one, then "
        "evaluate again: python -m experiments.finetune --gin_file=configs/finetune/kinetics400.gin "
        f"--gin_bindings=\"finetune.dataset = '{name}'\" --checkpoint={run} --data_dir={settings.data_dir} "
        f"--workdir={run}/{name}"
    )


def _find(path: str) -> tuple[str, RunDirectory]:
    """Returns the checkpoint that a path stands for, and the fine-tuning that it is of.

    A directory stands for its best checkpoint, once the fine-tuning has come to its end.
    """
    directory = RunDirectory(path)
    whole = directory.model.exists()
    if whole and not (directory.result.exists() and directory.best.exists()):
        raise BadInput(
            f"--finetuned should be a run of experiments.finetune that is finished, with result.json and best/. {path} "
            "is not; run its command again to resume it."
        )
    with bad_input():
        checkpoint = vatt.find_checkpoint(str(directory.best) if whole else path)
        directory = RunDirectory(vatt.run_directory(checkpoint))
    return checkpoint, directory


def _check_origin(config: Finetune, directory: RunDirectory, run: str) -> None:
    """Raises `BadInput` unless a fine-tuning is of video and of this run, as far as paths can tell."""
    if config.modality != "video" or config.checkpoint is None:
        raise BadInput(
            f"--finetuned should be a fine-tuning of video that started from {run}. {directory.path} is of "
            f"{config.modality}, and started from {config.checkpoint or 'scratch'}."
        )
    try:
        origin = vatt.run_directory(config.checkpoint)
    except vatt.LoadError:  # it is no longer there, or the runs were moved
        return
    if os.path.realpath(origin) != os.path.realpath(run):
        raise BadInput(
            f"--finetuned should have started from {run}. {directory.path} started from {config.checkpoint}."
        )


def _restore_classifier(model: ClipClassifier, checkpoint: str) -> None:
    try:
        with vatt.readable_checkpoint(checkpoint) as readable:
            status = tf.train.Checkpoint(classifier=model.classifier).read(readable)
            status.expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError, IndexError, tf.errors.OpError) as error:  # IndexError: the file ends early
        reason = str(error).splitlines()[0]
        raise BadInput(f"{checkpoint} should hold the classifier of a fine-tuning. It does not: {reason}") from error


KINETICS400 = FinetunedVideo("kinetics400", "K400", published=3)
