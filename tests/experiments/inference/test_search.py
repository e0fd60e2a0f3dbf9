import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

import vatt
from experiments.inference.retrieval import cosines
from experiments.inference.search import _EQUAL_LOSS, Hit, best_clips, format_hits, ranking_note
from experiments.inference.trained_model import TrainedModel
from experiments.running.run_directory import RunDirectory

pytestmark = pytest.mark.slow

CLIPS = {
    "file": np.array(["far.mp4", "near.mp4", "sound.wav", "between.mp4"]),
    "start_seconds": np.array([0.0, 3.2, 0.0, 6.4], np.float32),
    "end_seconds": np.array([3.2, 6.4, 3.2, 8.0], np.float32),
    "has_video": np.array([True, True, False, True]),
    "video_text_video": np.array([[-2.0, 0.0], [30.0, 0.0], [0.0, 0.0], [3.0, 4.0]], np.float32),
}


def test_the_cosine_decides_and_files_without_video_are_skipped():
    hits = best_clips(np.array([0.5, 0.0], np.float32), CLIPS, top=10)
    assert [hit.file for hit in hits] == ["near.mp4", "between.mp4", "far.mp4"]
    np.testing.assert_allclose([hit.similarity for hit in hits], [1.0, 0.6, -1.0], atol=1e-6)
    assert (hits[0].start_seconds, hits[0].end_seconds) == (np.float32(3.2), np.float32(6.4))
    assert best_clips(np.array([0.5, 0.0], np.float32), CLIPS, top=1) == hits[:1]


def test_the_table_has_a_line_per_hit():
    table = format_hits("a query", [Hit(0.5, "long name.mp4", 0.0, 3.2), Hit(-0.25, "b.mp4", 12.0, 15.24)])
    assert table.splitlines() == [
        "a query",
        "   1  +0.500  long name.mp4  0.0 - 3.2 s",
        "   2  -0.250  b.mp4          12.0 - 15.2 s",
    ]


FITTING = np.eye(4, 30)  # what a trained model may say of four sentences and thirty videos


@pytest.fixture
def run(tmp_path, make_model) -> TrainedModel:
    """A run of random weights at step 0, warm-up 50, without metrics."""
    directory = RunDirectory(tmp_path / "run")
    directory.path.mkdir()
    directory.write_model(make_model().get_config())
    settings = types.SimpleNamespace(batch_size=32, loss="nce", temperature=0.07, warmup_steps=50)
    return TrainedModel(settings, make_model(), None, 0, str(directory.checkpoints / "ckpt-0"))


def record_losses(run: TrainedModel, **losses: float) -> None:
    directory = RunDirectory(vatt.run_directory(run.checkpoint))
    for step, loss in losses.items():
        directory.append_metrics({"step": int(step.removeprefix("step_")), "loss_video_text": loss})


@pytest.mark.parametrize("form", vatt.LOSS_FORMS)
def test_equal_similarities_have_the_loss_that_is_compared_with(form):
    loss = vatt.contrastive_loss(tf.ones([5, 3]), tf.ones([5, 2, 3]), tf.ones([5, 2], tf.bool), form=form)
    assert _EQUAL_LOSS[form](5) == pytest.approx(float(loss), rel=1e-5)


def test_random_weights_are_reported_as_hardly_trained(run, make_batch):
    outputs = run.model(make_batch(6))["video_text"]
    similarities = cosines(outputs["text"][:, 0].numpy(), outputs["video"].numpy())
    reason = "step 0, within its warm-up of 50 steps"
    expected = f"Note: this model is hardly trained ({reason}), so the order of the results says little."
    assert ranking_note(run, similarities) == expected
    # Random weights, too, can give similarities that differ much.
    assert ranking_note(run, FITTING) == expected


def test_the_recorded_loss_wins_over_the_steps(run):
    record_losses(run, step_20=5.2, step_100=4.1, step_300=3.5)  # equal similarities: log(63) = 4.14
    notes = {step: ranking_note(dataclasses.replace(run, step=step), FITTING) for step in (40, 200, 300, 400)}
    assert "(at step 40 its video-text loss is 5.20; equal similarities give 4.14)" in notes[40]
    assert "(at step 200 its video-text loss is 4.10; equal similarities give 4.14)" in notes[200]
    assert notes[300] is None and notes[400] is None


def test_without_recorded_losses_a_run_past_its_warm_up_is_trusted(run):
    assert ranking_note(dataclasses.replace(run, step=49), FITTING)
    assert ranking_note(dataclasses.replace(run, step=500_000), FITTING) is None


def test_similarities_that_are_nearly_equal_are_named(run):
    trained = dataclasses.replace(run, step=60)
    noise = np.random.default_rng(0).normal(size=30)
    nearly = 0.4 + 0.02 * noise  # a third of the temperature
    assert ranking_note(trained, nearly[None]) == (
        "Note: to this model all 30 videos fit the sentence nearly equally well, so their order says little."
    )
    assert "all 30 videos fit 1 of the 5 sentences nearly" in ranking_note(trained, np.stack([*FITTING, nearly]))
    assert ranking_note(trained, 0.4 + 0.1 * noise[None]) is None
    assert ranking_note(trained, np.array([[0.3]])) is None  # one video has no order
