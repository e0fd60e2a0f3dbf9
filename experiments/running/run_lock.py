"""One writer per directory: two programs that train one run would double and lose lines of its metrics."""

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import shlex
import socket
import sys
from collections.abc import Iterator
from typing import IO

from experiments.running.command_line import BadInput, RunFailed


@contextlib.contextmanager
def only_writer(directory: pathlib.Path, work: str) -> Iterator[None]:
    """Holds a lock for the time of a `with` statement; makes the directory, which goes again if nothing was written.

    The system lets go of the lock when the process dies, so what a killed one has left behind locks nobody out. A file
    system without locks has none.

    Args:
      directory: What is written.
      work: Word for what is done there; different works do not exclude each other.

    Raises:
      BadInput: Another process does the same here; the message names it. Or the directory cannot be made.
    """
    path = directory / f".{work}.lock"
    made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    file = _opened(path, directory)
    try:
        _lock(file, path, work)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        file.close()
        for folder in made:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def _opened(path: pathlib.Path, directory: pathlib.Path) -> IO[str]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{directory} should be a directory that can be made and written to. It is not: {error}"
        ) from error


def _lock(file: IO[str], path: pathlib.Path, work: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BadInput(
            f"another program works on the {work} of {path.parent}: {_writer(file)}. Wait for it to end, or use another directory."
        ) from error
    except OSError:  # no locks here
        return
    if not _is_still(file, path):
        raise BadInput(f"another program has just ended the {work} of {path.parent}. Run the same command again.")
    own = {
        "command": shlex.join(sys.argv),
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.datetime.now().isoformat(" ", "seconds"),
    }
    try:
        file.truncate(0)
        os.write(file.fileno(), f"{json.dumps(own)}\n".encode())  # what a file object keeps back, it writes on closing
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RunFailed(f"{path} could not be written: {error}") from error


def _is_still(file: IO[str], path: pathlib.Path) -> bool:
    """Returns whether the locked file has not been removed by the one that held it before."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _writer(file: IO[str]) -> str:
    """Names the process that holds the lock."""
    file.seek(0)
    try:
        other = json.loads(file.read())
        return f"process {other['process']} on {other['host']} since {other['since']}, {other['command']}"
    except (ValueError, TypeError, KeyError):  # it has not written it yet
        return "it has just begun"
