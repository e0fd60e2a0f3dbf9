"""Puts a classifier's run together: model, optimizer, harmonizer, trainer and the state that a checkpoint carries."""

import dataclasses
import math

import tensorflow as tf

import vatt
from data import ClipSpec
from experiments.classifiers.config import Classify
from experiments.classifiers.encoders import MODALITIES
from experiments.classifiers.fusion import FUSIONS
from experiments.classifiers.gradient_blending import GradientBlending
from experiments.classifiers.model import Classifier
from experiments.classifiers.step import ClassifierTrainer
from experiments.running import strategies
from experiments.running.checkpoints import host_number, new_global_step
from experiments.running.command_line import bad_input
from vatt.keras import keras
from vatt.variables import create_variables


@dataclasses.dataclass(frozen=True)
class ClassifierRun:
    """Everything that takes part in a classifier's run.

    Attributes:
      config: What was asked for.
      strategy: Where it runs.
      classes: Number of classes.
      steps_per_epoch: The training split's clips by the batch size, rounded; clips run on over the border.
      model: Its variables exist.
      trainer: Holds the optimizer, the harmonizer and the step.
      seconds_spent: float64 variable; training time of all processes that worked on this run.
      best_epoch: int64 variable; the epoch with the best validation accuracy, 0 before the first.
      best_accuracy: float64 variable; that accuracy.
      state: What a checkpoint carries.
    """

    config: Classify
    strategy: tf.distribute.Strategy
    classes: int
    steps_per_epoch: int
    model: Classifier
    trainer: ClassifierTrainer
    seconds_spent: tf.Variable
    best_epoch: tf.Variable
    best_accuracy: tf.Variable
    state: tf.train.Checkpoint

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.config.epochs


class EpochDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that falls by a factor after given epochs, over the *global* step.

    The step that the optimizer passes counts only the updates it applied.

    Args:
      global_step: The run's step.
      config: Its learning rate, decay epochs and factor.
      steps_per_epoch: Length of an epoch.
    """

    def __init__(self, global_step: tf.Variable, config: Classify, steps_per_epoch: int):
        self.global_step = global_step
        boundaries = [epoch * steps_per_epoch - 1 for epoch in config.decay_epochs]  # the last step before the decay
        rates = [config.learning_rate * config.decay_factor**decays for decays in range(len(boundaries) + 1)]
        self.schedule = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates) if boundaries else None
        self.constant = config.learning_rate

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate of the current global step."""
        return self.schedule(tf.identity(self.global_step)) if self.schedule else tf.constant(self.constant)

    def get_config(self) -> dict:
        """Is not supported: the schedule holds a variable."""
        raise NotImplementedError("An EpochDecay belongs to one run and is not serialized.")


def build_model(config: Classify, classes: int) -> Classifier:
    """Builds the model for the run's clips; its initial weights are a function of the seed.

    Raises:
      BadInput: An encoder refuses its options, or the clips.
    """
    vatt.set_initial_seed(config.seed)
    keras.mixed_precision.set_global_policy(config.precision)
    recipe = config.recipe
    with bad_input():
        encoders = {name: config.encoder(name, config.clips) for name in MODALITIES}
    fusion = FUSIONS[config.fusion](classes) if recipe.fused else None
    model = Classifier(encoders, fusion, classes if recipe.heads else None, recipe.bias_share)
    create_variables(model, clip_specs(config.clips))
    return model


def build_run(config: Classify, strategy: tf.distribute.Strategy, classes: int, train_clips: int) -> ClassifierRun:
    """Builds everything under the strategy; the trainer has no data yet.

    Raises:
      BadInput: The batch does not divide over the replicas, or the harmonizer does not fit the method.
    """
    strategies.check_batch("classify", config, strategy)
    steps_per_epoch = max(1, round(train_clips / config.batch_size))
    with strategy.scope():
        global_step = new_global_step()
        model = build_model(config, classes)
        schedule = EpochDecay(global_step, config, steps_per_epoch)
        # An unclipped sum of gradients and decay, as PyTorch's SGD takes it. When the rate falls, PyTorch's next step
        # is all by the new rate, Keras' still carries momentum of the old one for about ten steps.
        optimizer = keras.optimizers.SGD(schedule, momentum=config.momentum, jit_compile=False)
        harmonizer = config.build_harmonizer()
        options = dict(trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        epoch_losses = tf.Variable(tf.zeros([len(config.recipe.objectives)]), name="epoch_losses", **options)
    trainer = ClassifierTrainer(
        model, config.recipe, optimizer, harmonizer, global_step, epoch_losses, learning_rate=schedule,
        batch_size=config.batch_size, steps_per_loop=config.steps_per_loop, seed=config.seed,
        weight_decay=config.weight_decay, clip_norm=config.clip_norm, jit_compile=config.jit_compile,
    )  # fmt: skip
    with strategy.scope():
        optimizer.build(trainer.weights)
        with bad_input():
            harmonizer.build(len(config.recipe.objectives), tuple(trainer.groups))
        if isinstance(harmonizer, GradientBlending):
            harmonizer.start(classes)
    seconds_spent = host_number("seconds_spent", 0.0)
    best_epoch, best_accuracy = host_number("best_epoch", 0, tf.int64), host_number("best_accuracy", -math.inf)
    state = tf.train.Checkpoint(
        model=model, optimizer=optimizer, harmonizer=harmonizer, global_step=global_step, seconds_spent=seconds_spent,
        epoch_losses=epoch_losses, best_epoch=best_epoch, best_accuracy=best_accuracy,
    )  # fmt: skip
    return ClassifierRun(
        config, strategy, classes, steps_per_epoch, model, trainer, seconds_spent, best_epoch, best_accuracy, state
    )


def clip_specs(clips: ClipSpec) -> dict[str, tf.TensorSpec]:
    """Returns what the model reads of a batch."""
    size = clips.image_size
    return {
        "video": tf.TensorSpec([None, clips.frames, size, size, 3]),
        "waveform": tf.TensorSpec([None, clips.waveform_samples]),
    }


def random_batch(clips: ClipSpec, batch_size: int, classes: int, seed: int = 0) -> dict[str, tf.Tensor]:
    """Returns a batch of noise in the shape of `data.train_batches`'."""
    labels = tf.random.stateless_uniform([batch_size], [seed, 2], maxval=classes, dtype=tf.int32)
    noise = {
        name: tf.random.stateless_uniform([batch_size, *spec.shape[1:]], [seed, purpose], -1.0, 1.0)
        for purpose, (name, spec) in enumerate(clip_specs(clips).items())
    }
    return {**noise, "label": labels, "has_audio": tf.ones([batch_size], tf.bool)}
