"""Puts a fine-tuning run together: model, optimizer, trainer and the state that a checkpoint carries."""

import dataclasses
import math

import tensorflow as tf

import vatt
from experiments.finetuning.config import Finetune
from experiments.finetuning.model import ClipClassifier, build_backbone
from experiments.finetuning.step import FinetuneTrainer
from experiments.running import strategies
from experiments.running.checkpoints import host_number, new_global_step
from experiments.running.command_line import bad_input
from experiments.training.optimizers import GlobalStepSchedule
from vatt.keras import keras
from vatt.variables import create_variables


@dataclasses.dataclass(frozen=True)
class FinetuneRun:
    """Everything that takes part in a fine-tuning run.

    Attributes:
      config: What was asked for.
      strategy: Where it runs.
      classes: Number of classes.
      multi_label: Whether a clip may have several.
      model: Its variables exist.
      trainer: Holds the optimizer and the step.
      seconds_spent: float64 variable; training time of all processes that worked on this run.
      best_step: int64 variable; the step with the best validation score, 0 before the first.
      best_score: float64 variable; that score.
      state: What a checkpoint carries; its `model` is the VATT, so that `vatt.load` opens the run.
      best_state: The same of the weights alone.
    """

    config: Finetune
    strategy: tf.distribute.Strategy
    classes: int
    multi_label: bool
    model: ClipClassifier
    trainer: FinetuneTrainer
    seconds_spent: tf.Variable
    best_step: tf.Variable
    best_score: tf.Variable
    state: tf.train.Checkpoint
    best_state: tf.train.Checkpoint


def build_model(config: Finetune, classes: int, multi_label: bool, checkpoint: str | None) -> ClipClassifier:
    """Builds the model; initial weights are those of the checkpoint, else a function of the seed.

    Raises:
      BadInput: The checkpoint cannot be used, or the model refuses the clips.
    """
    vatt.set_initial_seed(config.seed)
    keras.mixed_precision.set_global_policy(config.precision)
    with bad_input():
        backbone = build_backbone(config, checkpoint)
        model = ClipClassifier(
            backbone, config.modality, classes,
            multi_label=multi_label, dropout=config.classifier_dropout, frozen=config.frozen,
        )  # fmt: skip
        # Clips that hold no whole patch are found here, by tracing.
        clip = tf.TensorSpec([1, *config.clip_shape])
        create_variables(model, clip)
    return model


def build_run(
    config: Finetune,
    strategy: tf.distribute.Strategy,
    classes: int,
    multi_label: bool,
    checkpoint: str | None = None,
) -> FinetuneRun:
    """Builds everything under the strategy; the trainer has no data yet.

    Args:
      config: The run.
      strategy: Where it runs.
      classes: Number of classes.
      multi_label: Whether a clip may have several.
      checkpoint: Where the model comes from: `config.checkpoint`, or this run itself, or `None` for new weights.

    Raises:
      BadInput: The batch does not divide over the replicas, or the checkpoint cannot be used.
    """
    strategies.check_batch("finetune", config, strategy)
    with strategy.scope():
        global_step = new_global_step()
        model = build_model(config, classes, multi_label, checkpoint)
        schedule = GlobalStepSchedule(global_step, config.learning_rate, 0.0, config.warmup_steps, config.steps)
        optimizer = keras.optimizers.SGD(schedule, momentum=config.momentum, jit_compile=False)
    trainer = FinetuneTrainer(model, config, multi_label, optimizer, global_step, learning_rate=schedule)
    with strategy.scope():
        optimizer.build(trainer.weights)
    seconds_spent = host_number("seconds_spent", 0.0)
    best_step, best_score = host_number("best_step", 0, tf.int64), host_number("best_score", -math.inf)
    weights = dict(model=model.backbone, classifier=model.classifier)
    state = tf.train.Checkpoint(
        **weights, optimizer=optimizer, global_step=global_step, seconds_spent=seconds_spent,
        best_step=best_step, best_score=best_score,
    )  # fmt: skip
    return FinetuneRun(
        config, strategy, classes, multi_label, model, trainer, seconds_spent, best_step, best_score, state,
        tf.train.Checkpoint(**weights),
    )  # fmt: skip


def random_batch(
    config: Finetune, batch_size: int, classes: int, multi_label: bool, seed: int = 0
) -> dict[str, tf.Tensor]:
    """Returns a batch of noise in the shape of `data.train_batches`'."""
    raw = tf.random.stateless_uniform([batch_size, *config.clip_shape], [seed, 0], -1.0, 1.0)
    label = tf.random.stateless_uniform([batch_size], [seed, 1], maxval=classes, dtype=tf.int32)
    batch = {config.entry: raw, "label": label, "has_audio": tf.ones([batch_size], tf.bool)}
    if multi_label:
        others = tf.cast(tf.random.stateless_uniform([batch_size, classes], [seed, 2]) < 0.3, tf.float32)
        batch |= {"label": tf.fill([batch_size], -1), "labels": tf.maximum(others, tf.one_hot(label, classes))}
    return batch
