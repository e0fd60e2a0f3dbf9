"""`vatt.load`: a model from a run directory or one of its checkpoints."""

import json

import numpy as np
import pytest
import tensorflow as tf

import vatt

pytestmark = [pytest.mark.every_python, pytest.mark.slow]


@pytest.fixture
def run(make_model, tmp_path):
    """A run directory with two checkpoints, 1 and 2, and the model of the second."""
    model = make_model(seed=1)
    state = tf.train.Checkpoint(model=model, global_step=tf.Variable(0, dtype=tf.int64))
    manager = tf.train.CheckpointManager(state, str(tmp_path / "checkpoints"), max_to_keep=2)
    manager.save(checkpoint_number=1)
    for variable in model.variables:
        variable.assign_add(tf.ones_like(variable) * 0.01)
    manager.save(checkpoint_number=2)
    (tmp_path / "model.json").write_text(json.dumps(model.get_config()))
    return tmp_path, model


def same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_directory_stands_for_its_newest_checkpoint(run, make_batch):
    directory, model = run
    for path in (directory, str(directory), directory / "checkpoints", f"{directory}/checkpoints/ckpt-2.index"):
        loaded = vatt.load(path)
        same(loaded.get_weights(), model.get_weights())
    batch = make_batch(2)
    same(tf.nest.flatten(model(batch)), tf.nest.flatten(loaded(batch)))


def test_one_checkpoint_can_be_named(run):
    directory, model = run
    older = vatt.load(directory / "checkpoints" / "ckpt-1")
    for old, new in zip(older.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(new - old, 0.01, atol=1e-6)


def test_single_towers_and_other_options(run, make_batch):
    directory, model = run
    video = vatt.load(directory, modalities=("video",), drop_token_rate=0.0, dropout=0.3)
    assert video.modalities == ("video",) and video.head is None
    assert len(video.trainable_variables) < len(model.trainable_variables)
    batch = make_batch(2)
    same([video.encode("video", batch["video"])], [model.encode("video", batch["video"])])
    with_head = vatt.load(directory, modalities=("video", "audio"))
    same([with_head(batch)["video_audio"]["audio"]], [model(batch)["video_audio"]["audio"]])
    assert with_head.token_counts(training=True)["video"] < video.token_counts(training=True)["video"]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda path: (path / "model.json").unlink(), "should lie in a run directory, which has a file model.json"),
        (lambda path: [file.unlink() for file in (path / "checkpoints").iterdir()], "Found no checkpoint there"),
        (lambda path: (path / "model.json").write_text("{"), "describes no model of this version"),
        (lambda path: (path / "model.json").write_text('{"wide": 3}'), "describes no model of this version"),
    ],
)
def test_what_is_missing_is_said(run, change, message):
    directory, _ = run
    change(directory)
    with pytest.raises(vatt.LoadError, match=message):
        vatt.load(directory)


def test_a_checkpoint_of_another_model_is_refused(run):
    with pytest.raises(vatt.LoadError, match="ckpt-2 does not fit"):
        vatt.load(run[0], layers=2)
    with pytest.raises(vatt.LoadError, match="ckpt-2 does not fit"):
        vatt.load(run[0], width=24)


def test_a_model_larger_than_its_checkpoint_takes_no_memory(run):
    directory, _ = run
    config = json.loads((directory / "model.json").read_text())
    (directory / "model.json").write_text(json.dumps(config | {"vocabulary_size": 2**31 - 1}))
    with pytest.raises(vatt.LoadError, match=r"ckpt-2 does not fit .*it has [\d,]+ numbers, and the model needs more"):
        vatt.load(directory)


def test_towers_survive_the_journey_through_json():
    video = vatt.Tower("vit", vatt.Size(1, 8, 1, 16, 4))
    shape = dict(frames=4, image_size=16, waveform_samples=16 * 1024, vocabulary_size=9, words=3)
    model = vatt.VATT("mbs", video=video, audio="spt_tiny", text="linear", **shape)
    again = vatt.VATT.from_config(json.loads(json.dumps(model.get_config())))
    for each in (model, again):
        each.create_variables()
    assert [v.shape for v in again.variables] == [v.shape for v in model.variables]
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())
