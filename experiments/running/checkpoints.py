"""Saving and restoring a run, so that it resumes exactly or says why it cannot."""

import pathlib
import shutil

import tensorflow as tf

from experiments.running.command_line import RunFailed


def new_global_step() -> tf.Variable:
    """Returns the step's variable; call it under the strategy's scope."""
    options = dict(trainable=False, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
    return tf.Variable(0, name="global_step", **options)


def host_number(name: str, value: float, dtype: tf.DType = tf.float64) -> tf.Variable:
    """Returns a number that a checkpoint carries and no replica sees."""
    with tf.device("CPU:0"):
        return tf.Variable(value, trainable=False, dtype=dtype, name=name)


class RunCheckpoints(tf.train.CheckpointManager):
    """TensorFlow's checkpoint manager, which accepts on restoring only a checkpoint that matches in full.

    A checkpoint counts only once it is whole: TensorFlow writes it under a temporary name and names it in the file
    `checkpoint` last, so a run killed while it saves resumes from the one before.

    Args:
      state: Everything that the run must remember.
      directory: Where checkpoints lie.
      global_step: The step's variable; names the files.
      every_steps: Steps between two.
      keep: How many of the newest stay.
      source: Where to restore from, if not from `directory`. Of several workers each writes, but only the first one's
        checkpoints count: those of all are equal, yet a kill can come between two workers' writing.
    """

    def __init__(
        self,
        state: tf.train.Checkpoint,
        directory: pathlib.Path,
        global_step: tf.Variable,
        every_steps: int,
        keep: int,
        source: pathlib.Path | None = None,
    ):
        super().__init__(
            state,
            str(directory),
            max_to_keep=keep,
            step_counter=global_step,
            checkpoint_interval=every_steps,
        )
        self._source = str(source or directory)
        self._last_checkpoint_step = 0  # TensorFlow would save after the first loop already
        self._remove_unfinished()

    def restore_or_initialize(self) -> str | None:
        """Restores the newest checkpoint, if there is one.

        Raises:
          RunFailed: It cannot be read, or it and the run differ in their variables or the shapes of these.
        """
        record = tf.train.get_checkpoint_state(self._source)
        if record is None:
            return None
        path = record.model_checkpoint_path  # `latest_checkpoint` would take a missing one for none
        try:
            self.checkpoint.restore(path).assert_consumed()
        except (AssertionError, ValueError, IndexError, tf.errors.OpError) as error:  # IndexError: the file ends early
            raise RunFailed(
                f"the checkpoint {path} cannot be restored into this run: {_first_lines(error)}\n"
                "It was written with another configuration or is damaged. Use another --workdir; or, to resume from an older "
                f"checkpoint of this run, name it in {pathlib.Path(self.directory) / 'checkpoint'}."
            ) from error
        self._last_checkpoint_step = int(self._step_counter.numpy())  # that one must not be written again
        return path

    def save(self, *args, **kwargs) -> str | None:
        """Saves if it is time to.

        Raises:
          RunFailed: The checkpoint could not be written, for instance because the disk is full.
        """
        try:
            return super().save(*args, **kwargs)
        except (tf.errors.OpError, OSError) as error:
            last = tf.train.latest_checkpoint(self.directory) or "none; the run starts from scratch"
            self._remove_unless(last, f"ckpt-{int(self._step_counter.numpy())}")
            raise RunFailed(
                f"a checkpoint could not be written to {self.directory}: {_first_lines(error)}\n"
                f"The last good checkpoint is: {last}. Free some space and run the same command again to resume from there."
            ) from error

    def _remove_unfinished(self):
        """Removes what a run that was killed while it saved has left: the index comes last."""
        for data in pathlib.Path(self.directory).glob("ckpt-*.data-*"):
            if not data.with_name(f"{data.name.split('.')[0]}.index").exists():
                data.unlink()
        for unmerged in pathlib.Path(self.directory).glob("ckpt-*_temp"):
            shutil.rmtree(unmerged)

    def _remove_unless(self, last, name):
        """Removes a checkpoint that could not be written, unless it was the old ones' removal that failed."""
        directory = pathlib.Path(self.directory)
        if pathlib.Path(last).name == name:
            return
        for file in directory.glob(f"{name}.*"):
            file.unlink()
        shutil.rmtree(directory / f"{name}_temp", ignore_errors=True)


def _first_lines(error, lines=3):
    return "\n".join(str(getattr(error, "message", error)).splitlines()[:lines])
