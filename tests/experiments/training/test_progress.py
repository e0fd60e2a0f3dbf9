"""What a person is told of a run."""

import dataclasses
import math
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from experiments.pretraining.log import StepLog
from experiments.running.command_line import RunFailed
from experiments.running.durations import duration
from experiments.running.run_directory import RunDirectory
from experiments.running.stop_signal import Stopped, StopSignal
from experiments.training import progress
from experiments.training.progress import Progress

STEPS_PER_LOOP = 4


@dataclasses.dataclass
class Config:
    steps: int = 100
    batch_size: int = 8
    precision: str = "float32"
    datasets: tuple = ("synthetic", "more")
    steps_per_loop: int = STEPS_PER_LOOP


class Trainer:
    def __init__(self):
        self.global_step = tf.Variable(0, dtype=tf.int64)
        self.log = StepLog(STEPS_PER_LOOP)
        self.weights = [tf.Variable(tf.zeros([500, 1000]), name="first"), tf.Variable(0.0, name="second")]
        self.harmonizer, self.curriculum = "a method", None


@dataclasses.dataclass
class Run:
    config: Config
    trainer: Trainer
    strategy: tf.distribute.Strategy
    seconds_spent: tf.Variable


class Clock:
    """Stands in for the module `time`."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(progress, "time", Clock())
    monkeypatch.setattr(progress, "peak_memory_gib", lambda: 1.25)
    return progress.time


@pytest.fixture
def told(tmp_path, clock):
    """A `Progress` over a run that does nothing, with the lines that it has shown in `lines`."""
    run = Run(Config(), Trainer(), tf.distribute.get_strategy(), tf.Variable(0.0, dtype=tf.float64))
    stop = dataclasses.make_dataclass("Stop", ["received"])("")
    lines = []
    made = Progress(RunDirectory(tmp_path), run, stop, show=lines.append)
    made.lines = lines
    return made


def columns(steps=STEPS_PER_LOOP, **changes):
    fields = StepLog(1).fields
    values = {field: np.full(steps, 1.0, np.float32) for field in fields}
    values |= {"bad_objective": np.full(steps, -1.0), "bad_variable": np.full(steps, -1.0)}
    return values | {name: np.asarray(value, np.float32) for name, value in changes.items()}


def loop(told, clock, seconds, **changes) -> dict:
    """Lets a loop of steps pass; returns what is left for TensorBoard."""
    clock.now += seconds
    output = columns(**changes)
    told.run.trainer.global_step.assign_add(len(output["cosine"]))
    told(output)
    return output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0m00s"), (59.9, "0m59s"), (307, "5m07s"), (3_600, "1h00m"), (12_059, "3h20m"), (86_400, "1d00h"),
     (8 * 86_400 + 4 * 3_600 + 59, "8d04h")],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_the_announcement_says_what_runs_and_where_it_goes_on(told):
    told.announce(0)
    assert told.lines[0] == (
        "1 replica(s) on CPU | batch 8 (8 per replica) | float32 | 0.50 M parameters | str | data synthetic, more | "
        f"{told.directory.path}"
    )
    assert told.lines[1:] == ["Compiling the training step; the first time this can take minutes ..."]
    told.run.trainer.curriculum = "a curriculum"
    told.announce(17)
    assert "| str of the clips that the curriculum keeps | data" in told.lines[2]
    assert "Resumed at step 17, data position 136 clips." in told.lines


def test_the_line_leaves_compilation_out_of_the_speed(told, clock):
    told.announce(0)
    loop(told, clock, 30.0, loss_video_audio=[2, 4, 3, 3], cosine=[0.5, -0.5, 0.3, -0.1], keep=[1, 0, 1, 1])
    assert told.lines[-1] == (
        "step 4/100 4.0% | first 4 steps, compilation included: 30.0 s | "
        "peak memory 1.2 GiB | loss va 3.000 vt 1.000 | cos +0.050 | kept 75%"
    )
    loop(told, clock, 2.0, data_wait_seconds=[0.05] * 4)
    loop(told, clock, 6.0, data_wait_seconds=[0.3] * 4)
    # 8 steps in 8 s; 88 remain. The rate shown is the last loop's.
    assert told.lines[-1] == (
        "step 12/100 12.0% | 1.5 s/step | 5.3 clips/s | data 20% | ETA 1m28s | loss va 1.000 vt 1.000 | cos +1.000 | kept 100%"
    )
    assert float(told.run.seconds_spent) == 38.0


def test_a_run_that_keeps_waiting_for_data_is_told_once_what_helps(told, clock):
    told.data_advice = "Do this."
    # The first line is mostly compilation, in the second the wait is short.
    for wait in ([2.0] * 4, [0.1] * 4, *[[1.0, 2.0, 1.0, 2.0]] * 3):
        assert "Do this." not in "".join(told.lines)
        loop(told, clock, 12.0, data_wait_seconds=wait)
    assert told.lines[-1] == "The steps wait for data 50% of the time. Do this."
    for _ in range(5):
        loop(told, clock, 12.0, data_wait_seconds=[2.0] * 4)
    assert "".join(told.lines).count("Do this.") == 1


def test_the_line_tells_of_clips_that_are_judged(told, clock):
    left = loop(
        told, clock, 1.0, clip_alignment=[0.5, 0.0, -0.25, 0.0], clip_weight=[1, 0, 0.5, 1], clips_judged=[1] * 4
    )
    assert told.lines[-1].endswith("| cos +1.000 | kept 100% | clips cos +0.062 kept 62%")
    (record,) = told.directory.read_metrics()
    assert record["clip_alignment"] == left["clip_alignment"] == 0.0625
    assert record["clip_weight"] == left["clip_weight"] == 0.625


def test_the_metrics_are_the_loop_s_means_and_every_cosine(told, clock):
    left = loop(told, clock, 2.0, cosine=[0.25, -0.25, 0.5, 0.5], keep=[1, 0, 1, 1], learning_rate=[1, 2, 3, 4])
    (record,) = told.directory.read_metrics()
    assert record["step"] == 4 and record["cosines"] == [0.25, -0.25, 0.5, 0.5]
    assert record["cosine"] == 0.25 and record["conflict_rate"] == 0.25 and record["keep"] == 0.75
    assert record["learning_rate"] == 4 and record["step_seconds"] == 0.5
    assert not {"finite", "bad_objective", "bad_variable"} & set(record)
    assert left == {name: value for name, value in record.items() if name not in ("step", "cosines")}


def test_a_step_in_the_middle_of_a_loop_that_is_not_finite_is_named(told, clock):
    loop(told, clock, 1.0)
    bad = dict(
        finite=[1, 1, 0, 1],
        loss_video_text=[1, 1, math.nan, 1],
        bad_objective=[-1, -1, 1, -1],
        bad_variable=[-1, -1, 1, -1],
    )
    with pytest.raises(RunFailed) as failure:
        loop(told, clock, 1.0, **bad)
    message = str(failure.value)
    assert message.startswith(
        "step 7 is not finite: loss video_audio = 1, loss video_text = nan; first in the gradient of video_text with "
        "respect to second:0."
    )
    assert str(told.directory.checkpoints) in message and "pretrain.learning_rate" in message
    assert [record["step"] for record in told.directory.read_metrics()] == [4]


def test_a_loss_that_is_not_finite_is_enough(told, clock):
    with pytest.raises(RunFailed, match="step 1 is not finite: loss video_audio = inf"):
        loop(told, clock, 1.0, loss_video_audio=[math.inf, 1, 1, 1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_heard_at_the_end_of_the_loop(told, clock, number):
    previous = signal.getsignal(number)
    with StopSignal() as told.stop:
        loop(told, clock, 1.0)
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped):
            loop(told, clock, 1.0)
    assert told.stop.received == number.name and signal.getsignal(number) is previous
    assert [record["step"] for record in told.directory.read_metrics()] == [4, 8]


def run_loop(told, clock, step_seconds, steps=STEPS_PER_LOOP, at_step=None):
    """Lets a loop of steps pass, one by one, as the trainers do; calls `at_step` with the steps that are done."""
    done = 0
    told.run.trainer.train_loop_end = lambda: columns(done)
    for done in range(steps):
        if at_step:
            at_step(done)
        told.before_step(done, steps - done)
        clock.now += step_seconds
        told.run.trainer.global_step.assign_add(1)
    told(columns(steps))


def test_lines_come_early_and_then_less_often(told, clock):
    told.run.config.steps = 1_000
    for _ in range(3):
        run_loop(told, clock, 1.0, steps=20)
    advice = [line for line in told.lines if not line.startswith("step ")]
    assert len(advice) == 1 and advice[0].startswith("The steps wait for data 100% of the time.")
    starts = [line.split(" | ")[0].split("/")[0] for line in told.lines if line not in advice]
    assert starts == [f"step {step}" for step in (1, 2, 4, 8, 16, 20, 36, 40, 56, 60)]
    assert "first step, compilation included: 1.0 s | peak memory 1.2 GiB" in told.lines[0]
    assert "1 s/step | 8.0 clips/s | data 100% | ETA 16m38s | peak memory 1.2 GiB | loss" in told.lines[1]
    assert not any("memory" in line for line in told.lines[2:])
    records = told.directory.read_metrics()
    assert [(record["step"], len(record["cosines"]), record["step_seconds"]) for record in records] == [
        (20, 20, 1.0), (40, 20, 1.0), (60, 20, 1.0)
    ]  # fmt: skip


def test_metrics_leave_compilation_out_of_the_time_of_a_step(told, clock):
    def compile_first(done):
        clock.now += 30.0 if done == 1 else 0.0  # the first step's time, until the call before the second

    run_loop(told, clock, 1.0, at_step=compile_first)
    run_loop(told, clock, 2.0, at_step=compile_first)
    first, second = told.directory.read_metrics()
    assert first["step_seconds"] == 1.0 and first["data_wait_share"] == 1.0
    assert second["step_seconds"] == 9.5, "no compilation: this time counts"
    assert told.run.seconds_spent.numpy() == 34.0 + 38.0


def test_slow_steps_have_a_line_each(told, clock):
    run_loop(told, clock, 12.0)
    assert [line.split("/")[0] for line in told.lines] == ["step 1", "step 2", "step 3", "step 4"]


def test_a_run_of_more_than_a_day_says_so_once(told, clock):
    told.run.config.steps = 100_000
    run_loop(told, clock, 10.0)
    run_loop(told, clock, 10.0)
    (warning,) = [line for line in told.lines if line.startswith("This run will take about ")]
    assert warning.startswith("This run will take about 11d13h. To shorten it, lower `pretrain.steps`")
    assert told.lines.index(warning) == 2, "after the first line with a speed"


def test_a_signal_ends_a_long_loop_after_the_step(told, clock):
    def signal_at_two(done):
        told.stop.received = "SIGTERM" if done == 2 else ""

    run_loop(told, clock, 3.0)
    with pytest.raises(Stopped):
        run_loop(told, clock, 3.0, at_step=signal_at_two)
    assert told.lines[-1].startswith("step 6/100 ")
    assert [(record["step"], len(record["cosines"])) for record in told.directory.read_metrics()] == [(4, 4), (6, 2)]
    told.say_stopping("SIGTERM")
    assert told.lines[-1].startswith("SIGTERM: finishing the current step, then saving a checkpoint.")


def test_a_signal_lets_a_short_loop_end(told, clock):
    def signal_at_two(done):
        if done == 2:
            told.stop.received = "SIGTERM"
            told.remaining = 2
            told.say_stopping("SIGTERM")

    run_loop(told, clock, 1.0)
    with pytest.raises(Stopped):
        run_loop(told, clock, 1.0, at_step=signal_at_two)
    assert any(line.startswith("SIGTERM: finishing the current loop, 2 more steps, then saving") for line in told.lines)
    assert [record["step"] for record in told.directory.read_metrics()] == [4, 8]


def test_a_bad_step_is_named_before_the_loop_ends(told):
    told.run.trainer.global_step.assign(2)
    told.run.trainer.train_loop_end = lambda: columns(2, loss_video_text=[1, math.nan])
    with pytest.raises(RunFailed, match="step 2 is not finite"):
        told.before_step(2, 2)
