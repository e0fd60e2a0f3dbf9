import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import vatt

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "losses"


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
    loss = lambda release: vatt.contrastive_loss(same, same[:, None], tf.ones([8, 1], tf.bool), 0.07, release)  # noqa: E731
    np.testing.assert_allclose(loss(False), np.log(2 * 8 - 1), rtol=1e-5)
    np.testing.assert_allclose(loss(True), np.log(2 * 8), rtol=1e-5)


def test_perfect_alignment_costs_nothing():
    eye = tf.eye(6)
    loss = lambda release: vatt.contrastive_loss(eye, eye[:, None], tf.ones([6, 1], tf.bool), 0.01, release)  # noqa: E731
    np.testing.assert_allclose(loss(False), 0.0, atol=1e-6)
    np.testing.assert_allclose(loss(True), np.log(2), rtol=1e-5)


def test_a_batch_without_any_text_has_zero_loss_and_zero_gradients():
    video, other, mask = (tf.constant(x) for x in draw())
    with tf.GradientTape() as tape:
        tape.watch([video, other])
        loss = vatt.contrastive_loss(video, other, tf.zeros_like(mask))
    gradients = tape.gradient(loss, [video, other])
    assert float(loss) == 0.0
    assert all(not np.any(gradient) for gradient in gradients)


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

    @tf.function
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


def golden_cases():
    cases = json.loads((GOLDEN / "config.json").read_text())["cases"]
    wanted = [c for c in cases if c.get("loss") == "asymmetric_nce" and c["replicas"] == 1]
    return [pytest.param(c, id=c["case"]) for c in wanted]


@pytest.mark.parametrize("case", golden_cases())
def test_release_compatible_loss_equals_the_published_codes(case):
    inputs, outputs = np.load(GOLDEN / "inputs.npz"), np.load(GOLDEN / "outputs.npz")
    masks = {name.rsplit(".", 1)[1]: inputs[name] > 0 for name in case["masks"]}
    audio_mask = masks.get("audio_mask", np.ones(6, bool))
    text_mask = np.repeat(masks.get("text_mask", np.ones(6, bool))[:, None], 5, axis=1)
    pairs = {
        "vidaud": ("vid_aud_weight", inputs["vid_toaud"], inputs["aud_tovid"][:, None], audio_mask[:, None]),
        "vidtxt": ("vid_txt_weight", inputs["vid_totxt"], inputs["txt_tovid"].reshape(6, 5, 16), text_mask),
    }
    for name, (weight, video, other, mask) in pairs.items():
        published = f"{case['case']}.{name}_loss"
        if published in outputs:
            loss = vatt.contrastive_loss(video, other, mask, case["params"]["temperature"], release_compatible=True)
            np.testing.assert_allclose(case["params"][weight] * loss, outputs[published], rtol=1e-5, atol=1e-6)
