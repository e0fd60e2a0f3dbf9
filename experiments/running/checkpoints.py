"""Saving and restoring a run, so that it resumes exactly or says why it cannot."""

import collections
import contextlib
import os
import pathlib
import shutil

import tensorflow as tf

import vatt
from experiments.running.command_line import BadInput, RunFailed, lost_worker


def new_global_step() -> tf.Variable:
    """Returns the step's variable; call it under the strategy's scope."""
    options = dict(trainable=False, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
    return tf.Variable(0, name="global_step", **options)


def host_number(name: str, value: float, dtype: tf.DType = tf.float64) -> tf.Variable:
    """Returns a number that a checkpoint carries and no replica sees."""
    with tf.device("CPU:0"):
        return tf.Variable(value, trainable=False, dtype=dtype, name=name)


def resume_point(directory: str | os.PathLike, resume_from: str = "") -> str | None:
    """Returns the checkpoint that a run resumes from; `None` if it has none.

    Args:
      directory: Where its checkpoints lie.
      resume_from: The flag `--resume_from`: the name of one of them; empty for the newest.

    Raises:
      BadInput: There is no checkpoint of that name.
      RunFailed: The list of checkpoints is missing or unreadable, or names files outside of the directory.
    """
    if resume_from:
        return _named(directory, resume_from)
    try:
        return vatt.newest_checkpoint(directory)
    except vatt.CheckpointListError as error:
        raise RunFailed(
            f"{error} Add --resume_from=ckpt-NUMBER to resume from one of them, after which the list is written anew; or "
            "use another --workdir to start over."
        ) from error


def _named(directory, name):
    found = {os.path.basename(path): path for path in vatt.numbered_checkpoints(directory).values()}
    if name not in found:
        raise BadInput(
            f"--resume_from should name a checkpoint in {directory}: {', '.join(found) or 'there is none'}. Found {name!r}."
        )
    return found[name]


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
      resume_from: Name of the checkpoint to restore; empty for the newest.

    Raises:
      BadInput: See `resume_point`.
      RunFailed: See `resume_point`.
    """

    def __init__(
        self,
        state: tf.train.Checkpoint,
        directory: pathlib.Path,
        global_step: tf.Variable,
        every_steps: int,
        keep: int,
        source: pathlib.Path | None = None,
        resume_from: str = "",
    ):
        self._source, self._resume_from = source or directory, resume_from
        resume_point(self._source, resume_from)  # refuses what TensorFlow would take for an empty directory
        own = self._own_point(directory)
        super().__init__(
            state,
            str(directory),
            max_to_keep=keep,
            step_counter=global_step,
            checkpoint_interval=every_steps,
        )
        if own is not None and own != self._latest_checkpoint:
            self._list_up_to(own)
        self._last_checkpoint_step = 0  # TensorFlow would save after the first loop already
        self._remove_unfinished()

    def restore_or_initialize(self) -> str | None:
        """Restores the newest checkpoint, or the one that was asked for; returns it, or `None` if there is none.

        Raises:
          RunFailed: It cannot be read, or it and the run differ in their variables or the shapes of these.
        """
        path = resume_point(self._source, self._resume_from)
        if path is None:
            return None
        self._restore(path)
        if self._resume_from:
            self._record_state()
        self._last_checkpoint_step = int(self._step_counter.numpy())  # that one must not be written again
        return path

    def require_readable(self) -> None:
        """Reads the newest checkpoint, if there is one, and restores nothing.

        Raises:
          RunFailed: It cannot be read.
        """
        if path := resume_point(self._source, self._resume_from):
            with self._restorable(path) as readable:
                reader = tf.train.load_checkpoint(readable)
                for name in reader.get_variable_to_shape_map():
                    reader.get_tensor(name)

    def restore_number(self, number: int) -> None:
        """Restores the checkpoint of a number, which exists, whichever the newest is.

        Raises:
          RunFailed: As `restore_or_initialize`.
        """
        self._restore(vatt.numbered_checkpoints(self.directory)[number])

    def save(self, *args, **kwargs) -> str | None:
        """Saves if it is time to.

        Raises:
          RunFailed: The checkpoint could not be written, for instance because the disk is full.
        """
        try:
            return super().save(*args, **kwargs)
        except (tf.errors.OpError, OSError) as error:
            last = vatt.newest_checkpoint(self.directory) or "none; the run starts from scratch"
            self._remove_unless(last, f"ckpt-{int(self._step_counter.numpy())}")
            if lost_worker(error):  # whose part of the state is missing; the disk is not at fault
                raise
            raise RunFailed(
                f"a checkpoint could not be written to {self.directory}: {_first_lines(error)}\n"
                f"The last good checkpoint is: {last}. Free some space and run the same command again to resume from there."
            ) from error

    def _restore(self, path):
        with self._restorable(path) as readable:
            self.checkpoint.restore(readable).assert_consumed()

    @contextlib.contextmanager
    def _restorable(self, path):
        """Yields where TensorFlow finds a checkpoint, and names it if it cannot be restored."""
        try:
            with vatt.readable_checkpoint(path) as readable:
                yield readable
        except (AssertionError, ValueError, IndexError, tf.errors.OpError) as error:  # IndexError: the file ends early
            raise RunFailed(
                f"the checkpoint {path} cannot be restored into this run: {_first_lines(error)}\n"
                "It was written with another configuration or is damaged. Use another --workdir; or, to resume from an older "
                f"checkpoint of this run ({self._names(path)}), give --resume_from=ckpt-NUMBER or name it in "
                f"{pathlib.Path(self.directory) / vatt.LIST_FILE}."
            ) from error

    def _own_point(self, directory):
        """Returns the checkpoint of `directory` that is its newest from now on; a list that cannot be read makes way."""
        if not self._resume_from:
            return resume_point(directory)
        listed = pathlib.Path(directory) / vatt.LIST_FILE
        try:
            vatt.newest_checkpoint(directory)
        except vatt.CheckpointListError:
            if listed.exists():
                listed.rename(listed.with_name(f"{listed.name}.unreadable"))
        return vatt.numbered_checkpoints(directory).get(int(self._resume_from.removeprefix("ckpt-")))

    def _list_up_to(self, newest):
        """Lists the checkpoints up to `newest`, which is one of them."""
        paths = list(vatt.numbered_checkpoints(self.directory).values())
        kept = paths[: paths.index(newest) + 1] if newest in paths else [newest]
        self._maybe_delete = collections.OrderedDict((path, os.path.getmtime(f"{path}.index")) for path in kept)
        self._latest_checkpoint = newest

    def _names(self, but):
        others = [name for name in vatt.numbered_checkpoints(self._source).values() if name != but]
        return ", ".join(map(os.path.basename, others)) or "there is none"

    def _sweep(self):
        """Deletes the oldest checkpoints, by their names; TensorFlow takes the directory's name for a pattern."""
        while len(self._maybe_delete) > self._max_to_keep:
            oldest, _ = self._maybe_delete.popitem(last=False)
            self._remove(pathlib.Path(oldest).name)

    def _remove(self, name):
        for file in pathlib.Path(self.directory).glob(f"{name}.*"):
            file.unlink()

    def _remove_unfinished(self):
        """Removes what a run that was killed while it saved has left: the index comes last, and after it the list."""
        listed = {os.path.basename(path) for path in self.checkpoints}
        for data in pathlib.Path(self.directory).glob("ckpt-*.data-*"):
            name = data.name.split(".")[0]
            if name not in listed and not os.path.lexists(data.with_name(f"{name}.index")):
                data.unlink()
        for unmerged in pathlib.Path(self.directory).glob("ckpt-*_temp"):
            shutil.rmtree(unmerged)

    def _remove_unless(self, last, name):
        """Removes a checkpoint that could not be written, unless it was the old ones' removal that failed."""
        if pathlib.Path(last).name == name:
            return
        self._remove(name)
        shutil.rmtree(pathlib.Path(self.directory) / f"{name}_temp", ignore_errors=True)


def _first_lines(error, lines=3):
    return "\n".join(str(getattr(error, "message", error)).splitlines()[:lines])
