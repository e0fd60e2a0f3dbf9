"""Runs the programs in forks of a process that has loaded TensorFlow but not started it: half a second each instead of seven.

A fork has its own flags, gin configuration and TensorFlow runtime, and dies alone.
"""

import os
import pathlib
import resource
import runpy
import signal
import sys
import tempfile
import time
import traceback
from typing import NamedTuple

HANGS_SECONDS = 240


class Outcome(NamedTuple):
    """How a program ended: its exit code (negative for a signal, None for a hang), what it printed, and its time."""

    code: int | None
    output: str
    errors: str
    seconds: float


def preload() -> None:
    """Imports what the programs need; none of it starts TensorFlow's runtime, whose threads no fork would inherit."""
    import experiments.classifiers.program
    import experiments.dataset_checks.check
    import experiments.dataset_checks.page
    import experiments.dataset_checks.rank_program
    import experiments.evaluation.evaluate
    import experiments.evaluation.table
    import experiments.finetuning.program
    import experiments.inference.embed_program
    import experiments.inference.exported_model
    import experiments.preparing.program
    import experiments.pretraining.import_program
    import experiments.pretraining.program
    import experiments.reports.page
    import experiments.studies.program
    import experiments.sweeps.program
    import experiments.sweeps.report  # noqa: F401
    from tensorflow.python.eager import context

    assert context.context()._context_handle is None


def run(
    command: list[str],
    room_bytes: int | None = None,
    kill_after_seconds: float | None = None,
    directory: pathlib.Path | None = None,
    as_nobody: bool = False,
) -> Outcome:
    """Runs a program and everything that it starts, to its end or its death.

    Args:
      command: The program's name and its arguments.
      room_bytes: No file can grow beyond so much, as if the disk were full.
      kill_after_seconds: It is killed (SIGKILL) after so long, unless it has ended.
      directory: The current directory of the program.
      as_nobody: Without the rights of root, to whom every file is readable.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.monotonic()
        process = os.fork()
        if not process:
            _become(command, output.fileno(), errors.fileno(), room_bytes, directory, as_nobody)
        code = _wait(process, start, HANGS_SECONDS if kill_after_seconds is None else kill_after_seconds)
        if code is None and kill_after_seconds is not None:
            code = -signal.SIGKILL
        seconds = time.monotonic() - start
        output.seek(0), errors.seek(0)
        return Outcome(code, output.read(), errors.read(), seconds)


def _wait(process: int, start: float, seconds: float) -> int | None:
    while time.monotonic() < start + seconds:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def _become(command, output, errors, room_bytes, directory, as_nobody):
    code = 1
    try:
        os.setpgid(0, 0)
        os.dup2(output, 1), os.dup2(errors, 2)
        if directory:
            os.chdir(directory)
        if room_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, room_bytes))
        if as_nobody:
            os.setresgid(65534, 65534, 65534), os.setresuid(65534, 65534, 65534)
        sys.argv = list(command)
        runpy.run_module(f"experiments.{command[0]}", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
