"""One clear message where TensorFlow says that a record is damaged, but not which."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import tensorflow as tf

import data
from data import OUT_OF_STEP, WRONG_LENGTHS, first_damage, unreadable
from experiments.running.command_line import RunFailed

_T = TypeVar("_T")

# What file systems say: no such file, no permission, a folder in its place, links in a circle.
_NOT_OPENED = (
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnknownError,
)


@contextlib.contextmanager
def damage_named(files: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Turns the errors that damaged records raise inside into ones that name the file and the record.

    Args:
      files: Returns the record files that may have been read, the one suspected most first.

    Raises:
      RunFailed: A file cannot be read, has a damaged record or has lost some, or a worker of the data service was lost.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, *_NOT_OPENED) as error:
        message = _explain(error, files)
        if message is None:
            raise
        raise RunFailed(message) from error


def named_if_damaged(batches: Iterable[_T], files: Iterable[str]) -> Iterator[_T]:
    """Yields batches that are read from `files`; errors as in `damage_named`."""
    rest = iter(batches)
    while True:
        with damage_named(lambda: files):
            try:
                batch = next(rest)
            except StopIteration:
                return
        yield batch


def _explain(error: tf.errors.OpError, files: Callable[[], Iterable[str]]) -> str | None:
    for known in (WRONG_LENGTHS, OUT_OF_STEP):
        if known in error.message:
            named = ", ".join(path for path in files() if path in error.message)
            return f"{known} They are among: {named}." if named else known
    if isinstance(error, _NOT_OPENED):
        return next((unreadable(path, error) for path in files() if path in error.message), None)
    jpegs = "JPEG" in error.message
    if not jpegs and not isinstance(error, tf.errors.DataLossError):
        return None
    damage = first_damage(files(), jpegs)
    return damage and damage.advice()


def record_files(prepared: data.PreparedDataset, *splits: str) -> list[str]:
    """Returns the files of some splits of a data set, or of all of them."""
    return [path for split in splits or prepared.shard_paths for path in prepared.shard_paths.get(split, ())]
