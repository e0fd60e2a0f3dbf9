"""What a person sees of a run, and what is kept of it: the progress line, metrics.jsonl, TensorBoard."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from experiments.command_line import RunFailed
from experiments.durations import duration
from experiments.layer_metrics import layer_record, write_layer_summaries
from experiments.run_directory import RunDirectory


class Stopped(Exception):
    """The run was asked to stop (SIGTERM)."""


class StopSignal:
    """Remembers a signal until the loop is done with its steps.

    A plain attribute, looked at now and then: a signal that comes as `threading.Event.wait` begins is not heard.

    Args:
      numbers: The signals that mean it.
    """

    def __init__(self, *numbers: signal.Signals):
        self.received = False
        for number in numbers or (signal.SIGTERM,):
            signal.signal(number, self._remember)

    def _remember(self, *_):
        self.received = True


def printer() -> Callable[[str], None]:
    """Returns a function that prints a line where standard output is now; it is not disturbed by `quiet`."""
    stdout = sys.stdout
    return lambda line: print(line, file=stdout, flush=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps Orbit, which prints every output twice, off the terminal; the progress line says it better."""
    with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
        yield


class Progress:
    """Looks at every loop of steps: stops a broken run, writes metrics, prints a line. An Orbit train action.

    The methods after `report` that say "of this program" are what another program than pre-training replaces.

    Args:
      directory: Where metrics.jsonl is.
      run: The run (`experiments.assembly.Run`).
      stop: Whether SIGTERM has come.
      show: Prints a line.
      clips_by: How many clips of each data set were seen by a step; `None` where there is one set.
    """

    def __init__(
        self,
        directory: RunDirectory,
        run,
        stop: StopSignal,
        show: Callable[[str], None],
        clips_by: Callable[[int], dict[str, int]] | None = None,
    ):
        self.directory, self.run, self.stop, self.show, self.clips_by = directory, run, stop, show, clips_by
        self.clock = time.monotonic()
        self.timed_steps, self.timed_seconds = 0, 0.0
        self.first_loop = True

    def announce(self, step: int) -> None:
        """Says what is about to run, and that the first steps take long."""
        config, run = self.run.config, self.run
        method, data = self.method_and_data()
        replicas = run.strategy.num_replicas_in_sync
        parameters = sum(int(tf.size(variable)) for variable in run.trainer.weights)
        self.show(
            f"{replicas} replica(s) on {', '.join(sorted({d.device_type for d in tf.config.list_logical_devices()}))} | "
            f"batch {config.batch_size} ({config.batch_size // replicas} per replica) | {config.precision} | "
            f"{parameters / 1e6:.2f} M parameters | {method} | data {data} | {self.directory.path}"
        )
        if step:
            self.show(f"Resumed at step {step}, data position {step * config.batch_size} clips.")
        self.show("Compiling the training step; the first time this can take minutes ...")
        self.clock = time.monotonic()

    def __call__(self, output: dict) -> None:
        """Takes the columns of the loop's steps and leaves their means in `output`, for TensorBoard."""
        self.report(output)
        if self.stop.received:
            raise Stopped()

    def report(self, output: dict) -> None:
        """Does all of `__call__` but heed the request to stop."""
        columns = {name: np.asarray(column) for name, column in output.items()}
        seconds, steps = self._lap(), len(columns["finite"])
        self._stop_if_not_finite(columns)
        means = self._means(columns, seconds / steps)
        step = int(self.run.trainer.global_step.numpy())
        record = {"step": step, **means}
        if self.clips_by:
            record["clips"] = self.clips_by(step)
        for name in self.cosines(columns):
            every_step = name.replace("cosine", "cosines")
            record[every_step] = columns[name].astype(np.float64).round(4).tolist()
            tf.summary.histogram(every_step, columns[name], step=step)  # TensorBoard hides a scalar of the same tag
        if "layer_cosine" in columns:
            layers = layer_record(columns, self.run.trainer.log.layers, self.objectives())
            record.update(layers)
            write_layer_summaries(layers, self.objectives(), step)
        self.directory.append_metrics(record)
        self.show(self._line(step, steps, seconds, means))
        output.clear()
        output.update(means)

    advice = (
        "Lower `pretrain.learning_rate`, lengthen `pretrain.warmup_steps`, or look at the data with another `pretrain.seed`."
    )

    def steps(self) -> int:
        """Returns the steps of the whole run, of this program."""
        return self.run.config.steps

    def method_and_data(self) -> tuple[str, str]:
        """Returns the names of the method and of the data sets, of this program."""
        method = type(self.run.trainer.harmonizer).__name__
        if self.run.trainer.curriculum:
            method += " of the clips that the curriculum keeps"
        return method, ", ".join(self.run.config.datasets)

    def objectives(self) -> tuple[str, ...]:
        """Returns the names of the losses, of this program."""
        return self.run.trainer.log.objectives

    def cosines(self, columns: dict[str, np.ndarray]) -> list[str]:
        """Returns the columns that hold cosines of gradients, of this program."""
        return ["cosine"]

    def losses_text(self, means: dict[str, float]) -> str:
        """Returns the end of the line, of this program."""
        text = (
            f"loss va {means['loss_video_audio']:.3f} vt {means['loss_video_text']:.3f} | "
            f"cos {means['cosine']:+.3f} | kept {means['keep']:.0%}"
        )
        if "clip_weight" not in means:
            return text
        return f"{text} | clips cos {means['clip_alignment']:+.3f} kept {means['clip_weight']:.0%}"

    def _lap(self):
        now = time.monotonic()
        seconds, self.clock = now - self.clock, now
        self.run.seconds_spent.assign_add(seconds)
        return seconds

    def _stop_if_not_finite(self, columns):
        losses = [columns[name] for name in columns if name.startswith("loss_")]
        bad = (columns["finite"] < 1) | ~np.isfinite(losses).all(axis=0)
        if not bad.any():
            return
        row = int(bad.argmax())
        step = int(self.run.trainer.global_step.numpy()) - len(bad) + row + 1
        objectives = self.objectives()
        where = ", ".join(f"loss {name} = {columns[f'loss_{name}'][row]:g}" for name in objectives)
        if columns["bad_variable"][row] >= 0:
            variable = self.run.trainer.weights[int(columns["bad_variable"][row])]
            where += (
                f"; first in the gradient of {objectives[int(columns['bad_objective'][row])]} "
                f"with respect to {variable.name}"
            )
        raise RunFailed(
            f"step {step} is not finite: {where}. The step was not applied and no checkpoint was written after it; the last "
            f"good one is in {self.directory.checkpoints}. {self.advice}"
        )

    def _means(self, columns, step_seconds):
        means = {
            name: float(column.mean())
            for name, column in columns.items()
            if name not in ("finite", "bad_objective", "bad_variable") and column.ndim == 1
        }
        for name in self.cosines(columns):
            means[name.replace("cosine", "conflict_rate")] = float((columns[name] < 0).mean())
        means["step_seconds"] = step_seconds
        means["data_wait_share"] = min(1.0, means.pop("data_wait_seconds") / step_seconds)
        means["learning_rate"] = float(columns["learning_rate"][-1])
        return means

    def _line(self, step, steps, seconds, means):
        all_steps = self.steps()
        text = f"step {step}/{all_steps} {step / all_steps:.1%} | "
        if self.first_loop:  # its time is mostly compilation: it says nothing about the speed
            self.first_loop = False
            text += f"first {steps} steps, compilation included: {seconds:.1f} s | "
        else:
            self.timed_steps += steps
            self.timed_seconds += seconds
            remaining = (all_steps - step) * self.timed_seconds / self.timed_steps
            text += (
                f"{means['step_seconds']:.3g} s/step | {self.run.config.batch_size / means['step_seconds']:.1f} clips/s | "
                f"data {means['data_wait_share']:.0%} | ETA {duration(remaining)} | "
            )
        return text + self.losses_text(means)
