"""What the programs that train on labeled clips share: their data sets, their variables, Orbit's loop."""

from collections.abc import Callable

import orbit
import tensorflow as tf

import data
from experiments.checkpoints import RunCheckpoints
from experiments.progress import Progress, Stopped, quiet

SPLITS = ("train", "validation", "test")


def open_labeled(name: str, data_dir: str, multi_label: bool = False) -> data.PreparedDataset:
    """Opens a data set.

    Args:
      name: Its name.
      data_dir: Where the data sets are.
      multi_label: Whether its clips may have several classes.

    Raises:
      data.DataError: It is not there, has no classes or too many for a clip, or lacks a split.
    """
    prepared = data.open_dataset(name, data_dir)
    if not prepared.class_names:
        raise data.DataError(f"{prepared.directory} should have classes, for a classifier to learn. Found none.")
    if prepared.multi_label and not multi_label:
        raise data.DataError(
            f"{prepared.directory} should have one class per clip for this program. Found a multi-label set; "
            "experiments.finetune takes it."
        )
    for split in SPLITS:
        prepared.require_split(split)
    return prepared


def new_global_step() -> tf.Variable:
    """Returns the step's variable; call it under the strategy's scope."""
    options = dict(trainable=False, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
    return tf.Variable(0, name="global_step", **options)


def host_number(name: str, value: float, dtype: tf.DType = tf.float64) -> tf.Variable:
    """Returns a number that a checkpoint carries and no replica sees."""
    with tf.device("CPU:0"):
        return tf.Variable(value, trainable=False, dtype=dtype, name=name)


def make_controller(
    run, progress: Progress, checkpoints: RunCheckpoints, border: Callable[[int], int]
) -> orbit.Controller:
    """Returns Orbit's controller, which restores the newest checkpoint at once.

    Args:
      run: Has `config.steps_per_loop`, `trainer` and `strategy`.
      progress: Looks at every loop.
      checkpoints: Saves the run.
      border: Steps from a step to the next border that no loop may go over, such as the end of an epoch.
    """
    with quiet():
        return orbit.Controller(
            global_step=run.trainer.global_step,
            trainer=run.trainer,
            strategy=run.strategy,
            train_actions=[progress],
            steps_per_loop=lambda step: int(min(run.config.steps_per_loop, border(step))),
            checkpoint_manager=checkpoints,
            summary_dir=str(progress.directory.path),
        )


def train(controller: orbit.Controller, progress: Progress) -> bool:
    """Trains to the end; returns whether it came to it."""
    try:
        with quiet(), controller.strategy.scope(), controller.summary_manager.summary_writer().as_default():
            controller.train(progress.steps())
    except Stopped:
        with quiet():
            controller.save_checkpoint()
        step = int(controller.global_step.numpy())
        progress.show(f"Stopped by SIGTERM at step {step}; a checkpoint is saved. The same command goes on.")
        return False
    return True
