"""Runs the programs in forks of a process that has loaded TensorFlow but not started it: half a second each instead of seven.

A fork has its own flags, gin configuration and TensorFlow runtime, and dies alone.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import resource
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
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
    from tensorflow.python.eager import context

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

    assert context.context()._context_handle is None


def run(
    command: list[str],
    room_bytes: int | None = None,
    kill_after_seconds: float | None = None,
    kill_all: bool = False,
    hangs_after_seconds: float = HANGS_SECONDS,
    directory: pathlib.Path | None = None,
    obeys_permissions: bool = False,
) -> Outcome:
    """Runs a program and everything that it starts, to its end or its death.

    Args:
      command: The program's name and its arguments.
      room_bytes: No file can grow beyond so much, as if the disk were full.
      kill_after_seconds: It is killed (SIGKILL) after so long, unless it has ended.
      kill_all: With all programs that it has started, as when the power fails.
      hangs_after_seconds: After so long it is killed as one that hangs.
      directory: The current directory of the program.
      obeys_permissions: Also as root, to whom every file is readable otherwise.
    """
    output, errors = os.pipe(), os.pipe()  # files could not grow where the disk is full
    start = time.monotonic()
    process = os.fork()
    if not process:
        _become(command, output[1], errors[1], room_bytes, directory, obeys_permissions)
    os.close(output[1]), os.close(errors[1])
    seconds = hangs_after_seconds if kill_after_seconds is None else kill_after_seconds
    code, texts = _wait(process, (output[0], errors[0]), seconds, kill_all)
    if code is None and kill_after_seconds is not None:
        code = -signal.SIGKILL
    return Outcome(code, *texts, time.monotonic() - start)


def call(function: Callable[[], object]) -> object:
    """Returns what a function returns in a fork, for what would start TensorFlow's runtime here; it must be JSON."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        try:
            with os.fdopen(writer, "w") as file:
                json.dump(function(), file)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        answer = file.read()
    os.waitpid(process, 0)
    return json.loads(answer)


def _wait(process: int, pipes: tuple[int, int], seconds: float, kill_all: bool) -> tuple[int | None, list[str]]:
    found, end, code = {pipe: b"" for pipe in pipes}, time.monotonic() + seconds, None
    for pipe in pipes:
        os.set_blocking(pipe, False)
    while code is None:
        ended, status = os.waitpid(process, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if ended else None
        for pipe in pipes:
            with contextlib.suppress(BlockingIOError):
                while part := os.read(pipe, 2**16):
                    found[pipe] += part
        if not ended and time.monotonic() > end:
            started = _descendants(process) if kill_all else []
            os.killpg(process, signal.SIGKILL)
            for each in started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            os.waitpid(process, 0)
            break
        time.sleep(0.005)
    for pipe in pipes:
        os.close(pipe)
    return code, [text.decode("utf-8", "replace") for text in found.values()]


def _descendants(process: int) -> list[int]:
    """Returns the programs that a process has started, those that these have started, and so on."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for thread in pathlib.Path(f"/proc/{process}/task").iterdir():
            for child in map(int, (thread / "children").read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _become(command, output, errors, room_bytes, directory, obeys_permissions):
    code = 1
    try:
        os.setpgid(0, 0)
        os.dup2(output, 1), os.dup2(errors, 2)
        if directory:
            os.chdir(directory)
        if room_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, room_bytes))
        if obeys_permissions:
            _obey_permissions()
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


def _obey_permissions():
    """Gives up what lets root read any file (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    if os.getuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    for word in (0, 1, 2):  # effective, permitted, inheritable
        sets[word] &= ~0b110
    assert libc.capset(header, sets) == 0
