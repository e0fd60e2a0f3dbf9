"""The classifier's training step: which loss moves what, and by how much."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from data import ClipSpec
from experiments.classifiers.config import Classify
from experiments.classifiers.fusion import FUSIONS
from experiments.classifiers.recipes import RECIPES
from experiments.classifiers.run import build_run, random_batch

pytestmark = pytest.mark.slow

CLASSES, BATCH = 3, 8
CLIPS = ClipSpec(frames=2, sparse_seconds=0.1, image_size=4, sample_rate_hz=1000)
RATE, DECAY = 0.5, 0.01


@pytest.fixture
def make_run(small_encoder):
    def make(method, strategy=None, **options):
        settings = dict(
            encoder=small_encoder, clips=CLIPS, batch_size=BATCH, learning_rate=RATE, weight_decay=DECAY, epochs=3,
            decay_epochs=(1,), seed=5,
        )  # fmt: skip
        config = Classify(method, "a set", **{**settings, **options})
        return build_run(config, strategy or tf.distribute.get_strategy(), CLASSES, train_clips=2 * BATCH)

    return make


def values(run):
    return [weight.numpy() for weight in run.trainer.weights]


def losses_of(logits, labels):
    return {
        name: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, found))
        for name, found in logits.items()
    }


def gradients_taken(run, batch):
    """Takes a step; returns the gradients that it applied, the decay taken out again."""
    before = values(run)
    run.trainer.replica_step(batch)
    return [(old - new) / RATE - DECAY * old for old, new in zip(before, values(run), strict=True)]


def assert_same(found, expected):
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-5, err_msg=str(index))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_dgl_is_two_separate_tapes(fusion, make_run):
    run = make_run("dgl", fusion=fusion, clip_norm=40.0)
    model, batch, alpha = run.model, random_batch(CLIPS, BATCH, CLASSES), 4.0
    parts = model.parts()
    encoders = parts["audio"] + parts["video"]

    with tf.GradientTape() as tape:  # the unimodal losses, to the encoders
        losses = losses_of(model(batch, training=True), batch["label"])
        loss = alpha * (losses["audio"] + losses["video"])
    expected = tape.gradient(loss, encoders)
    features = {name: encoder(batch[key], training=True) for name, encoder, key in
                (("audio", model.encoders["audio"], "waveform"), ("video", model.encoders["video"], "video"))}  # fmt: skip
    with tf.GradientTape() as tape:  # the multimodal loss, behind cut features, to the fusion
        logits = model.fusion({name: tf.stop_gradient(value) for name, value in features.items()})
        loss = losses_of({"multimodal": logits}, batch["label"])["multimodal"]
    expected += tape.gradient(loss, parts["fusion"])

    assert_same(gradients_taken(run, batch), [gradient.numpy() for gradient in expected])


def test_dgl_clips_the_global_norm(make_run):
    batch = random_batch(CLIPS, BATCH, CLASSES)
    whole, clipped = (gradients_taken(make_run("dgl", clip_norm=norm), batch) for norm in (None, 0.1))
    length = np.sqrt(sum((gradient**2).sum() for gradient in whole))
    assert length > 0.2
    assert_same(clipped, [0.1 * gradient / length for gradient in whole])


@pytest.mark.parametrize("method, names", [
    ("joint", ["multimodal"]), ("uniform", ["multimodal", "audio", "video"]), ("unimodal", ["audio", "video"]),
])  # fmt: skip
def test_the_sum_of_losses_has_the_sum_of_gradients(method, names, make_run):
    run, batch = make_run(method), random_batch(CLIPS, BATCH, CLASSES)
    with tf.GradientTape() as tape:
        losses = losses_of(run.model(batch, training=True), batch["label"])
        loss = tf.add_n([losses[name] for name in names])
    expected = tape.gradient(loss, run.trainer.weights)
    assert_same(gradients_taken(run, batch), [gradient.numpy() for gradient in expected])


def test_the_control_scales_the_encoders_gradients(make_run):
    batch = random_batch(CLIPS, BATCH, CLASSES)
    run = make_run("uniform_scaled")
    plain, scaled = (gradients_taken(one, batch) for one in (make_run("uniform"), run))
    encoders = {*run.trainer.parts["audio"], *run.trainer.parts["video"]}
    assert_same(scaled, [1.5 * gradient if index in encoders else gradient for index, gradient in enumerate(plain)])


def test_mmpareto_without_conflict_is_that_control(make_run):
    # Unimodal heads that are the fusion's own slices agree with it, so that nothing conflicts.
    batch, steps = random_batch(CLIPS, BATCH, CLASSES), {}
    for method in ("mmpareto", "uniform_scaled"):
        run = make_run(method)
        kernel = run.model.fusion.output_layer.kernel
        for index, head in enumerate(run.model.heads.values()):
            head.kernel.assign(kernel[4 * index : 4 * index + 4])
        logged = run.trainer.replica_step(batch)
        assert logged["cosine_audio"] > 0 and logged["cosine_video"] > 0
        steps[method] = values(run)
    assert_same(steps["mmpareto"], steps["uniform_scaled"])


def test_every_gradient_is_asked_for_once(make_run, monkeypatch):
    calls = []
    gradient = tf.GradientTape.gradient
    monkeypatch.setattr(tf.GradientTape, "gradient", lambda tape, *args: calls.append(1) or gradient(tape, *args))
    for method, passes in {"joint": 1, "unimodal": 1, "ogm_ge": 1, "dgl": 2, "uniform": 2, "mmpareto": 2}.items():
        calls.clear()
        make_run(method).trainer.replica_step(random_batch(CLIPS, BATCH, CLASSES))
        assert len(calls) == passes, method


def test_ogm_ge_slows_the_stronger_modality_s_kernels(make_run):
    run = make_run("ogm_ge", harmonizer=harmonization.get("ogm_ge", alpha=0.5, noise=False))
    batch = random_batch(CLIPS, BATCH, CLASSES)
    run.model.fusion.output_layer.kernel[:4].assign(tf.ones([4, CLASSES]))  # the audio knows nothing of the classes
    logits = run.model(batch, training=True)
    truth = np.eye(CLASSES)[batch["label"]]
    scores = {name: (truth * tf.nn.softmax(logits[name]).numpy()).sum() for name in ("audio", "video")}
    stronger, weaker = sorted(scores, key=scores.get, reverse=True)
    slowed = 1 - np.tanh(0.5 * scores[stronger] / scores[weaker])
    with tf.GradientTape() as tape:
        loss = losses_of(run.model(batch, training=True), batch["label"])["multimodal"]
    plain = [gradient.numpy() for gradient in tape.gradient(loss, run.trainer.weights)]
    kernels = [index for index in run.trainer.parts[stronger] if plain[index].ndim >= 2]
    assert 0 < len(kernels) < len(run.trainer.parts[stronger])
    assert_same(
        gradients_taken(run, batch),
        [slowed * gradient if index in kernels else gradient for index, gradient in enumerate(plain)],
    )


def test_clips_without_a_label_add_nothing(make_run):
    batch = random_batch(CLIPS, BATCH, CLASSES)
    run, same = make_run("uniform"), make_run("uniform")
    unlabeled = {**batch, "label": tf.concat([batch["label"][:4], tf.fill([4], -1)], axis=0)}
    half = {name: value[:4] for name, value in batch.items()}
    same.trainer.batch_size = BATCH
    assert_same(gradients_taken(run, unlabeled), gradients_taken(same, half))


def test_clips_without_sound_add_nothing_to_the_loss_of_sound(make_run):
    batch = random_batch(CLIPS, BATCH, CLASSES)
    batch["has_audio"] = tf.constant([True, True, False, True, False, True, True, True])
    run, names = make_run("uniform"), ("multimodal", "audio", "video")
    with tf.GradientTape() as tape:
        logits = run.model(batch, training=True)
        heard = tf.boolean_mask(logits["audio"], batch["has_audio"])
        losses = losses_of(logits, batch["label"])
        losses |= losses_of({"audio": heard}, tf.boolean_mask(batch["label"], batch["has_audio"]))
        losses["audio"] *= 6 / BATCH  # a mean over the batch, as where labels lack
        loss = tf.add_n([losses[name] for name in names])
    expected = tape.gradient(loss, run.trainer.weights)
    assert_same(gradients_taken(run, batch), [gradient.numpy() for gradient in expected])


def test_ogm_ge_compares_the_modalities_on_clips_that_have_both(make_run):
    batch = random_batch(CLIPS, BATCH, CLASSES)
    batch |= {
        "has_audio": tf.constant([True] * 6 + [False] * 2),
        "label": tf.tensor_scatter_nd_update(batch["label"], [[0]], [-1]),
    }
    run = make_run("ogm_ge")
    logits, truth = run.model(batch, training=True), np.eye(CLASSES)[batch["label"]][1:6]
    logged = run.trainer.replica_step(batch)
    for name in ("audio", "video"):
        score = (truth * tf.nn.softmax(logits[name]).numpy()[1:6]).sum() / BATCH
        np.testing.assert_allclose(logged[f"score_{name}"], score, rtol=1e-5)


def test_what_is_logged(make_run):
    logged = make_run("uniform").trainer.replica_step(random_batch(CLIPS, BATCH, CLASSES))
    pairs = [("multimodal", "audio"), ("audio", "audio"), ("multimodal", "video"), ("video", "video")]
    expected = {f"{field}_{name}_{part}" for name, part in pairs for field in ("gradient_norm", "weight")}
    expected |= {f"loss_{name}" for name in ("multimodal", "audio", "video")} | {"cosine_audio", "cosine_video"}
    assert set(logged) == expected | {"finite", "keep", "bad_variable", "bad_objective", "learning_rate"}
    assert all(value.dtype == tf.float32 and value.shape == [] for value in logged.values())
    assert -1 <= logged["cosine_audio"] <= 1 and logged["cosine_audio"] != 0 and logged["weight_video_video"] == 1
    assert "score_audio" in make_run("ogm_ge").trainer.replica_step(random_batch(CLIPS, BATCH, CLASSES))


def test_a_step_that_is_not_finite_changes_nothing_and_is_named(make_run):
    run = make_run("uniform")
    bad = run.trainer.parts["video_head"][0]
    run.trainer.weights[bad].assign(tf.fill(run.trainer.weights[bad].shape, np.nan))
    before = values(run)
    logged = run.trainer.replica_step(random_batch(CLIPS, BATCH, CLASSES))
    assert logged["finite"] == 0 and logged["bad_objective"] == 2
    assert int(logged["bad_variable"]) in run.trainer.parts["video"]
    for old, new in zip(before, values(run), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_learning_rate_falls_after_its_epoch(make_run):
    run = make_run("joint")
    rates = []
    for step in range(run.steps):
        run.trainer.global_step.assign(step)
        rates.append(float(run.trainer.learning_rate(run.trainer.global_step)))
    assert run.steps_per_epoch == 2
    np.testing.assert_allclose(rates, [RATE, RATE, *[0.1 * RATE] * 4], rtol=1e-6)


def shared_out(batch, strategy):
    share = BATCH // strategy.num_replicas_in_sync

    def take(value, context):
        start = context.replica_id_in_sync_group * share
        return value[start : start + share]

    spread = strategy.experimental_distribute_values_from_function
    return {name: spread(lambda context, value=value: take(value, context)) for name, value in batch.items()}


@pytest.mark.usefixtures("quick_graphs")
@pytest.mark.parametrize("method", ["mmpareto", "dgl", "ogm_ge", "gradient_blending"])
def test_two_replicas_do_what_one_does(method, make_run, mirrored, last_row):
    after = {}
    for replicas in (1, 2):
        strategy = mirrored(replicas)
        run = make_run(method, strategy, learning_rate=0.05)
        for seed in range(3):
            batch = random_batch(CLIPS, BATCH, CLASSES, seed)
            with strategy.scope():
                run.trainer.train_on_batch(shared_out(batch, strategy), tf.constant(0.0))
        after[replicas] = values(run), last_row(run.trainer)
    for one, other in zip(after[1][0], after[2][0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert after[1][1] == pytest.approx(after[2][1], rel=1e-3, abs=1e-5)
    assert after[1][1]["finite"] == 1


def test_every_method_takes_a_step_that_changes_all_it_trains(make_run):
    for method in RECIPES:
        run = make_run(method)
        before = values(run)
        logged = run.trainer.replica_step(random_batch(CLIPS, BATCH, CLASSES))
        assert logged["finite"] == 1, method
        assert all((old != new).any() for old, new in zip(before, values(run), strict=True)), method
