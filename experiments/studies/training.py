"""Trains many runs that differ in seed and data with one and the same traced step."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

import data
from experiments.pretraining import config
from experiments.pretraining.assembly import Run, build_run
from experiments.running.checkpoints import host_number
from experiments.running.command_line import RunFailed


class ReusableRun:
    """A run that is traced once and then trained from many seeds.

    Tracing the step costs as much as a hundred steps of the study's size. A point's result is that of a run of its own,
    bit for bit: the seed is a variable of the traced step, and everything else that a run remembers is set back.

    Args:
      settings: The runs' configuration; the seed in it does not matter.
      strategy: Where they run.
      vocabulary_size: Of the word pieces.
    """

    def __init__(self, settings: config.Pretrain, strategy: tf.distribute.Strategy, vocabulary_size: int):
        self.settings = dataclasses.replace(settings, steps_per_loop=settings.steps)  # the log holds the whole run
        self.strategy, self.vocabulary_size = strategy, vocabulary_size
        self.run = build_run(self.settings, strategy, vocabulary_size)
        self.run.trainer.seed = host_number("seed", 0, tf.int32)
        self._fresh: Run | None = None

    def restart(self, seed: int) -> None:
        """Resets everything to the initial state of a run with this seed."""
        if self._fresh is None or self._fresh.config.seed != seed:
            self._fresh = build_run(dataclasses.replace(self.settings, seed=seed), self.strategy, self.vocabulary_size)
        for own, first in zip(_remembered(self.run), _remembered(self._fresh), strict=True):
            own.assign(first)
        self.run.trainer.seed.assign(seed)
        self.run.trainer.log.clear()

    def train(
        self,
        prepared: data.PreparedDataset,
        tokenizer: data.WordPieceTokenizer,
        after_step: Callable[[int], None],
        only_aligned: bool = False,
        pair_weights: data.PairWeights | None = None,
    ) -> dict:
        """Trains from the first step to the last.

        Args:
          prepared: What to train on.
          tokenizer: Strings to token ids.
          after_step: Called with the number of steps that are done.
          only_aligned: Whether false narrations and sounds are treated as missing.
          pair_weights: What the clips' texts and sounds weigh; `None` to count all in full.

        Returns:
          What the trainer has logged, float32 [steps] per column.

        Raises:
          RunFailed: A loss or gradient is not finite.
        """
        settings, trainer = self.settings, self.run.trainer
        batches = iter(
            data.distributed_train_batches(
                self.strategy,
                prepared,
                settings.clips,
                tokenizer,
                batch_size=settings.batch_size,
                seed=int(trainer.seed),
                shuffle_window=settings.shuffle_window,
                augmentation=settings.augmentation,
                only_aligned=only_aligned,
                clip_slots=settings.clip_slots,
                pair_weights=None if pair_weights is None else [pair_weights],
            )
        )
        with self.strategy.scope():
            for step in range(1, settings.steps + 1):
                trainer.train_step(batches)
                after_step(step)
        columns = {name: np.asarray(column) for name, column in trainer.train_loop_end().items()}
        if not columns["finite"].all():
            raise RunFailed(f"step {int(columns['finite'].argmin()) + 1} is not finite.")
        return columns


def _remembered(run):
    trainer, curriculum = run.trainer, run.trainer.curriculum
    judged = curriculum.variables if isinstance(curriculum, tf.Module) else ()
    return [
        *run.model.variables, *trainer.optimizer.variables, *trainer.harmonizer.variables, *judged, trainer.global_step,
    ]  # fmt: skip
