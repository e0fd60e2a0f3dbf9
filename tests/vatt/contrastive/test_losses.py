import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import vatt
from vatt.contrastive.losses import contrastive_clip_losses

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "losses"


def oracle(video, other, mask, temperature):
    """The poster's formula, clip by clip, in float64."""
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)  # noqa: E731
    video, other = unit(video.astype(np.float64)), unit(other.astype(np.float64))
    losses = []
    for i in range(len(video)):
        if not mask[i].any():
            continue
        score = lambda v, j: np.exp(other[j][mask[j]] @ video[v] / temperature).sum()  # noqa: E731
        positive = score(i, i)
        negative = sum(score(i, j) + score(j, i) for j in range(len(video)) if j != i)
        losses.append(-np.log(positive / (positive + negative)))
    return np.mean(losses) if losses else 0.0


def draw(batch=5, candidates=3, dim=7, seed=0):
    random = np.random.default_rng(seed)
    mask = random.random((batch, candidates)) < 0.7
    mask[1] = False
    return random.normal(size=(batch, dim)).astype("f"), random.normal(size=(batch, candidates, dim)).astype("f"), mask


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_posters_formula(seed):
    video, other, mask = draw(seed=seed)
    loss = vatt.contrastive_loss(video, other, mask, temperature=0.5)
    np.testing.assert_allclose(loss, oracle(video, other, mask, 0.5), rtol=1e-5)


def test_equal_embeddings_give_the_log_of_the_number_of_pairs():
    same = tf.ones([8, 4])
    loss = lambda form: vatt.contrastive_loss(same, same[:, None], tf.ones([8, 1], tf.bool), 0.07, form)  # noqa: E731
    np.testing.assert_allclose(loss("nce"), np.log(2 * 8 - 1), rtol=1e-5)
    np.testing.assert_allclose(loss("asymmetric_nce"), np.log(2 * 8), rtol=1e-5)
    np.testing.assert_allclose(loss("symmetric_nce"), 2 * np.log(8), rtol=1e-5)


def test_perfect_alignment_costs_nothing():
    eye = tf.eye(6)
    loss = lambda form: vatt.contrastive_loss(eye, eye[:, None], tf.ones([6, 1], tf.bool), 0.01, form)  # noqa: E731
    np.testing.assert_allclose(loss("nce"), 0.0, atol=1e-6)
    np.testing.assert_allclose(loss("symmetric_nce"), 0.0, atol=1e-6)
    np.testing.assert_allclose(loss("asymmetric_nce"), np.log(2), rtol=1e-5)


def test_a_batch_without_any_text_has_zero_loss_and_zero_gradients():
    video, other, mask = (tf.constant(x) for x in draw())
    with tf.GradientTape() as tape:
        tape.watch([video, other])
        loss = vatt.contrastive_loss(video, other, tf.zeros_like(mask))
    gradients = tape.gradient(loss, [video, other])
    assert float(loss) == 0.0
    assert all(not np.any(gradient) for gradient in gradients)


def terms_and_gradients(embeddings, mask, at_a_time):
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        terms, _ = contrastive_clip_losses(*embeddings, mask, clips_at_a_time=at_a_time)
    return terms, tape.gradient(terms, embeddings, output_gradients=tf.range(1.0, 9.0))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_clips_may_be_taken_a_few_at_a_time(jit_compile):
    video, other, mask = draw(batch=8)
    embeddings = [tf.constant(video), tf.constant(other)]
    expected = terms_and_gradients(embeddings, mask, None)
    compute = tf.function(terms_and_gradients, jit_compile=jit_compile, autograph=False)
    for found, wanted in zip(tf.nest.flatten(compute(embeddings, mask, 2)), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("replicas", [2, 4])
def test_sum_over_replicas_equals_one_replica(replicas, mirrored):
    """Loss and gradients, with masks that are unequal between the replicas."""
    video, other, mask = draw(batch=8)
    mask[:3] = False
    embeddings = [tf.constant(video), tf.constant(other)]
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        expected = vatt.contrastive_loss(*embeddings, mask)
    expected_gradients = tape.gradient(expected, embeddings)
    strategy, size = mirrored(replicas), 8 // replicas

    @tf.function(autograph=False)
    def run():
        def on_replica():
            start = tf.distribute.get_replica_context().replica_id_in_sync_group * size
            own = [tf.slice(x, [start] + [0] * (x.shape.rank - 1), [size, *x.shape[1:]]) for x in embeddings]
            own_mask = tf.constant(mask)[start : start + size]
            with tf.GradientTape() as tape:
                tape.watch(own)
                loss = vatt.contrastive_loss(*own, own_mask)
            return loss, tape.gradient(loss, own)

        return strategy.run(on_replica)

    loss, gradients = run()
    total = sum(strategy.experimental_local_results(loss))
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        joined = np.concatenate(strategy.experimental_local_results(gradient))
        np.testing.assert_allclose(joined, wanted, rtol=1e-4, atol=1e-6)


def test_an_unknown_form_is_refused():
    video, other, mask = draw()
    with pytest.raises(ValueError, match="`form` should be one of nce, .*, symmetric_nce, .*. Found 'nse'"):
        vatt.contrastive_loss(video, other, mask, form="nse")


INPUTS, OUTPUTS = np.load(GOLDEN / "inputs.npz"), np.load(GOLDEN / "outputs.npz")
PAIRS = {"vidaud": ("vid_toaud", "aud_tovid", "vid_aud_weight"), "vidtxt": ("vid_totxt", "txt_tovid", "vid_txt_weight")}


def golden_cases():
    cases = json.loads((GOLDEN / "config.json").read_text())["cases"]
    return [
        pytest.param(case, pair, id=f"{case['case']}.{pair}") for case in cases if "masks" in case for pair in PAIRS
    ]


def masks_of(case, pair):
    """Bool masks [6, candidates] of the candidates and [6] of the videos."""
    found = {name.rsplit(".", 1)[1]: INPUTS[name] > 0 for name in case["masks"]}
    mask = found.get({"vidaud": "audio_mask", "vidtxt": "text_mask"}[pair], np.ones(6, bool))
    return np.repeat(mask[:, None], 1 if pair == "vidaud" else 5, axis=1), found.get("video_mask", np.ones(6, bool))


def published_scale(mask, video_mask):
    """What the published code multiplies the sum of a replica's losses by: it corrects for both masks, one by one."""
    clips, texts, videos = len(mask), mask[:, 0].sum(), video_mask.sum()
    return 1 / clips * (clips / texts if texts else 0) * (clips / videos if videos else 0)


@pytest.mark.parametrize("at_a_time", [None, 2])
@pytest.mark.parametrize("case, pair", golden_cases())
def test_both_forms_equal_the_published_codes(case, pair, at_a_time):
    """The loss and its gradients, replica by replica: where masks are unequal they count them per replica, we do globally."""
    names, weight = PAIRS[pair][:2], case["params"][PAIRS[pair][2]]
    video, other = (tf.constant(INPUTS[name]) for name in names)
    candidates, (mask, video_mask) = len(other) // 6, masks_of(case, pair)
    if not weight:
        assert f"{case['case']}.{pair}_loss" not in OUTPUTS
        return
    with tf.GradientTape() as tape:
        tape.watch([video, other])
        candidates_of = tf.reshape(other, [6, candidates, -1])
        options = case["params"]["temperature"], case["loss"], video_mask
        terms, valid = contrastive_clip_losses(video, candidates_of, mask, *options, clips_at_a_time=at_a_time)
        parts = np.split(np.arange(6), case["replicas"])
        losses = [
            tf.reduce_sum(tf.gather(terms, part)) * published_scale(mask[part], video_mask[part]) for part in parts
        ]
        # The total is the weighted mean of the objectives; each replica's share is added without a further division.
        total = weight * tf.add_n(losses) / (case["params"]["vid_aud_weight"] + case["params"]["vid_txt_weight"])
    name = f"{case['case']}.{pair}_loss" + ("_per_replica" if case["replicas"] > 1 else "")
    np.testing.assert_allclose(weight * np.stack(losses), np.atleast_1d(OUTPUTS[name]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(valid, mask[:, 0] & video_mask)
    for key, gradient in zip(names, tape.gradient(total, [video, other]), strict=True):
        published = OUTPUTS[f"{case['case']}.grad.{key}"]
        np.testing.assert_allclose(gradient, published, rtol=1e-4, atol=2e-6, err_msg=key)
