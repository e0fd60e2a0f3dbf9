"""Which checkpoints a directory holds and which is the newest, read as literal paths and without trust.

TensorFlow's own functions take `[ ] * ?` in a path for a pattern, take a list that they cannot read for none, and follow a
list out of its directory.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator

import tensorflow as tf

LIST_FILE = "checkpoint"
"""TensorFlow's file that names the newest checkpoint of its directory."""
_NUMBERED = re.compile(r"ckpt-(\d+)\.index")
_PATTERN_MARKS = re.compile(r"[\[\]*?\\]")


class CheckpointListError(ValueError):
    """A directory's list of checkpoints is missing, unreadable or names files elsewhere."""


def newest_checkpoint(directory: str | os.PathLike) -> str | None:
    """Returns the newest checkpoint of a directory, without the ending; `None` if it has none.

    The list names it. Where there is no list but a single checkpoint, it is that one: a run may have been killed between
    writing its first checkpoint and listing it.

    Raises:
      CheckpointListError: The list cannot be read, names files outside of the directory, or is missing while there are
        several checkpoints.
    """
    directory = os.fspath(directory)
    found = numbered_checkpoints(directory)
    if not tf.io.gfile.exists(os.path.join(directory, LIST_FILE)):
        if len(found) > 1:
            raise CheckpointListError(_message(directory, "is missing", found))
        return next(iter(found.values()), None)
    return _listed(directory, found)


def numbered_checkpoints(directory: str | os.PathLike) -> dict[int, str]:
    """Returns the whole checkpoints that lie in a directory by their number, the lowest first, without the ending."""
    directory = os.fspath(directory)
    names = tf.io.gfile.listdir(directory) if tf.io.gfile.isdir(directory) else []
    numbers = sorted(int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name)))
    return {number: os.path.join(directory, f"ckpt-{number}") for number in numbers}


@contextlib.contextmanager
def readable_checkpoint(checkpoint: str) -> Iterator[str]:
    """Yields a path at which TensorFlow finds a checkpoint, for the time of the `with` statement.

    It is `checkpoint` itself, unless that has a character which TensorFlow's reader takes for part of a pattern.

    Raises:
      ValueError: A file of it is a pipe or a device.
    """
    directory, name = os.path.split(checkpoint)
    if "://" not in checkpoint and os.path.isdir(directory):
        for file in os.listdir(directory):
            if file.startswith(f"{name}."):
                require_no_pipe(os.path.join(directory, file))
    if "://" in checkpoint or not _PATTERN_MARKS.search(checkpoint):
        yield checkpoint
        return
    directory, name = os.path.split(os.path.abspath(checkpoint))
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "checkpoints")
        os.symlink(directory, link)
        yield os.path.join(link, name)


def require_no_pipe(path: str) -> None:
    """Raises `ValueError` if a path of this machine is a pipe or a device, whose reader could wait for ever."""
    if "://" not in path and os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise ValueError(f"{path} should be a file. Found a pipe or a device.")


def _listed(directory: str, found: dict[int, str]) -> str:
    try:
        require_no_pipe(os.path.join(directory, LIST_FILE))
        state = tf.train.get_checkpoint_state(directory)
    except ValueError:  # empty, no text, or no file
        state = None
    if state is None:
        raise CheckpointListError(_message(directory, "cannot be read", found))
    for path in (state.model_checkpoint_path, *state.all_model_checkpoint_paths):
        if not _lies_in(path, directory):
            raise CheckpointListError(_message(directory, f"names {path}, which lies outside of its directory", found))
    return state.model_checkpoint_path


def _lies_in(path: str, directory: str) -> bool:
    absolute = os.path.normpath if "://" in directory else os.path.abspath
    return absolute(os.path.dirname(path)) == absolute(directory)


def _message(directory: str, problem: str, found: dict[int, str]) -> str:
    names = ", ".join(map(os.path.basename, found.values())) or "none"
    return (
        f"{os.path.join(directory, LIST_FILE)} should name the newest checkpoint of its directory. It {problem}. "
        f"Checkpoints there: {names}."
    )
