"""Puts a run together: model, optimizer, harmonizer, trainer and the state that a checkpoint carries."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

import harmonization
import vatt
from data import ClipSpec
from experiments.pretraining.config import Pretrain
from experiments.pretraining.step import OBJECTIVES, HarmonizedTrainer
from experiments.running import strategies
from experiments.running.checkpoints import host_number, new_global_step
from experiments.running.command_line import BadInput, bad_input
from experiments.training.optimizers import GlobalStepSchedule, adam
from vatt.keras import keras


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything that takes part in a pre-training run.

    Attributes:
      config: What was asked for.
      strategy: Where it runs.
      model: Its variables exist.
      trainer: Holds the optimizer, the harmonizer and the step.
      seconds_spent: float64 variable; training time of all processes that worked on this run.
      state: What a checkpoint carries. The data's position is `global_step` times the batch size, and needs no more.
    """

    config: Pretrain
    strategy: tf.distribute.Strategy
    model: vatt.VATT
    trainer: HarmonizedTrainer
    seconds_spent: tf.Variable
    state: tf.train.Checkpoint


def make_model(config: Pretrain, vocabulary_size: int) -> vatt.VATT:
    """Makes the model for the run's clips, without variables.

    Raises:
      BadInput: The model refuses its size, or the clips.
    """
    clips = config.clips
    with bad_input():
        return config.model(
            frames=clips.frames,
            image_size=clips.image_size,
            waveform_samples=clips.waveform_samples,
            sample_rate_hz=clips.sample_rate_hz,
            words=clips.words,
            vocabulary_size=vocabulary_size,
        )


def build_model(config: Pretrain, vocabulary_size: int) -> vatt.VATT:
    """Builds the model for the run's clips; its initial weights are a function of the seed.

    Raises:
      BadInput: The model refuses its size or the clips, or lacks a modality.
    """
    vatt.set_initial_seed(config.seed)
    keras.mixed_precision.set_global_policy(config.precision)
    model = make_model(config, vocabulary_size)
    if model.head is None or len(model.modalities) < len(vatt.MODALITIES):
        raise BadInput(
            f"`pretrain.model` should have towers for {', '.join(vatt.MODALITIES)}. Found one with {', '.join(model.modalities)}."
        )
    model.create_variables()
    return model


def build_run(config: Pretrain, strategy: tf.distribute.Strategy, vocabulary_size: int) -> Run:
    """Builds everything under the strategy; what it trains on comes later.

    Raises:
      BadInput: The model, the distribution or the method does not fit the rest.
    """
    strategies.check_batch("pretrain", config, strategy)
    check_passes(config, strategy.num_replicas_in_sync)
    if config.batch_size < 2:
        raise BadInput(
            "`pretrain.batch_size` should be at least 2: a clip's negatives are the others of its batch. "
            f"Found {config.batch_size}."
        )
    with strategy.scope():
        global_step = new_global_step()
        model = build_model(config, vocabulary_size)
    trainer = _build_trainer(config, strategy, model, global_step)
    seconds_spent = host_number("seconds_spent", 0.0)
    stateful = {"curriculum": trainer.curriculum} if isinstance(trainer.curriculum, tf.Module) else {}
    state = tf.train.Checkpoint(
        model=model, optimizer=trainer.optimizer, harmonizer=trainer.harmonizer, global_step=global_step,
        seconds_spent=seconds_spent, **stateful,
    )  # fmt: skip
    return Run(config, strategy, model, trainer, seconds_spent, state)


def _build_trainer(config, strategy, model, global_step):
    """Builds optimizer, harmonizer and curriculum under the strategy, and the trainer, whose log lives outside of it."""
    with strategy.scope():
        schedule = GlobalStepSchedule(
            global_step, config.learning_rate, config.final_learning_rate, config.warmup_steps, config.steps
        )
        optimizer = adam(schedule, model.trainable_variables)
        harmonizer, curriculum = config.build_harmonizer(), config.build_clip_curriculum()
    trainer = HarmonizedTrainer(
        model, optimizer, harmonizer, None, global_step,
        seed=config.seed, steps_per_loop=config.steps_per_loop, all_reduce=config.all_reduce,
        scope=config.scope, gram=config.gram, measure_gradients_every=config.measure_gradients_every,
        clips_per_pass=config.clips_per_pass, gradient_parts=config.gradient_parts, curriculum=curriculum,
        jit_compile=config.jit_compile,
        host_loop=isinstance(strategy, tf.distribute.TPUStrategy),
        loss_options=dict(temperature=config.temperature, form=config.loss),
        learning_rate=schedule,
    )  # fmt: skip
    with strategy.scope():
        build_harmonizer(harmonizer, tuple(trainer.groups or ("all",)), config, strategy)
    return trainer


def check_passes(config: Pretrain, replicas: int) -> None:
    """Checks that a replica's clips make whole passes, and its passes whole parts.

    Raises:
      BadInput: They do not.
    """
    clips, at_a_time = config.batch_size // replicas, config.clips_per_pass
    if at_a_time is not None and clips > at_a_time and clips % at_a_time:
        raise BadInput(
            f"`pretrain.clips_per_pass` should divide the clips of each replica, {config.batch_size} over {replicas} = {clips}. "
            f"Found {at_a_time}."
        )
    _check_parts(config, replicas)


def _check_parts(config, replicas):
    parts, at_a_time = config.gradient_parts, config.clips_per_pass
    if parts is None:
        return
    if parts % (2 * replicas) or config.batch_size % (parts * vatt.BatchPart.CLIPS_PER_WORD):
        raise BadInput(
            f"`pretrain.gradient_parts` should be an even number for each of {replicas} replicas and make parts of a multiple of "
            f"{vatt.BatchPart.CLIPS_PER_WORD} clips of the batch of {config.batch_size}. Found {parts}."
        )
    clips = config.batch_size // parts
    if at_a_time is not None and at_a_time < clips and clips % at_a_time:
        raise BadInput(
            f"`pretrain.clips_per_pass` should divide the clips of each part, {config.batch_size} over {parts} = {clips}. "
            f"Found {at_a_time}."
        )


def build_harmonizer(
    harmonizer: harmonization.Harmonizer, groups: Sequence[str], config: Pretrain, strategy: tf.distribute.Strategy
) -> None:
    """Creates a method's state, and asks it once, so that one which pre-training cannot serve is refused at once.

    Raises:
      BadInput: It wants other objectives, groups or inputs than pre-training has.
    """
    name = type(harmonizer).__name__
    if harmonizer.losses_after:
        raise BadInput(
            f"`pretrain.harmonizer` should not need the losses after the step, which pre-training does not compute. "
            f"Found {name}."
        )
    with bad_input():
        harmonizer.build(len(OBJECTIVES), groups)
        trial = harmonization.Group(
            gram=tf.eye(2), step=tf.constant(0, tf.int64), losses=tf.ones([2]),
            variable_gram=tf.eye(2)[None] if config.gram == "exact" else None, name=groups[0], objectives=(0, 1),
            gram_estimates=tf.eye(2)[None] + tf.zeros([2, 1, 1]) if config.gradient_parts else None,
        )  # fmt: skip
        harmonizer.decide(trial)
    if config.all_reduce == "before" and strategy.num_replicas_in_sync > 1 and harmonizer.variables:
        raise BadInput(
            f"`pretrain.all_reduce = 'before'` should be used with a method without state, since each replica would keep a state. "
            f"Found {name}."
        )


def random_batch(clips: ClipSpec, batch_size: int, vocabulary_size: int) -> dict[str, tf.Tensor]:
    """Returns a batch of noise in the shape of `data.train_batches`'."""

    def draw(purpose: int, shape: list[int], **options) -> tf.Tensor:
        return tf.random.stateless_uniform([batch_size, *shape], [0, purpose], **options)

    present = tf.ones([batch_size], tf.bool)
    return {
        "video": draw(0, [clips.frames, clips.image_size, clips.image_size, 3], minval=-1, maxval=1),
        "waveform": draw(1, [clips.waveform_samples], minval=-1, maxval=1),
        "text": draw(2, [clips.candidates, clips.words], minval=1, maxval=vocabulary_size, dtype=tf.int32),
        "has_audio": present,
        "has_text": present,
        "clip_slot": tf.zeros([batch_size], tf.int32),
    }


def unfinished_batch(clips: ClipSpec, batch_size: int, vocabulary_size: int) -> dict[str, tf.Tensor]:
    """Returns `random_batch` as a device is sent it: frames of 4 to 3, an eighth of which lies around what is used."""
    height = round(clips.image_size * 8 / 7)
    width = round(height * 4 / 3)
    levels = tf.random.stateless_uniform(
        [batch_size, clips.frames, height, width, 3], [0, 3], maxval=256, dtype=tf.int32
    )
    ones = tf.ones([batch_size, 1], tf.int32)
    return {
        **random_batch(clips, batch_size, vocabulary_size),
        "video": tf.cast(levels, tf.uint8),
        "video_box": ones * [0, 0, height, width],
        "video_flip": tf.ones([batch_size], tf.bool),
        "video_colors": tf.cast(ones, tf.float32) * [0.1, 1.2, 0.9, 0.1],
        "noise_key": tf.range(batch_size, dtype=tf.int64),
        "noise_deviation": tf.fill([batch_size], 0.01),
    }
