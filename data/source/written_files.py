"""Writes small files wherever TensorFlow can, each under another name first; what goes wrong is an `OSError`."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from data.source.regular_files import require_no_pipe

_INCOMPLETE = ".incomplete."


def read_json(path: str) -> Any:
    """Returns the content of a JSON file, here or remote; raises `OSError` or `ValueError`."""
    require_no_pipe(path)
    try:
        with as_os_errors(path), tf.io.gfile.GFile(path) as file:
            return json.load(file)
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply") from error


def write_json(path: str, content: Any, for_people: bool = False) -> None:
    """Writes JSON: one ASCII line by default (safe for any file name), indented UTF-8 with `for_people`."""
    style = dict(indent=2, ensure_ascii=False) if for_people else {}
    with renamed_when_done(path) as temporary, tf.io.gfile.GFile(temporary, "w") as file:
        file.write(json.dumps(content, **style) + "\n")


@contextlib.contextmanager
def renamed_when_done(path: str) -> Iterator[str]:
    """Gives another name to write to; afterwards the file is `path`, or if something failed there is none."""
    temporary = f"{path}{_INCOMPLETE}{uuid.uuid4().hex}"
    with as_os_errors(path):
        try:
            yield temporary
            tf.io.gfile.rename(temporary, path, overwrite=True)
        finally:
            if tf.io.gfile.exists(temporary):
                tf.io.gfile.remove(temporary)


def remove_incomplete(directory: str) -> None:
    """Removes what `renamed_when_done` has left in a directory where it was killed."""
    for name in tf.io.gfile.listdir(directory):
        if _INCOMPLETE in name:
            tf.io.gfile.remove(os.path.join(directory, name))


@contextlib.contextmanager
def as_os_errors(path: str) -> Iterator[None]:
    """Gives TensorFlow's errors as those of Python, so that a full disk reads like one."""
    try:
        yield
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, error.message, path) from error
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, error.message, path) from error
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, error.message, path) from error
