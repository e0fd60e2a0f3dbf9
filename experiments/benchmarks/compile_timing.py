"""How long training steps take to be traced and compiled by XLA."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from experiments.benchmarks.measure import seconds_of
from experiments.pretraining import config
from experiments.pretraining.assembly import build_run, random_batch
from experiments.running.command_line import BadInput
from vatt.keras import keras

_VOCABULARY_SIZE = 1000


class Compilation(NamedTuple):
    """Seconds until a step first runs.

    Attributes:
      tracing: Of processor time, from Python to TensorFlow's graph.
      compiling: Of processor time, from the graph to XLA's program.
      elapsed: Of both, by the clock.
      nodes: Operations of the graph.
    """

    tracing: float
    compiling: float
    elapsed: float
    nodes: int

    @property
    def whole(self) -> float:
        """Seconds of processor time, of both."""
        return self.tracing + self.compiling


def median_compilations(
    files: Sequence[str], ways: Mapping[str, Sequence[str]], repeats: int
) -> tuple[dict[str, Compilation], dict[str, str]]:
    """Traces and compiles every step so often, all in turn; prints each.

    Args:
      files: gin files of the run.
      ways: Names of steps and the bindings of each.
      repeats: How often.

    Returns:
      The medians by name, and why the other steps cannot be built.
    """
    found, refused = {}, {}
    for _ in range(repeats):
        for name, bindings in ways.items():
            try:
                last = _compile(files, bindings)
            except (BadInput, ValueError) as error:
                refused[name] = str(error).splitlines()[0]
            else:
                found.setdefault(name, []).append(last)
                print(f"{name}: {last.tracing:.2f} + {last.compiling:.2f} s of processor time", flush=True)
    return {
        name: Compilation(*map(statistics.median, zip(*every, strict=True))) for name, every in found.items()
    }, refused


def table(found: Mapping[str, Compilation], reference: str) -> list[str]:
    """Returns the lines of the table, in processor time, with each step's time over that of one of them."""
    heads = ["nodes", "trace s", "compile s", "both s", f"/ {reference}", "elapsed s"]
    lines = [f"{'step':<24} " + " ".join(f"{head:>10}" for head in heads)]
    least = found[reference].whole if reference in found else float("nan")
    for name, each in found.items():
        cells = [each.tracing, each.compiling, each.whole, each.whole / least, each.elapsed]
        lines.append(f"{name:<24} {each.nodes:10.0f} " + " ".join(f"{cell:10.2f}" for cell in cells))
    return lines


def _compile(files, bindings) -> Compilation:
    try:
        settings = config.parse(files, [*bindings, "pretrain.jit_compile = True"])
        trainer = build_run(settings, tf.distribute.get_strategy(), _VOCABULARY_SIZE).trainer
        batch = random_batch(settings.clips, settings.batch_size, _VOCABULARY_SIZE)
        return _compile_step(trainer.compiled(trainer.replica_step), batch)
    finally:
        keras.backend.clear_session()
        gc.collect()


def _compile_step(step, batch) -> Compilation:
    traced, elapsed = _clocked(lambda: step.get_concrete_function(batch))
    compiled, first_elapsed = _clocked(lambda: step(batch))
    taken, again_elapsed = _clocked(lambda: step(batch))
    nodes = len(step.get_concrete_function(batch).graph.get_operations())
    return Compilation(traced, compiled - taken, elapsed + first_elapsed - again_elapsed, nodes)


def _clocked(call: Callable[[], object]) -> tuple[float, float]:
    """The seconds of processor time and by the clock that a call takes."""
    started = time.process_time()
    elapsed = seconds_of(call)
    return time.process_time() - started, elapsed
