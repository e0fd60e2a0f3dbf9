"""The weights of a run that did best on validation, in a directory of their own, and what the run remembers of them."""

import os
import pathlib

import numpy as np
import tensorflow as tf

import vatt
from experiments.running.checkpoints import RunCheckpoints
from experiments.running.command_line import RunFailed


class BestWeights:
    """Saves the best weights under a number, such as their epoch's, and tests that they are those which the run remembers.

    The directory holds the last ones that were saved. A run that resumes from an earlier checkpoint remembers earlier ones.

    Args:
      weights: What is saved.
      directory: Where; nothing else is there.
      number: int64 variable; 0 while there are none. The run's checkpoints carry it.
      score: float64 variable; what they scored, likewise.

    Raises:
      RunFailed: There are some that cannot be read; without this the run would learn of it at its end.
    """

    def __init__(
        self, weights: tf.train.Checkpoint, directory: str | os.PathLike, number: tf.Variable, score: tf.Variable
    ):
        self.directory, self.number, self.score = pathlib.Path(directory), number, score
        self._checkpoints = RunCheckpoints(weights, self.directory, number, every_steps=1, keep=1)
        self._checkpoints.require_readable()

    def offer(self, score: float, number: int) -> None:
        """Saves the weights as they are under a number, if they score higher than any before; of equal ones the first stay."""
        if score > self.score.numpy():
            self.score.assign(score)
            self.keep(number)

    def keep(self, number: int) -> None:
        """Saves the weights as they are under a number, whatever they score."""
        self.number.assign(number)
        self._checkpoints.save(checkpoint_number=number)

    def resume(self, number: int | None) -> str:
        """Makes what is remembered and what is saved agree once the run is restored.

        Args:
          number: What the restored weights would be saved under; `None` if they could not be the best.

        Returns:
          A note for the user; empty if all is as it was.

        Raises:
          RunFailed: The weights that are remembered were removed.
        """
        remembered, saved = int(self.number.numpy()), vatt.numbered_checkpoints(self.directory)
        if not remembered or remembered in saved:
            return ""
        if remembered == number:
            self.keep(number)
            return ""
        if max(saved, default=0) < remembered:
            raise RunFailed(self._missing(remembered))
        self.number.assign(0)
        self.score.assign(-np.inf)
        return (
            f"{self.directory} no longer holds ckpt-{remembered}, the best on validation up to here: steps that are now run "
            f"again had better ones, {', '.join(f'ckpt-{later}' for later in saved)}. From here on the best are chosen anew."
        )

    def restore(self) -> int:
        """Restores the best weights; returns their number.

        Raises:
          RunFailed: There are none, or they were removed, or cannot be read.
        """
        number = int(self.number.numpy())
        if not number:
            raise RunFailed(
                "no validation of this run has kept weights as the best. Resume it from before its last step with --resume_from, "
                "or use another --workdir to start over."
            )
        if number not in vatt.numbered_checkpoints(self.directory):
            raise RunFailed(self._missing(number))
        self._checkpoints.restore_number(number)
        return number

    def _missing(self, number):
        return (
            f"{self.directory} should hold ckpt-{number}, the best weights of this run on validation. They were removed; put "
            "them back, or resume from a checkpoint before them with --resume_from, or use another --workdir to start over."
        )
