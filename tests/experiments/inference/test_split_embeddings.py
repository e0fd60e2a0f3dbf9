import numpy as np
import pytest
import tensorflow as tf

from experiments.inference.split_embeddings import caption_query, embed
from experiments.running.command_line import RunFailed


@pytest.fixture
def batches(make_batch):
    """A function (batch size) -> seven clips in batches."""
    clips = make_batch(7)
    clips["clip_id"] = tf.constant([f"clip {i}" for i in range(7)])
    for name in ("label", "text_aligned", "audio_aligned"):
        clips[name] = tf.range(7)
    return lambda size: tf.data.Dataset.from_tensor_slices(clips).batch(size)


def test_every_clip_is_embedded_once_and_as_the_model_does(make_model, batches):
    model = make_model()
    found = embed(model, batches(3), total=7)
    whole = next(iter(batches(7)))
    outputs = model(whole)
    assert found.facts["clip_id"].tolist() == [f"clip {i}" for i in range(7)]
    assert found.facts["label"].tolist() == list(range(7))
    assert set(found.features) == {"video", "audio"}
    np.testing.assert_allclose(found.features["video"], outputs["features"]["video"], atol=1e-5)
    np.testing.assert_allclose(found.video_audio["audio"], outputs["video_audio"]["audio"], atol=1e-5)
    np.testing.assert_allclose(found.video_text["video"], outputs["video_text"]["video"], atol=1e-5)
    query = caption_query(outputs["video_text"]["text"], tf.ones([7, 3], tf.bool))
    np.testing.assert_allclose(found.video_text["text"], query, atol=1e-5)
    audio = model.head.audio_near_text(outputs["video_audio"]["audio"])
    np.testing.assert_allclose(found.video_text["audio"], audio, atol=1e-5)


def test_text_can_be_left_out(make_model, batches):
    found = embed(make_model(), batches(4), 7, ("video", "audio"))
    assert set(found.video_text) == {"video"} and set(found.video_audio) == {"video", "audio"}


def test_a_query_is_the_mean_of_the_normalized_captions():
    captions = tf.constant([[[3.0, 0.0], [0.0, 5.0], [9.0, 9.0]], [[1.0, 1.0]] * 3])
    query = caption_query(captions, tf.constant([[True, True, False], [False] * 3]))
    np.testing.assert_allclose(query, [[0.5, 0.5], [0.0, 0.0]], atol=1e-6)


def test_broken_weights_are_named(make_model, batches):
    model = make_model()
    model.head.audio_to_video.bias.assign(tf.fill([12], np.nan))
    with pytest.raises(RunFailed, match=r"embeddings of test are not finite \(video_audio, audio\)"):
        embed(model, batches(7), 7, title="test")
