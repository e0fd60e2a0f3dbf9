"""Who makes the records of the units: threads of this process, or processes of their own."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import tqdm

from data.errors import PreparationError
from data.preparing.plan import Unit
from data.preparing.units import Job, Runner, prepare_unit


def in_this_process(job: Job, units: Sequence[Unit]) -> None:
    """Prepares one unit after the other with as many threads as there are processors."""
    with Progress(job, units) as progress:
        for unit in units:
            prepare_unit(job, unit, threads=os.cpu_count() or 1, on_item=progress.add_item)


def in_processes(workers: int) -> Runner:
    """Returns a runner with so many processes on this machine, each with a unit at a time."""

    def run(job: Job, units: Sequence[Unit]) -> None:
        # A forked child of a process that runs TensorFlow may hang.
        context = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(min(workers, len(units) or 1), context, _die_with_parent)
        with pool, Progress(job, units) as progress:
            running = {pool.submit(prepare_unit, job, unit): unit for unit in units}
            try:
                for future in concurrent.futures.as_completed(running):
                    progress.add(running[future].items, sum(future.result().shard_lengths))
            except BrokenProcessPool as error:
                raise PreparationError(
                    "a worker process was killed, perhaps because memory ran out. Run again with a smaller --workers: "
                    "finished parts are kept."
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)

    return run


class Progress:
    """A bar on the standard error output: items, clips per second, and how long it will take."""

    def __init__(self, job: Job, units: Sequence[Unit]):
        """Takes what there is to do."""
        total = sum(unit.items for unit in units)
        self._bar = tqdm.tqdm(desc=job.builder_class.name, total=total, unit=" items", mininterval=1)
        self._lock, self._clips, self._start = threading.Lock(), 0, time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()

    def add(self, items: int, clips: int) -> None:
        """Counts finished items and their clips; from any thread."""
        with self._lock:
            self._clips += clips
            rate = self._clips / (time.monotonic() - self._start)
            self._bar.set_postfix_str(f"{self._clips} clips, {rate:.1f} clips/s", refresh=False)
            self._bar.update(items)

    def add_item(self, clips: int) -> None:
        """Counts a finished item."""
        self.add(1, clips)


def _die_with_parent() -> None:
    """Ends this worker when the process that started it is killed; it would wait for work for ever.

    Ctrl-C, which a terminal sends to all, is for that process: it lets the workers finish their units.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def on_beam(runner: str, options: Sequence[str] = ()) -> Runner:
    """Returns a runner that has an Apache Beam pipeline prepare the units; see `data.preparing.beam_units`.

    Raises:
      ImportError: Apache Beam is not installed.
    """
    from data.preparing.beam_units import pipeline_runner  # late: Beam is an extra, and takes seconds to load

    return pipeline_runner(runner, options)
