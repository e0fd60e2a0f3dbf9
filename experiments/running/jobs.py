"""Runs programs as separate processes, several at a time; one that fails does not stop the others.

A batch that was stopped or killed resumes when it is run again: finished programs are not repeated, and training
programs resume from their checkpoints.
"""

import concurrent.futures
import contextlib
import dataclasses
import fcntl
import itertools
import os
import pathlib
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, NamedTuple

from experiments.running.command_line import RunFailed
from experiments.running.durations import duration
from experiments.running.programs import found_anywhere

FINISHED, FAILED, STOPPED = "finished", "failed", "stopped"
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
_TAIL_LINES = 15
_POLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Job:
    """Programs that run one after the other and write into one directory.

    Attributes:
      name: What progress calls it.
      directory: Holds the job's log, and a lock that keeps two batches from working on it at once; made if need be.
      programs: Command lines by the name that progress gives them, in order.
      is_done: Tells, of a program's name, whether it has left all that it should.
    """

    name: str
    directory: pathlib.Path
    programs: Mapping[str, Sequence[str]]
    is_done: Callable[[str], bool]

    @property
    def log(self) -> pathlib.Path:
        """What all programs have printed, of earlier batches too."""
        return self.directory / "log.txt"

    def left(self) -> list[str]:
        """Returns the names of the programs that must run: the first one that is not done, and all after it."""
        return list(itertools.dropwhile(self.is_done, self.programs))


class Outcome(NamedTuple):
    """The end of a job.

    Attributes:
      job: The job.
      status: `FINISHED`, `FAILED` or `STOPPED`.
      seconds: How long it ran; `None` if nothing had to run, or nothing was begun.
      message: What went wrong, the end of the log included.
    """

    job: Job
    status: str
    seconds: float | None = None
    message: str = ""


def run_jobs(jobs: Sequence[Job], at_a_time: int, show: Callable[[str], None]) -> list[Outcome]:
    """Runs all jobs that are not done; returns how each ended, in their order.

    SIGTERM and SIGINT are passed on to the programs as SIGTERM, upon which those that train save a checkpoint; nothing
    more is begun. If this process is killed, its programs continue; the next batch waits for them and then takes over.

    Args:
      jobs: Their directories differ.
      at_a_time: How many run at a time. The cores are shared out among them, and so are the GPUs that
        CUDA_VISIBLE_DEVICES names, if there are enough. Fewer threads may round differently.
      show: Prints a line of progress.
    """
    batch = _Batch(len(jobs), at_a_time, show)
    with batch.heeding_signals(), concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        return list(pool.map(batch.run, jobs))


def exit_code(outcomes: Sequence[Outcome], kind: str, show: Callable[[str], None]) -> int:
    """Returns the exit code of a program that has run jobs: 0, also if a signal stopped it.

    Args:
      outcomes: How they ended.
      kind: What a user calls them, such as "points".
      show: Prints a line.

    Raises:
      RunFailed: One or more have failed; all are named.
    """
    failed = [outcome.message for outcome in outcomes if outcome.status == FAILED]
    if failed:
        head = f"{len(failed)} of {len(outcomes)} {kind} failed."
        raise RunFailed("\n".join([head, *failed, "Run the same command again to retry."]))
    if any(outcome.status == STOPPED for outcome in outcomes):
        show("Stopped by a signal; what was finished or saved is kept. Run the same command again to resume.")
    return 0


def environments(at_a_time: int) -> list[dict[str, str]]:
    """Returns the environment of each of the concurrent jobs; the user's thread settings are kept."""
    if at_a_time == 1:
        return [dict(os.environ)]
    threads = str(max(1, (os.cpu_count() or 1) // at_a_time))
    shared = {**dict.fromkeys(_THREADS, threads), **os.environ}
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if len(devices) < at_a_time:
        return [shared] * at_a_time
    return [shared | {"CUDA_VISIBLE_DEVICES": ",".join(devices[slot::at_a_time])} for slot in range(at_a_time)]


class _Batch:
    """The state that the threads share, each of which runs a job at a time."""

    def __init__(self, total, at_a_time, show):
        self.total, self.at_a_time, self.show = total, at_a_time, show
        self.stopping = False
        self.running: set[subprocess.Popen] = set()
        self.outcomes: list[Outcome] = []
        self.lock = threading.Lock()
        self.slots: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        for environment in environments(at_a_time):
            self.slots.put(environment)

    @contextlib.contextmanager
    def heeding_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, *_):
        self.stopping = True  # first: a program that is begun just now looks at it afterwards
        for process in list(self.running):
            process.terminate()

    def run(self, job: Job) -> Outcome:
        environment = self.slots.get()
        try:
            outcome = self._run(job, environment)
        except OSError as error:
            outcome = Outcome(job, FAILED, message=f"{job.name}: {error}")
        finally:
            self.slots.put(environment)
        self._report(outcome)
        return outcome

    def _run(self, job, environment):
        if self.stopping or not job.left():
            return Outcome(job, STOPPED if self.stopping else FINISHED)
        start = time.monotonic()
        job.directory.mkdir(parents=True, exist_ok=True)
        with self._claimed(job) as claim:
            status, message = self._run_programs(job, claim, environment)
        return Outcome(job, status, time.monotonic() - start, message)

    @contextlib.contextmanager
    def _claimed(self, job) -> Iterator[IO]:
        """Holds the job's lock. Its programs inherit it, so it also tells of those that a killed batch has left running."""
        with (job.directory / ".lock").open("w") as claim:
            waiting = False
            while not self.stopping and not _try_to_lock(claim):
                if not waiting:
                    self.show(f"{job.name}: waiting for another program that works in {job.directory}")
                waiting = True
                time.sleep(_POLL_SECONDS)
            yield claim

    def _run_programs(self, job, claim, environment):
        for name in job.left():
            if self.stopping:
                return STOPPED, ""
            self.show(f"{job.name}: {name} runs, see {job.log}")
            with job.log.open("a", encoding="utf-8") as log:
                start = log.tell()
                code = self._execute(job.programs[name], environment, log, claim)
            if code or not job.is_done(name):
                return (STOPPED, "") if self.stopping else (FAILED, _failure(job, name, code, start))
        return FINISHED, ""

    def _execute(self, command, environment, log, claim):
        process = subprocess.Popen(
            found_anywhere(command), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C would reach it as SIGINT, which saves nothing
            pass_fds=[claim.fileno()],
        )  # fmt: skip
        self.running.add(process)
        if self.stopping:
            process.terminate()
        code = process.wait()
        self.running.discard(process)
        return code

    def _report(self, outcome):
        with self.lock:
            self.outcomes.append(outcome)
            if outcome.status == STOPPED and outcome.seconds is None:
                return
            ran = [done.seconds for done in self.outcomes if done.seconds is not None]
            ended = [done for done in self.outcomes if done.status != STOPPED]
            failed = sum(done.status == FAILED for done in ended)
            how_long = "before" if outcome.seconds is None else f"in {duration(outcome.seconds)}"
            line = f"[{len(ended)}/{self.total}] {outcome.job.name}: {outcome.status} {how_long}"
            line += f" | {failed} failed" if failed else ""
            if ran and not self.stopping and len(ended) < self.total:
                remaining = (self.total - len(ended)) * sum(ran) / len(ran) / self.at_a_time
                line += f" | ETA {duration(remaining)}"
            self.show(line)


def _try_to_lock(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _failure(job, program, code, start):
    """Says how a program failed, with the end of what it has printed since `start`."""
    if code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        how = f"ended with exit code {code}" if code else "ended before it was finished"
    with job.log.open("rb") as log:
        log.seek(start)
        lines = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join([f"{job.name}: {program} {how}; the end of {job.log}:", *(f"    {line}" for line in lines)])
