"""A whole run with the loop that TPUs take: many steps in one call of TensorFlow, which nothing in Python can watch.

A TPU is not needed for it, only a strategy that the programs take for a TPU's.
"""

import signal

import pytest
import tensorflow as tf

import vatt
from experiments.running.run_directory import RunDirectory

pytestmark = pytest.mark.slow

LOOPS = ["pretrain.steps = 9", "pretrain.steps_per_loop = 3", "pretrain.checkpoint_every_steps = 6"]
TPU_STRATEGY = tf.distribute.TPUStrategy  # before a test replaces it


@pytest.fixture
def taken_for_a_tpu(monkeypatch):
    """The default strategy passes for a TPU's."""
    monkeypatch.setattr(tf.distribute, "TPUStrategy", type(tf.distribute.get_strategy()))


@pytest.fixture
def stop_in_the_first_loop(monkeypatch):
    """A function that makes SIGTERM come while the next run's first loop is running."""
    from experiments.training.step_trainer import StepTrainer

    begin = StepTrainer.train_loop_begin

    def arm() -> None:
        def once(trainer) -> None:
            monkeypatch.setattr(StepTrainer, "train_loop_begin", begin)
            begin(trainer)
            signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr(StepTrainer, "train_loop_begin", once)

    return arm


@pytest.fixture(scope="module")
def whole_once() -> list:
    """What `whole` returns, once a test has asked for it."""
    return []


@pytest.fixture
def whole(whole_once, pretrain_here, quick_graphs, taken_for_a_tpu, tmp_path_factory) -> tuple[RunDirectory, str]:
    """An undisturbed run whose loop is one call, the same for all tests, and what it printed."""
    if not whole_once:
        directory = RunDirectory(tmp_path_factory.mktemp("whole") / "run")
        code, output, errors = pretrain_here(*LOOPS, workdir=str(directory.path))
        assert code == 0, errors
        whole_once.extend((directory, output))
    return whole_once


def test_it_trains_stops_after_its_loop_and_resumes_exactly(
    whole, pretrain_here, stop_in_the_first_loop, tmp_path, same_checkpoints
):
    (undisturbed, output), stopped = whole, RunDirectory(tmp_path / "stopped")
    assert [line.split("/")[0] for line in output.splitlines() if line.startswith("step ")] == [
        "step 3",
        "step 6",
        "step 9",
    ]
    assert [record["step"] for record in undisturbed.read_metrics()] == [3, 6, 9]
    stop_in_the_first_loop()
    code, output, errors = pretrain_here(*LOOPS, workdir=str(stopped.path))
    assert code == 0 and "Stopped by SIGTERM at step 3; a checkpoint is saved." in output, errors
    code, output, errors = pretrain_here(*LOOPS, workdir=str(stopped.path))
    assert code == 0 and "Resumed at step 3" in output, errors
    same_checkpoints(undisturbed, stopped, least=100)


def test_it_does_what_the_loop_that_python_runs_does(whole, pretrain_here, monkeypatch, tmp_path):
    monkeypatch.setattr(tf.distribute, "TPUStrategy", TPU_STRATEGY)
    python = RunDirectory(tmp_path / "python")
    with vatt.traced_for_tpu():  # whose random words are others
        code, _, errors = pretrain_here(*LOOPS, workdir=str(python.path))
    assert code == 0, errors
    for one, other in zip(python.read_metrics(), whole[0].read_metrics(), strict=True):
        assert one.keys() == other.keys()
        for name in ("loss_video_audio", "loss_video_text", "cosine", "cosines", "kept_share"):
            if name in one:
                assert other[name] == pytest.approx(one[name], rel=1e-3, abs=1e-3), name
