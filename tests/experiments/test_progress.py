"""What a person is told of a run."""

import dataclasses
import math
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from experiments import progress
from experiments.command_line import RunFailed
from experiments.durations import duration
from experiments.progress import Progress
from experiments.run_directory import RunDirectory
from experiments.step_log import StepLog
from experiments.stop_signal import Stopped, StopSignal

STEPS_PER_LOOP = 4


@dataclasses.dataclass
class Config:
    steps: int = 100
    batch_size: int = 8
    precision: str = "float32"
    datasets: tuple = ("synthetic", "more")


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
    return progress.time


@pytest.fixture
def told(tmp_path, clock):
    """A `Progress` over a run that does nothing, with the lines that it has shown in `lines`."""
    run = Run(Config(), Trainer(), tf.distribute.get_strategy(), tf.Variable(0.0, dtype=tf.float64))
    stop = dataclasses.make_dataclass("Stop", ["received"])(False)
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
        "loss va 3.000 vt 1.000 | cos +0.050 | kept 75%"
    )
    loop(told, clock, 2.0, data_wait_seconds=[0.05] * 4)
    loop(told, clock, 6.0, data_wait_seconds=[0.3] * 4)
    # 8 steps in 8 s; 88 remain. The rate shown is the last loop's.
    assert told.lines[-1] == (
        "step 12/100 12.0% | 1.5 s/step | 5.3 clips/s | data 20% | ETA 1m28s | loss va 1.000 vt 1.000 | cos +1.000 | kept 100%"
    )
    assert float(told.run.seconds_spent) == 38.0


def test_the_line_tells_of_clips_that_are_judged(told, clock):
    left = loop(told, clock, 1.0, clip_alignment=[0.5, 0.0, -0.25, 0.0], clip_weight=[1, 0, 0.5, 1], clips_judged=[1] * 4)
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
        finite=[1, 1, 0, 1], loss_video_text=[1, 1, math.nan, 1], bad_objective=[-1, -1, 1, -1], bad_variable=[-1, -1, 1, -1]
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


def test_sigterm_is_heard_at_the_end_of_the_loop(told, clock):
    previous = signal.getsignal(signal.SIGTERM)
    try:
        told.stop = StopSignal()
        loop(told, clock, 1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            loop(told, clock, 1.0)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert [record["step"] for record in told.directory.read_metrics()] == [4, 8]
