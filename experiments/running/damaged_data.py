"""One clear message where TensorFlow says that a record is damaged, but not which."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import tensorflow as tf

import data
from data import OUT_OF_STEP, WRONG_LENGTHS, first_damage
from experiments.running.command_line import RunFailed


@contextlib.contextmanager
def damage_named(files: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Turns the errors that damaged records raise inside into ones that name the file and the record.

    Args:
      files: Returns the record files that may have been read, the one suspected most first.

    Raises:
      RunFailed: A record is damaged, a file has lost some, or a worker of the data service was lost.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        message = _explain(error, files)
        if message is None:
            raise
        raise RunFailed(message) from error


def _explain(error: tf.errors.OpError, files: Callable[[], Iterable[str]]) -> str | None:
    for known in (WRONG_LENGTHS, OUT_OF_STEP):
        if known in error.message:
            return known
    jpegs = "JPEG" in error.message
    if not jpegs and not isinstance(error, tf.errors.DataLossError):
        return None
    damage = first_damage(files(), jpegs)
    return damage and damage.advice()


def record_files(prepared: data.PreparedDataset, *splits: str) -> list[str]:
    """Returns the files of some splits of a data set, or of all of them."""
    return [path for split in splits or prepared.shard_paths for path in prepared.shard_paths.get(split, ())]
