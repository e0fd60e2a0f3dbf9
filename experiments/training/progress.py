"""The output of a run: the progress line, metrics.jsonl, TensorBoard."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from experiments.running.command_line import RunFailed
from experiments.running.durations import duration
from experiments.running.run_directory import RunDirectory
from experiments.running.stop_signal import Stopped, StopSignal
from experiments.training import step_columns
from experiments.training.layer_metrics import json_list, layer_record, write_layer_summaries
from experiments.training.pace import Pace, Starvation, peak_memory_gib

LONG_RUN_SECONDS = 86_400
STORED_SMALLER = (
    "Frames that are stored no larger than they are used decode faster: --image_size_px of experiments.prepare_data. More "
    "processor cores help, too."
)
STOP_SECONDS = 5.0
"""A loop that was asked to stop is finished if that takes no longer; else it ends with the step that is running."""


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

    A loop that takes long, or that is among the first, has more lines than one: `before_step` shows them. Metrics are
    written once per loop all the same, so that they do not depend on the speed.

    What says "of this program" is what another program than pre-training replaces.

    Args:
      directory: Where metrics.jsonl is.
      run: The run (`experiments.pretraining.assembly.Run`).
      stop: Whether SIGTERM or Ctrl-C has come.
      show: Prints a line.
      clips_by: How many clips of each data set were seen by a step; `None` where there is one set.
    """

    data_advice = STORED_SMALLER
    """What helps a run that waits for data, of this program."""
    advice = "Lower `pretrain.learning_rate`, lengthen `pretrain.warmup_steps`, or try another `pretrain.seed`."
    """What may help a run whose losses are not finite, of this program."""
    shorter = (
        "To shorten it, lower `pretrain.steps`, `pretrain.batch_size` or `ClipSpec.image_size`, or choose a model from "
        "configs/models. configs/my_videos.gin suits a few hundred videos."
    )
    """How to shorten a long run, of this program."""

    def __init__(
        self,
        directory: RunDirectory,
        run,
        stop: StopSignal,
        show: Callable[[str], None],
        clips_by: Callable[[int], dict[str, int]] | None = None,
    ):
        self.directory, self.run, self.stop, self.show, self.clips_by = directory, run, stop, show, clips_by
        self.clock = self.line_clock = time.monotonic()
        self.pace = Pace()
        self.shown = 0  # steps of this loop that a line has told of
        self.compiled = 0, 0.0  # steps of this loop that compilation was among, and their seconds
        self.remaining = run.config.steps_per_loop  # steps of this loop that are not done
        self.starvation = Starvation()
        # Several hosts must stop at the same step.
        several_hosts = tf.distribute.TPUStrategy | tf.distribute.MultiWorkerMirroredStrategy
        self.whole_loops = isinstance(run.strategy, several_hosts)

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
        self.clock = self.line_clock = time.monotonic()

    def before_step(self, done: int, remaining: int) -> None:
        """Shows a line if one is due inside a loop, and ends the loop if a signal cannot wait for its end.

        Args:
          done: Steps of the loop that are done.
          remaining: Steps that are not.

        Raises:
          Stopped: The loop was ended; its steps so far are in the metrics.
        """
        self.remaining = remaining
        stops = bool(self.stop.received) and not self.finishes_loop()
        if not done or not (stops or done - self.shown >= self.pace.line_steps):
            return
        output = self.run.trainer.train_loop_end()
        if stops:
            self.report(output)
            raise Stopped()
        self._show_steps(_arrays(output), self._line_lap())

    def finishes_loop(self) -> bool:
        """Returns whether a run that was asked to stop finishes its loop first."""
        step_seconds = self.pace.step_seconds
        return self.whole_loops or (step_seconds is not None and self.remaining * step_seconds <= STOP_SECONDS)

    def say_stopping(self, name: str) -> None:
        """Says what happens now that a signal of this name has come."""
        part = f"the current loop, {self.remaining} more steps" if self.finishes_loop() else "the current step"
        self.show(
            f"{name}: finishing {part}, then saving a checkpoint. Ctrl-C now quits at once, without a checkpoint."
        )

    def __call__(self, output: dict) -> None:
        """Takes the columns of the loop's steps and leaves their means in `output`, for TensorBoard."""
        self.report(output)
        if self.stop.received:
            raise Stopped()

    def report(self, output: dict) -> None:
        """Does all of `__call__` but heed the request to stop."""
        columns = _arrays(output)
        line_seconds, seconds = self._line_lap(), self._lap()
        self._stop_if_not_finite(columns)
        means = step_columns.over_loop(*self._timed(columns, seconds))
        step = int(self.run.trainer.global_step.numpy())
        record = {"step": step, **{name: None if np.isnan(mean) else mean for name, mean in means.items()}}
        if self.clips_by:
            record["clips"] = self.clips_by(step)
        for name, values in step_columns.every_step(columns).items():
            record[name] = json_list(values, digits=4)
            # TensorBoard hides a scalar of the same tag.
            tf.summary.histogram(name, values[~np.isnan(values)], step=step)
        if "layer_cosine" in columns:
            layers = layer_record(columns, self.run.trainer.log.layers, self.objectives())
            record.update(layers)
            write_layer_summaries(layers, self.objectives(), step)
        self.directory.append_metrics(record)
        self._show_steps(columns, line_seconds)
        self.shown, self.compiled, self.remaining = 0, (0, 0.0), self.run.config.steps_per_loop
        output.clear()
        output.update({name: mean for name, mean in means.items() if not np.isnan(mean)})

    def steps(self) -> int:
        """Returns the steps of the whole run, of this program."""
        return self.run.config.steps

    def to_border(self, step: int) -> int:
        """Returns the steps, at least 1, from a step to the next one that no loop may pass, of this program."""
        return max(self.steps() - step, 1)

    def method_and_data(self) -> tuple[str, str]:
        """Returns the names of the method and of the data sets, of this program."""
        method = type(self.run.trainer.harmonizer).__name__
        if self.run.trainer.curriculum:
            method += " of the clips that the curriculum keeps"
        return method, ", ".join(self.run.config.datasets)

    def objectives(self) -> tuple[str, ...]:
        """Returns the names of the losses, of this program."""
        return self.run.trainer.log.objectives

    def losses_text(self, means: dict[str, float]) -> str:
        """Returns the end of the line, of this program."""
        losses = f"loss va {means['loss_video_audio']:.3f} vt {means['loss_video_text']:.3f}"
        return losses + step_columns.line(means)

    def _lap(self):
        now = time.monotonic()
        seconds, self.clock, self.line_clock = now - self.clock, now, now
        self.run.seconds_spent.assign_add(seconds)
        return seconds

    def _line_lap(self):
        now = time.monotonic()
        seconds, self.line_clock = now - self.line_clock, now
        return seconds

    def _timed(self, columns, seconds):
        """Returns the columns and the mean time of the steps, without those that compilation was among if there are others."""
        (steps, less), waited = self.compiled, columns["data_wait_seconds"]
        return columns | {"data_wait_seconds": waited[steps:]}, (seconds - less) / (len(waited) - steps)

    def _show_steps(self, columns, seconds):
        """Shows the line of the loop's steps that no line has told of yet."""
        columns = {name: column[self.shown :] for name, column in columns.items()}
        self._stop_if_not_finite(columns)
        steps, untimed = len(columns["finite"]), self.pace.step_seconds is None
        compiling = self.pace.compiling
        self.shown += steps
        self.pace.add(steps, seconds)
        if compiling:
            self.compiled = steps, seconds
        speed = self._compilation_text(steps, seconds) if compiling else self._speed_text(columns, seconds / steps)
        memory = f"peak memory {peak_memory_gib():.1f} GiB | " if untimed else ""
        step = int(self.run.trainer.global_step.numpy())
        losses = self.losses_text(step_columns.over_loop(columns, seconds / steps))
        self.show(f"step {step}/{self.steps()} {step / self.steps():.1%} | {speed}{memory}{losses}")
        if untimed and not compiling and self._remaining_seconds() > LONG_RUN_SECONDS:
            self.show(f"This run will take about {duration(self._remaining_seconds())}. {self.shorter}")
        if not compiling and self.starvation.is_lasting(seconds, self._waited_share(columns, seconds / steps)):
            self.show(f"The steps wait for data {self.starvation.share:.0%} of the time. {self.data_advice}")

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
            objective = int(columns["bad_objective"][row])  # -1 where one gradient serves all losses
            of = f" of {objectives[objective]}" if objective >= 0 else ""
            where += f"; first in the gradient{of} with respect to {variable.name}"
        raise RunFailed(
            f"step {step} is not finite: {where}. The step was not applied, and no checkpoint was written after it; the last "
            f"good checkpoint is in {self.directory.checkpoints}. {self.advice}"
        )

    def _compilation_text(self, steps, seconds):
        first = "first step" if steps == 1 else f"first {steps} steps"
        return f"{first}, compilation included: {seconds:.1f} s | "

    def _speed_text(self, columns, step_seconds):
        return (
            f"{step_seconds:.3g} s/step | {self.run.config.batch_size / step_seconds:.1f} clips/s | "
            f"data {self._waited_share(columns, step_seconds):.0%} | ETA {duration(self._remaining_seconds())} | "
        )

    def _waited_share(self, columns, step_seconds):
        return step_columns.over_loop(columns, step_seconds)["data_wait_share"]

    def _remaining_seconds(self):
        return (self.steps() - int(self.run.trainer.global_step.numpy())) * self.pace.step_seconds


def _arrays(output: dict) -> dict[str, np.ndarray]:
    return step_columns.with_undefined({name: np.asarray(column) for name, column in output.items()})
