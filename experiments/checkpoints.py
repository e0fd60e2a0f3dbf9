"""Saving and restoring a run, so that it resumes exactly or says why it cannot."""

import pathlib
import shutil

import tensorflow as tf

from experiments.command_line import RunFailed


class RunCheckpoints(tf.train.CheckpointManager):
    """TensorFlow's checkpoint manager, which accepts on restoring only a checkpoint that matches in full.

    A checkpoint counts only once it is whole: TensorFlow writes it under a temporary name and names it in the file
    `checkpoint` last, so a run killed while it saves goes on from the one before.

    Args:
      state: Everything that the run must remember.
      directory: Where checkpoints lie.
      global_step: The step's variable; names the files.
      every_steps: Steps between two.
      keep: How many of the newest stay.
    """

    def __init__(
        self,
        state: tf.train.Checkpoint,
        directory: pathlib.Path,
        global_step: tf.Variable,
        every_steps: int,
        keep: int,
    ):
        super().__init__(
            state,
            str(directory),
            max_to_keep=keep,
            step_counter=global_step,
            checkpoint_interval=every_steps,
        )
        self._last_checkpoint_step = 0  # TensorFlow would save after the first loop already
        self._remove_unfinished()

    def restore_or_initialize(self) -> str | None:
        """Restores the newest checkpoint, if there is one.

        Raises:
          RunFailed: It cannot be read, or some variable of the run is not in it, or the other way round, or has another shape.
        """
        path = self.latest_checkpoint
        if path is None:
            return None
        try:
            self.checkpoint.restore(path).assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise RunFailed(
                f"the checkpoint {path} cannot be restored into this run: {_first_lines(error)}\n"
                "It was written by another configuration or is damaged. Use another --workdir; or, to go on from an older "
                f"checkpoint of this run, name it in {pathlib.Path(self.directory) / 'checkpoint'}."
            ) from error
        self._last_checkpoint_step = int(self._step_counter)  # that one must not be written again
        return path

    def save(self, *args, **kwargs) -> str | None:
        """Saves if it is time to.

        Raises:
          RunFailed: The checkpoint could not be written, for instance because the disk is full.
        """
        try:
            return super().save(*args, **kwargs)
        except (tf.errors.OpError, OSError) as error:
            self._remove(f"ckpt-{int(self._step_counter)}")
            last = self.latest_checkpoint or "none; the run starts anew"
            raise RunFailed(
                f"a checkpoint could not be written to {self.directory}: {_first_lines(error)}\n"
                f"The last good checkpoint is: {last}. Make room and run the same command again to go on from there."
            ) from error

    def _remove_unfinished(self):
        """Removes what a run that was killed while it saved has left: the index comes last."""
        for data in pathlib.Path(self.directory).glob("ckpt-*.data-*"):
            if not data.with_name(f"{data.name.split('.')[0]}.index").exists():
                data.unlink()
        for unmerged in pathlib.Path(self.directory).glob("ckpt-*_temp"):
            shutil.rmtree(unmerged)

    def _remove(self, name):
        for path in (*pathlib.Path(self.directory).glob(f"{name}.*"), pathlib.Path(self.directory, f"{name}_temp")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _first_lines(error, lines=3):
    return "\n".join(str(getattr(error, "message", error)).splitlines()[:lines])
