"""Each clip's own gradients, against a tape per clip and the exact derivative; on replicas in test_clip_curriculum.py."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import vatt
from vatt.contrastive.losses import clip_losses
from vatt.heads import FineAndCoarseHead, JointHead
from vatt.keras import keras

CLIPS, DIM = 6, 10
HEADS = {
    "published": lambda: FineAndCoarseHead(12, 6),
    "paper": lambda: FineAndCoarseHead(12, 6, as_in_paper=True),
    "joint": lambda: JointHead(12),
}
OBJECTIVES = ("video_audio", "video_text")


@pytest.fixture
def made():
    """A function (head's name, clips) -> head with statistics of its own, its outputs in training, and the batch."""

    def make(name="published", clips=CLIPS):
        keras.utils.set_random_seed(5)
        random = np.random.default_rng(0)
        draw = lambda *shape: tf.constant(random.normal(size=shape) + 0.5, tf.float32)  # noqa: E731
        features = {"video": draw(clips, DIM), "audio": draw(clips, DIM), "text": draw(clips, 3, DIM)}
        text = random.integers(1, 9, (clips, 3, 4))
        text[2, 1:] = text[5] = 0
        presence = lambda absent: tf.constant([clip not in absent for clip in range(clips)])  # noqa: E731
        batch = {"text": tf.constant(text), "has_text": presence([5]), "has_audio": presence([3])}
        head = HEADS[name]()
        for _ in range(3):
            outputs = {"features": features, **head(features, training=True)}
        for variable in head.trainable_variables:
            if "gamma" in variable.name or "beta" in variable.name:
                variable.assign_add(tf.constant(random.normal(size=variable.shape) * 0.3, tf.float32))
        outputs = {"features": features, **head(features, training=True)}
        return head, outputs, batch

    return make


def batch_norms(head):
    return [layer for layer in head._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]


def use_batch_statistics(head, feature):
    """Makes the moving averages those of the batch, one norm after the other, so that inference normalizes like training."""
    for norm in batch_norms(head):
        norm.momentum, before = 0.0, norm.momentum
        head({"video": feature}, training=True)
        norm.momentum = before


def by_a_loop(head, outputs, batch, **options):
    """Row i: the gradient of clip i's own terms, by a tape of its own in which only its own feature is watched."""
    feature, rows = outputs["features"]["video"], {name: [] for name in OBJECTIVES}
    for clip in range(CLIPS):
        own = tf.identity(feature[clip])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(own)
            together = tf.tensor_scatter_nd_update(feature, [[clip]], own[tf.newaxis])
            spaces = head({"video": together}, training=False)
            terms = clip_losses({s: {**outputs[s], **spaces[s]} for s in OBJECTIVES}, batch, **options)
            losses = {name: values[clip] for name, (values, _) in terms.items()}
        for name, loss in losses.items():
            rows[name].append(tape.gradient(loss, own, unconnected_gradients="zero").numpy())
    return {name: np.stack(found) for name, found in rows.items()}


@pytest.mark.parametrize(
    ("name", "form"), [*((name, "nce") for name in HEADS), *(("published", form) for form in vatt.LOSS_FORMS[1:])]
)
def test_equal_those_of_a_tape_per_clip(made, name, form):
    head, outputs, batch = made(name)
    options = dict(form=form, temperature=0.3)
    inference = vatt.own_gradients(head, outputs, batch, training=False, **options)
    expected = by_a_loop(head, outputs, batch, **options)
    for objective in OBJECTIVES:
        np.testing.assert_allclose(inference[objective], expected[objective], rtol=1e-3, atol=1e-5)

    training = vatt.own_gradients(head, outputs, batch, training=True, **options)
    use_batch_statistics(head, outputs["features"]["video"])
    expected = by_a_loop(head, outputs, batch, **options)
    for objective in OBJECTIVES:
        np.testing.assert_allclose(training[objective], expected[objective], rtol=1e-3, atol=1e-5)
        assert not np.allclose(training[objective], inference[objective], atol=1e-3)
    absent = {"video_audio": 3, "video_text": 5}
    for objective, clip in absent.items():
        lengths = np.linalg.norm(training[objective], axis=1)
        assert lengths[clip] == 0 and np.delete(lengths, clip).min() > 1e-3


def test_leave_the_head_alone_and_see_what_training_sees(made):
    head, outputs, batch = made()
    before = [variable.numpy() for variable in head.variables]
    vatt.own_gradients(head, outputs, batch, training=True)
    constant = head({"video": outputs["features"]["video"]}, constant_statistics=True)
    for variable, value in zip(head.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.name)
    for space in OBJECTIVES:
        np.testing.assert_allclose(constant[space]["video"], outputs[space]["video"], rtol=1e-4, atol=1e-4)


def test_differ_from_the_exact_derivative_by_the_batch_statistics(made):
    cosines = {clips: agreement_with_the_exact_derivative(made, clips) for clips in (CLIPS, 8 * CLIPS)}
    assert 0.5 < cosines[CLIPS] < 0.95 < cosines[8 * CLIPS] < 1


def agreement_with_the_exact_derivative(made, clips) -> float:
    """Mean cosine of clips' own gradients and the derivatives through the statistics, too, in a batch of so many clips."""
    head, outputs, batch = made(clips=clips)
    own = vatt.own_gradients(head, outputs, batch, training=True, temperature=0.3)
    feature, cosines = outputs["features"]["video"], []
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(feature)
        spaces = head({"video": feature}, training=True)
        terms = clip_losses({s: {**outputs[s], **spaces[s]} for s in OBJECTIVES}, batch, temperature=0.3)
        losses = {name: tf.unstack(terms[name][0][:CLIPS]) for name in OBJECTIVES}
    for name, clip in itertools.product(OBJECTIVES, range(CLIPS)):
        if terms[name][1][clip]:
            pair = tape.gradient(losses[name][clip], feature)[clip].numpy(), own[name][clip].numpy()
            cosines.append(np.dot(*pair) / np.prod(np.linalg.norm(pair, axis=1)))
    return np.mean(cosines)


def test_weights_scale_the_clips_terms_and_not_the_count():
    values, valid = tf.constant([1.0, 2.0, 0.0, 4.0]), tf.constant([True, True, False, True])
    terms = {"video_text": (values, valid)}
    assert float(vatt.mean_losses(terms)["video_text"]) == pytest.approx(7 / 3)
    weighted = vatt.mean_losses(terms, tf.constant([1.0, 0.5, 1.0, 0.0]))
    assert float(weighted["video_text"]) == pytest.approx(2 / 3)
