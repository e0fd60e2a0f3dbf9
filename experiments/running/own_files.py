"""Reads what the programs have written themselves, with one message that names the file where it is damaged."""

import contextlib
import csv
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import typeguard

import data
from experiments.running.command_line import BadInput

_DAMAGE = (
    OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, EOFError, MemoryError,
    csv.Error, typeguard.TypeCheckError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextlib.contextmanager
def content_of(path: pathlib.Path) -> Iterator[None]:
    """Takes an error inside for a sign that a file does not hold what it should; for reading it and for using its content.

    Raises:
      BadInput: There was one; names the file.
    """
    try:
        yield
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BadInput(
            f"{path} should be as this version writes it. It is damaged or from another version ({reason}). Put an undamaged "
            "copy there, or remove it and run the program that writes it again."
        ) from error


def read_text(path: pathlib.Path) -> str:
    """Returns the content of a text file; raises `BadInput` if it cannot be read."""
    with content_of(path):
        data.require_no_pipe(str(path))
        return path.read_text(encoding="utf-8")


def read_json(path: pathlib.Path) -> object:
    """Returns the content of a JSON file; raises `BadInput` if it cannot be read."""
    with content_of(path):
        return json.loads(read_text(path))


def read_json_object(path: pathlib.Path) -> dict:
    """Returns the content of a JSON file that holds an object; raises `BadInput` if it does not."""
    found = read_json(path)
    with content_of(path):
        if not isinstance(found, dict):
            raise TypeError(f"an object is expected, found {type(found).__name__}")
    return found


def read_json_if_there(path: pathlib.Path) -> dict | None:
    """Returns as `read_json_object` what a file holds, `None` if there is none; a link that leads nowhere is damage."""
    return read_json_object(path) if os.path.lexists(path) else None


def read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a file of `npz_file.write_npz`; raises `BadInput` if it cannot be read."""
    with content_of(path):
        data.require_no_pipe(str(path))
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)


def require_new_or_own(path: pathlib.Path, flag: str, is_own: Callable[[pathlib.Path], bool]) -> None:
    """Checks that writing a file loses nothing but what the same program wrote: no input, nor what a mistyped path names.

    Args:
      path: Where the file is to be written. An empty file there may be replaced, too.
      flag: The flag that names it.
      is_own: Tells whether the program wrote a file; may raise `BadInput` if that cannot be read.

    Raises:
      BadInput: There is something else.
    """
    if not os.path.lexists(path):
        return
    try:
        own = path.is_file() and (path.stat().st_size == 0 or is_own(path))
    except (BadInput, OSError):
        own = False
    if not own:
        raise BadInput(
            f"{flag} should be a new file, or one that this program wrote. {path} is something else, which would be lost; "
            "choose another name."
        )
