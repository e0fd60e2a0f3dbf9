"""How the benchmarks measure time and memory."""

import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence

from experiments.running.programs import found_anywhere


def median_seconds(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns the median wall time of each call; see `medians`."""
    timed = {name: functools.partial(_timed, call) for name, call in calls.items()}
    return {name: seconds for name, (seconds,) in medians(timed, repeats).items()}


def medians(timed: Mapping[Hashable, Callable[[], Sequence[float]]], repeats: int) -> dict[Hashable, tuple[float, ...]]:
    """Returns the median of each number that a call returns. The calls take turns, so that a busy machine is unfair to none.

    Args:
      timed: What to call, by name; each is called twice more in the beginning, to compile and to warm up.
      repeats: Calls of each that count.
    """
    numbers = {name: [] for name in timed}
    for _ in range(repeats + 2):
        for name, call in timed.items():
            numbers[name].append(call())
    return {name: tuple(map(statistics.median, zip(*each[2:], strict=True))) for name, each in numbers.items()}


def _timed(call):
    return (seconds_of(call),)


def seconds_of(call: Callable[[], object]) -> float:
    """Returns the wall time of one call, its work on the devices included."""
    return times_of(call)[0]


def times_of(call: Callable[[], object]) -> tuple[float, float]:
    """Returns `seconds_of` a call and its processor time, which other programs on the machine disturb little."""
    import tensorflow as tf

    tf.test.experimental.sync_devices()
    wall, processor = time.perf_counter(), time.process_time()
    result = call()
    tf.test.experimental.sync_devices()
    seconds = time.perf_counter() - wall, time.process_time() - processor
    del result
    return seconds


def peak_bytes(calls: Mapping[str, Callable[[], object]], repeats: int = 1) -> dict[str, int]:
    """Returns how far TensorFlow's memory rises during each call, its result included; see `run_worker`.

    Args:
      calls: By name.
      repeats: How often each is called; the median is returned, as operations that run at the same time differ from call to call.
    """
    import tensorflow as tf

    device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    peaks = {}
    for name, call in calls.items():
        call()
        rises = []
        for _ in range(repeats):
            before = tf.config.experimental.get_memory_info(device)["current"]
            tf.config.experimental.reset_memory_stats(device)
            call()
            rises.append(tf.config.experimental.get_memory_info(device)["peak"] - before)
        peaks[name] = round(statistics.median(rises))
    return peaks


def run_worker(module: str, quantity: str, arguments: Sequence[str]) -> dict[str, float]:
    """Runs a benchmark in a process of its own and returns the JSON of its last line.

    Args:
      module: The benchmark's.
      quantity: "time" or "memory". The CPU's default allocator keeps no record of memory; for "memory" one does that is
        not what people run, hence the two processes.
      arguments: Of the command line, in addition to `--worker`.

    Raises:
      RuntimeError: It failed; with the end of what it said.
    """
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
    if quantity == "memory":
        environment["TF_CPU_ALLOCATOR_USE_BFC"] = "1"
    command = [sys.executable, "-m", module, f"--worker={quantity}", *arguments]
    done = subprocess.run(found_anywhere(command), env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"Measuring the {quantity} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
