"""Runs the compiler in a process of its own, and says how long it has been at it."""

import contextlib
import json
import multiprocessing
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from experiments.running.command_line import BadInput, RunFailed
from experiments.tpu_compiling import environment, worker
from experiments.tpu_compiling.generations import Topology
from experiments.tpu_compiling.lowering import Lowered

_LAST_WORDS = 600  # characters of the compiler's log that a message quotes


@contextlib.contextmanager
def shown_progress(what: str, show: Callable[[str], None], first_seconds: float = 10.0) -> Iterator[None]:
    """A context that shows a line when it begins, one every now and then with the time passed, and one at its end.

    Args:
      what: What is being done.
      show: Takes a line.
      first_seconds: Until the first of the lines between; later ones come less often, a fifth of the time passed apart.
    """
    started, done = time.monotonic(), threading.Event()

    def repeat():
        while not done.wait(max(first_seconds, (time.monotonic() - started) / 5)):
            show(f"{what}: {time.monotonic() - started:.0f} s ...")

    thread = threading.Thread(target=repeat, daemon=True)
    show(f"{what} ...")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    show(f"{what}: done after {time.monotonic() - started:.1f} s.")


def check_compiler(topology: Topology) -> None:
    """Loads libtpu and asks it for the topology, which takes seconds.

    Raises:
      BadInput: The topology does not exist, or another process has libtpu.
      RunFailed: libtpu crashed.
    """
    with tempfile.TemporaryDirectory() as name:
        answer = _run(worker.count_in_worker, worker.Task(name, topology.name))
    error = answer.get("error", "")
    if environment.LOCKED in error:
        raise BadInput(
            "libtpu should be free. Another process on this machine has it, or left its lock file /tmp/libtpu_lockfile. Wait for "
            "that process or, as compiling needs no TPU, set ALLOW_MULTIPLE_LIBTPU_LOAD=1."
        )
    if error or answer["devices"] != topology.devices:
        said = error.splitlines()[0] if error else f"it has {answer['devices']} devices, not {topology.devices}"
        raise BadInput(
            f"--topology should be one that the compiler knows. Found {topology.name!r}, of which it says: {said}"
        )


def compile_program(lowered: Lowered, topology: Topology) -> tuple[dict, str]:
    """Compiles a step; see `worker`.

    Returns:
      The worker's answer, and the optimized program, which is empty where memory is too short for it.

    Raises:
      RunFailed: The compiler gave up, or crashed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / worker.LOWERED).write_bytes(lowered.program)
        answer = _run(worker.compile_in_worker, worker.Task(name, topology.name, lowered.fixed_generators))
        if "needed_bytes" in answer:
            return answer, ""
        if "error" in answer:
            raise RunFailed(f"the step does not compile for {topology.name}: {answer['error'][:_LAST_WORDS]}")
        return answer, (folder / worker.OPTIMIZED).read_text(encoding="utf-8")


def _run(work: Callable[[worker.Task], None], task: worker.Task) -> dict:
    """Returns the answer of a worker, which runs to its end or dies with this process."""
    folder = pathlib.Path(task.folder)
    process = multiprocessing.get_context("spawn").Process(target=work, args=(task,), daemon=True)
    process.start()
    try:
        process.join()
    finally:
        process.kill()
        process.join()
    if process.exitcode or not (folder / worker.ANSWER).exists():
        log = folder / worker.LOG
        said = log.read_text(encoding="utf-8", errors="replace").strip() if log.exists() else ""
        raise RunFailed(
            f"the compiler ended with code {process.exitcode} and without an answer; if that is -9, memory of this machine may be "
            f"short. What it said last:\n{said[-_LAST_WORDS:] or 'nothing'}"
        )
    return json.loads((folder / worker.ANSWER).read_text(encoding="utf-8"))
