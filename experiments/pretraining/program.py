"""Pre-training, from the command line's flags to the last checkpoint."""

import functools
import pathlib

import tensorflow as tf
from absl import flags

import data
from experiments.pretraining import config
from experiments.pretraining.assembly import build_run
from experiments.pretraining.dry_run import dry_run
from experiments.running import strategies
from experiments.running.checkpoints import RunCheckpoints
from experiments.running.command_line import BadInput, bad_input
from experiments.running.damaged_data import damage_named
from experiments.running.progress import Progress, printer
from experiments.running.run_directory import RunDirectory, operative_config
from experiments.running.stop_signal import StopSignal
from experiments.running.training_loop import make_controller, train

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    directory = RunDirectory(FLAGS.workdir)
    earlier = directory.earlier_defaults("pretrain") if FLAGS.workdir else []
    settings = config.parse(FLAGS.gin_file, FLAGS.gin_bindings, earlier)
    if FLAGS.cpu_replicas > 1:
        strategies.split_cpu(FLAGS.cpu_replicas)
    if FLAGS.strategy != "tpu":  # a TPU's operations are deterministic, and its loop needs TensorFlow's clock
        tf.config.experimental.enable_op_determinism()
    strategy = strategies.create_strategy(FLAGS.strategy, FLAGS.tpu)
    if FLAGS.dry_run:
        dry_run(settings, strategy)
        return 0
    if not FLAGS.data_dir or not FLAGS.workdir:
        raise BadInput("--data_dir and --workdir are needed, unless with --dry_run.")
    return pretrain(settings, strategy, FLAGS.data_dir, directory)


def pretrain(
    settings: config.Pretrain, strategy: tf.distribute.Strategy, data_dir: str, directory: RunDirectory
) -> int:
    """Trains, from the newest checkpoint of `directory` if there is one; returns the exit code."""
    chief_checkpoints = directory.checkpoints
    directory = directory.of_worker(strategies.worker_index(strategy))
    with bad_input():
        prepared = [data.open_dataset(name, data_dir) for name in settings.datasets]
        vocabulary = _vocabulary(settings, prepared[0], directory)
        tokenizer = config.TOKENIZERS[settings.tokenizer](str(vocabulary), settings.clips.words)
    run = build_run(settings, strategy, tokenizer.vocabulary_size)
    description = {name: one_set.describe() for name, one_set in zip(settings.datasets, prepared, strict=True)}
    directory.check(operative_config(), description, FLAGS.allow_config_change)
    checkpoints = RunCheckpoints(
        run.state, directory.checkpoints, run.trainer.global_step,
        settings.checkpoint_every_steps, settings.keep_checkpoints, source=chief_checkpoints,
    )  # fmt: skip
    counts = functools.partial(_clips_by, settings) if len(prepared) > 1 else None
    progress = Progress(directory, run, StopSignal(), printer(), counts)
    controller = make_controller(run, progress, checkpoints)
    step = int(run.trainer.global_step.numpy())
    options = dict(
        batch_size=settings.batch_size, seed=settings.seed, shuffle_window=settings.shuffle_window,
        weights=settings.dataset_weights,
    )  # fmt: skip
    with bad_input():
        run.trainer.train_dataset = data.distributed_train_batches(
            strategy, prepared, settings.clips, tokenizer, start_step=step, augmentation=settings.augmentation,
            data_service=data.connect_service(FLAGS.data_service) if FLAGS.data_service else None, **options,
        )  # fmt: skip
    # Nothing was written so far: a start that is refused leaves nothing behind.
    directory.start(operative_config(), description, vocabulary, FLAGS.allow_config_change)
    directory.write_model(run.model.get_config())
    directory.drop_metrics_after(step)
    progress.announce(step)
    with damage_named(lambda: data.training_files(prepared, step=int(run.trainer.global_step.numpy()), **options)):
        if train(controller, progress):
            progress.show(f"Done: {settings.steps} steps. Checkpoints: {directory.checkpoints}")
    return 0


def _clips_by(settings, step):
    return data.mixed_clips(settings.datasets, step * settings.batch_size, settings.dataset_weights)


def _vocabulary(settings, prepared, directory):
    """Returns the run's own vocabulary if it has one: a checkpoint's word vectors belong to it."""
    if directory.vocabulary.exists():
        return directory.vocabulary
    paths = {"wordpiece": prepared.wordpiece_vocabulary_path, "words": prepared.word_vocabulary_path}
    return pathlib.Path(paths[settings.tokenizer])
