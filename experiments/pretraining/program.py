"""Pre-training, from the command line's flags to the last checkpoint."""

import functools
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import tensorflow as tf
from absl import flags

import data
from experiments.pretraining import config
from experiments.pretraining.assembly import build_run
from experiments.pretraining.clip_weights import WeightedTable, notes, read_tables
from experiments.pretraining.dry_run import dry_run
from experiments.running import strategies
from experiments.running.command_line import bad_input
from experiments.running.run_directory import RunDirectory
from experiments.running.stop_signal import StopSignal
from experiments.training.augmenting import chosen_place, data_advice
from experiments.training.progress import Progress, printer
from experiments.training.train_program import TrainProgram, require_directories, strategy_from_flags

FLAGS = flags.FLAGS


def run() -> int:
    """Runs the command line; returns the exit code."""
    directory = RunDirectory(FLAGS.workdir)
    earlier = directory.earlier_defaults("pretrain") if FLAGS.workdir else []
    settings = config.parse(FLAGS.gin_file, FLAGS.gin_bindings, earlier)
    strategy = strategy_from_flags()
    if FLAGS.dry_run:
        dry_run(settings, strategy)
        return 0
    require_directories(", unless with --dry_run.")
    return pretrain(settings, strategy, FLAGS.data_dir, directory)


def pretrain(
    settings: config.Pretrain, strategy: tf.distribute.Strategy, data_dir: str, directory: RunDirectory
) -> int:
    """Trains, from the newest checkpoint of `directory` if there is one; returns the exit code."""
    own = directory.of_worker(strategies.worker_index(strategy))
    with bad_input():
        prepared = [data.open_dataset(name, data_dir) for name in settings.datasets]
        tables = read_tables(settings.clip_weights, settings.datasets)
        vocabulary = _vocabulary(settings, prepared[0], own)
        tokenizer = config.TOKENIZERS[settings.tokenizer](str(vocabulary), settings.clips.words)
    run = build_run(settings, strategy, tokenizer.vocabulary_size)
    for note in repeated_clips(settings, prepared):
        printer()(note)
    program = PretrainProgram(run, own, prepared, tokenizer, vocabulary, directory.checkpoints, tables)
    return program.train(FLAGS.allow_config_change)


class PretrainProgram(TrainProgram):
    """Pre-training on one data set or a mixture.

    Args:
      run: The run.
      directory: Where this worker writes.
      prepared: The data sets, in the order of `settings.datasets`.
      tokenizer: Strings to token ids.
      vocabulary: The tokenizer's file.
      chief_checkpoints: Where to restore from.
      tables: By data set, the weights of its clips.
    """

    def __init__(
        self, run, directory: RunDirectory, prepared: Sequence[data.PreparedDataset], tokenizer,
        vocabulary: pathlib.Path, chief_checkpoints: pathlib.Path, tables: Mapping[str, WeightedTable],
    ):  # fmt: skip
        settings = run.config
        description = {name: one_set.describe() for name, one_set in zip(settings.datasets, prepared, strict=True)}
        for name, table in tables.items():
            description[name]["clip_weights"] = table.describe()
        super().__init__(run, directory, description, chief_checkpoints)
        self.prepared, self.tokenizer, self.vocabulary, self.tables = prepared, tokenizer, vocabulary, tables
        self.model_config = run.model.get_config()
        self.augment_on = chosen_place(settings.augment_on, run.strategy, prepared, settings.clips)
        self.order = dict(
            batch_size=settings.batch_size, seed=settings.seed, shuffle_window=settings.shuffle_window,
            weights=settings.dataset_weights,
        )  # fmt: skip

    def train(self, allow_config_change: bool) -> int:
        """See `TrainProgram.train`."""
        self.may_differ = allow_config_change
        return super().train(allow_config_change)

    def batches(self, start_step: int) -> tf.distribute.DistributedDataset:
        """See `TrainProgram.batches`."""
        settings = self.run.config
        tables = [self.tables.get(name) for name in settings.datasets]
        # On resuming, the run's description has already been compared, unless it may differ.
        if not start_step or self.may_differ:
            self._require_clips(tables)
        for note in notes(self.tables):
            printer()(note)
        return data.distributed_train_batches(
            self.run.strategy, self.prepared, settings.clips, self.tokenizer, start_step=start_step,
            augmentation=settings.augmentation, augment_on=self.augment_on,
            pair_weights=[None if table is None else table.weights for table in tables],
            clip_slots=settings.clip_slots,
            data_service=data.connect_service(FLAGS.data_service) if FLAGS.data_service else None, **self.order,
        )  # fmt: skip

    def _require_clips(self, tables):
        for table, one_set in zip(tables, self.prepared, strict=True):
            if table is not None:
                table.weights.require_clips(one_set, table.path)

    def record_files(self) -> Iterable[str]:
        """See `TrainProgram.record_files`."""
        return data.training_files(self.prepared, step=int(self.run.trainer.global_step.numpy()), **self.order)

    def make_progress(self, stop: StopSignal, show: Callable[[str], None]) -> Progress:
        """See `TrainProgram.make_progress`."""
        counts = functools.partial(_clips_by, self.run.config) if len(self.prepared) > 1 else None
        progress = Progress(self.directory, self.run, stop, show, counts)
        progress.data_advice = data_advice(self.augment_on, bool(FLAGS.data_service))
        return progress

    def finish(self) -> str:
        """See `TrainProgram.finish`."""
        return f"Done: {self.run.config.steps} steps. Checkpoints: {self.directory.checkpoints}"


def _clips_by(settings, step):
    return data.mixed_clips(settings.datasets, step * settings.batch_size, settings.dataset_weights)


def repeated_clips(settings: config.Pretrain, prepared: Sequence[data.PreparedDataset]) -> list[str]:
    """Returns a sentence for each data set that has fewer clips to train on than a batch takes of it."""
    weights = settings.dataset_weights or [1] * len(prepared)
    sentences = []
    for name, weight, one_set in zip(settings.datasets, weights, prepared, strict=True):
        taken, clips = math.ceil(settings.batch_size * weight / sum(weights)), one_set.split_sizes.get("train", 0)
        if 0 < clips < taken:
            sentences.append(
                f"Note: a batch takes {taken} clips of {name}, which has {clips} to train on. Clips occur twice in a batch "
                "and are negatives of themselves; a smaller `pretrain.batch_size` avoids it."
            )
    return sentences


def _vocabulary(settings, prepared, directory):
    """Returns the run's own vocabulary if it has one: a checkpoint's word vectors belong to it."""
    if directory.vocabulary.exists():
        directory.require_vocabulary(directory.vocabulary)
        return directory.vocabulary
    paths = {"wordpiece": prepared.wordpiece_vocabulary_path, "words": prepared.word_vocabulary_path}
    found = pathlib.Path(paths[settings.tokenizer])
    directory.require_vocabulary(found)
    return found
