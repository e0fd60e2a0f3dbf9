import numpy as np
import pytest
import tensorflow as tf

import vatt
from experiments.evaluation.alignment import INDICATORS, clip_indicators, separation
from vatt.contrastive.losses import clip_losses

CLIPS = 5

pytestmark = [pytest.mark.usefixtures("quick_graphs"), pytest.mark.slow]


@pytest.fixture(scope="module")
def batch(make_batch):
    """Five clips, of which one has two captions only, one no sound and one no text."""
    clips = {name: value.numpy() for name, value in make_batch(CLIPS).items()}
    clips["text"][1, 2] = 0
    clips["has_audio"][3] = False
    clips["text"][4], clips["has_text"][4] = 0, False
    facts = {
        "clip_id": np.array([f"clip {i}".encode() for i in range(CLIPS)]),
        "text_aligned": np.array([1, 0, 1, 1, 1], np.int32),
        "audio_aligned": np.array([1, 1, 0, 1, 1], np.int32),
    }
    return {name: tf.constant(value) for name, value in (clips | facts).items()}


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


@pytest.fixture(scope="module")
def found(model, batch):
    """What is computed of the five clips."""
    return clip_indicators(model, tf.data.Dataset.from_tensors(batch), CLIPS, {})


def own_loss(video, others, present, clip, temperature=0.07):
    """The poster's loss of one clip, written out pair by pair."""
    video, others = tf.math.l2_normalize(video, axis=-1), tf.math.l2_normalize(others, axis=-1)
    positives, negatives = [], []
    for i in range(CLIPS):
        for j in range(CLIPS):
            for candidate in np.flatnonzero(present[j]):
                term = tf.exp(tf.tensordot(video[i], others[j, candidate], 1) / temperature)
                if i == j == clip:
                    positives.append(term)
                elif i != j and clip in (i, j):
                    negatives.append(term)
    return -tf.math.log(tf.add_n(positives) / tf.add_n(positives + negatives))


def direct_cosines(model, batch, clip):
    """Cosines of the gradients of one clip's own losses, by a tape of its own."""
    has_text = (batch["text"].numpy() > 0).any(-1)
    has_audio = batch["has_audio"].numpy()[:, np.newaxis]
    with tf.GradientTape(persistent=True) as tape:
        inputs = {"video": "video", "audio": "waveform", "text": "text"}
        features = {name: model.encode(name, batch[key]) for name, key in inputs.items()}
        spaces = model.head(features)
        fine, coarse = spaces["video_audio"], spaces["video_text"]
        losses = (
            own_loss(fine["video"], fine["audio"][:, tf.newaxis], has_audio, clip),
            own_loss(coarse["video"], coarse["text"], has_text, clip),
        )
    flat = [np.concatenate([np.ravel(g) for g in tape.gradient(x, model.encoder.trainable_variables)]) for x in losses]
    own = [tape.gradient(loss, features["video"])[clip].numpy() for loss in losses]
    return [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in (flat, own)]


def test_gradients_per_clip_are_those_of_the_clips_own_losses(found, model, batch):
    assert found["clip_id"].tolist() == ["clip 0", "clip 1", "clip 2"]  # the others lack sound or text
    for clip in range(3):
        encoder, feature = direct_cosines(model, batch, clip)
        assert found["encoder_gradient_cosine"][clip] == pytest.approx(encoder, abs=1e-4)
        assert found["feature_gradient_cosine"][clip] == pytest.approx(feature, abs=1e-4)


def test_similarities_are_cosines_of_the_embeddings(found, model, batch):
    outputs = tf.nest.map_structure(np.asarray, model(batch))
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)  # noqa: E731
    fine, coarse = outputs["video_audio"], outputs["video_text"]
    query = unit(coarse["text"][1, :2]).mean(axis=0)
    assert found["video_text_similarity"][1] == pytest.approx(unit(query) @ unit(coarse["video"][1]), abs=1e-5)
    assert found["video_audio_similarity"][1] == pytest.approx(
        unit(fine["audio"][1]) @ unit(fine["video"][1]), abs=1e-5
    )


def test_a_last_batch_has_as_many_negatives_as_the_others(model, batch):
    batches = tf.data.Dataset.from_tensor_slices(batch).take(3).batch(2)
    found = clip_indicators(model, batches, 3, {})
    filled = {name: tf.gather(values, [2, 0]) for name, values in batch.items()}
    expected = clip_indicators(model, tf.data.Dataset.from_tensors(filled), 2, {})
    assert found["clip_id"].tolist() == ["clip 0", "clip 1", "clip 2"]
    for name in INDICATORS:
        assert found[name][2] == pytest.approx(expected[name][0], abs=1e-5) and found[name][2] != 0


def test_clips_of_unknown_truth_are_skipped(model, batch):
    facts = {"text_aligned": tf.constant([1, -1, 0, 1, 1])}
    batches = tf.data.Dataset.from_tensor_slices(batch | facts).batch(3)
    found = clip_indicators(model, batches, CLIPS, {"temperature": 0.1})
    assert found["clip_id"].tolist() == ["clip 0", "clip 2"]
    assert found["text_aligned"].tolist() == [1, 0]


def test_the_losses_are_the_means_of_the_clips_own_terms(model, batch):
    outputs = model(batch)
    terms, means = clip_losses(outputs, batch), vatt.losses(outputs, batch)
    assert terms["video_audio"][1].numpy().tolist() == [True, True, True, False, True]
    assert terms["video_text"][1].numpy().tolist() == [True, True, True, True, False]
    for name, (values, valid) in terms.items():
        assert values.numpy()[~valid.numpy()].tolist() == [0.0]
        assert float(means[name]) == pytest.approx(values.numpy()[valid.numpy()].mean(), rel=1e-6)


def clips(values, text_aligned, audio_aligned):
    truth = {"text_aligned": np.array(text_aligned), "audio_aligned": np.array(audio_aligned)}
    return truth | {name: np.array(values, np.float32) for name in INDICATORS}


def test_separation_counts_kinds_and_pairs():
    values = [0.9, 0.5, 0.7, 0.5, 0.1, 0.95]
    found = separation(clips(values, text_aligned=[1, 1, 1, 0, 0, 1], audio_aligned=[1, 1, 1, 1, 0, 0]))
    assert found["clips"] == {"all": 6, "aligned": 3, "misaligned": 3, "text_only": 1, "audio_only": 1}
    # Pairs of an aligned and a misaligned clip in which the latter is lower; a tie counts half.
    assert found["auc"]["summed_similarity"] == pytest.approx(
        {"misaligned": (2.5 + 3 + 0) / 9, "text_only": 2.5 / 3, "audio_only": 0.0}
    )
    assert set(found["auc"]) == set(INDICATORS)


def test_separation_needs_both_classes():
    found = separation(clips([0.1, 0.2], text_aligned=[1, 0], audio_aligned=[1, 1]))
    assert found["auc"]["encoder_gradient_cosine"] == {"misaligned": 0.0, "text_only": 0.0, "audio_only": None}
    assert separation(clips([0.1], [1], [1]))["auc"]["encoder_gradient_cosine"]["misaligned"] is None
