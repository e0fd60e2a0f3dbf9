"""The training step of fine-tuning: what it learns, how it is clipped, what replicas and seeds change."""

import math

import numpy as np
import pytest
import tensorflow as tf

import vatt
from data import ClipSpec
from experiments.finetuning.config import Finetune
from experiments.finetuning.run import build_run, random_batch
from vatt.keras import keras

pytestmark = pytest.mark.slow

CLASSES, BATCH = 5, 8
CLIPS = ClipSpec(frames=4, image_size=32, sample_rate_hz=1000)
RATE = 0.5


def small_vatt(**options):
    return vatt.VATT("ut_tiny", layers=1, width=8, heads=2, head_dim=4, feed_forward=16, feature_dim=8, **options)


@pytest.fixture
def make_run():
    def make(modality="video", strategy=None, multi_label=False, **options):
        settings = dict(
            model=small_vatt, clips=CLIPS, batch_size=BATCH, learning_rate=RATE, warmup_steps=0, steps=20, seed=5,
            label_smoothing=0.0, classifier_dropout=0.0, dropout=0.0,
        )  # fmt: skip
        config = Finetune(modality, "a set", **{**settings, **options})
        return build_run(config, strategy or tf.distribute.get_strategy(), CLASSES, multi_label)

    return make


def batch_of(run, seed=0, size=BATCH):
    return random_batch(run.config, size, CLASSES, run.multi_label, seed)


def values(run):
    return [weight.numpy() for weight in run.trainer.weights]


def gradients_taken(run, batch):
    before = values(run)
    run.trainer.replica_step(batch)
    return [(old - new) / RATE for old, new in zip(before, values(run), strict=True)]


def assert_same(found, expected):
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-6, err_msg=str(index))


def test_the_step_is_that_of_the_mean_loss(make_run):
    run = make_run(label_smoothing=0.1)
    batch = batch_of(run)
    with tf.GradientTape() as tape:
        targets = 0.9 * tf.one_hot(batch["label"], CLASSES) + 0.02
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, run.model(batch["video"])))
    expected = tape.gradient(loss, run.trainer.weights)
    assert_same(gradients_taken(run, batch), [gradient.numpy() for gradient in expected])


def test_the_step_of_a_multi_label_set(make_run):
    run = make_run("audio", multi_label=True, balance_classes=True)
    batch = batch_of(run)
    np.testing.assert_allclose(run.model.classifier.bias, -math.log(CLASSES - 1), rtol=1e-6)
    labels = batch["labels"].numpy()
    rarity = (labels / labels.sum(axis=0).clip(1)).sum(axis=1) / labels.sum(axis=1)
    with tf.GradientTape() as tape:
        losses = tf.nn.sigmoid_cross_entropy_with_logits(batch["labels"], run.model(batch["waveform"]))
        loss = tf.reduce_mean(rarity * tf.reduce_sum(losses, axis=1))
    expected = tape.gradient(loss, run.trainer.weights)
    assert_same(gradients_taken(run, batch), [gradient.numpy() for gradient in expected])


def test_frozen_trains_the_classifier_alone_on_features_of_inference(make_run):
    run = make_run(frozen=True, drop_token_rate=0.5, dropout=0.5)
    batch, backbone = batch_of(run), [variable.numpy() for variable in run.model.backbone.variables]
    with tf.GradientTape() as tape:
        logits = run.model.classifier(run.model.backbone.encode("video", batch["video"]))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], logits))
    expected = tape.gradient(loss, run.model.classifier.trainable_variables)
    assert_same(gradients_taken(run, batch), [gradient.numpy() for gradient in expected])
    for old, new in zip(backbone, run.model.backbone.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    assert list(run.trainer.groups) == ["classifier"] and len(run.trainer.weights) == 2


@pytest.mark.parametrize("modality, tower", [("video", "vit_base"), ("audio", "wat_base"), ("audio", "spt_base")])
def test_towers_of_their_own_learn_too(modality, tower, make_run):
    def separate(**options):
        sizes = dict(layers=1, width=8, heads=2, head_dim=4, feed_forward=16)
        return vatt.VATT("mbs", **{modality: tower}, **sizes, **options)

    run = make_run(modality, model=separate, clips=ClipSpec(frames=4, image_size=32, sample_rate_hz=16_000))
    assert run.model.backbone.modalities == (modality,) and run.model.classifier.kernel.shape == [8, CLASSES]
    gradients = gradients_taken(run, batch_of(run, size=2))
    # Keys have a bias that no output depends on.
    assert sum(gradient.any() for gradient in gradients) >= len(gradients) - 1


def test_only_the_backbones_gradient_is_clipped(make_run):
    whole, clipped = make_run(), make_run(backbone_clip_norm=0.01)
    batch = batch_of(whole)
    plain = gradients_taken(whole, batch)
    inside = whole.trainer.groups["backbone"]
    length = np.sqrt(sum((plain[index] ** 2).sum() for index in inside))
    assert length > 0.02
    expected = [0.01 * gradient / length if index in inside else gradient for index, gradient in enumerate(plain)]
    assert_same(gradients_taken(clipped, batch), expected)
    assert_same(gradients_taken(make_run(backbone_clip_norm=100 * length), batch), plain)


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_clips_without_label_or_sound_add_nothing(modality, make_run):
    run, same = make_run(modality), make_run(modality)
    batch = batch_of(run)
    label = tf.concat([batch["label"][:6], [-1, -1]], axis=0)
    silent = {**batch, "label": label, "has_audio": tf.range(BATCH) >= 2}
    kept = slice(2, 6) if modality == "audio" else slice(0, 6)
    part = {name: value[kept] for name, value in batch.items()}
    taken = gradients_taken(run, silent)
    assert_same(taken, gradients_taken(same, part))  # both are divided by the batch size
    assert any(gradient.any() for gradient in taken)


DRAWS = dict(mixup=dict(mixup_alpha=5.0), drop_token=dict(drop_token_rate=0.5), dropout=dict(dropout=0.5),
             classifier_dropout=dict(classifier_dropout=0.5))  # fmt: skip


@pytest.mark.parametrize("draw", DRAWS)
def test_draws_are_functions_of_seed_and_step(draw, make_run):
    run, plain = make_run(learning_rate=0.0, **DRAWS[draw]), make_run()
    batch = batch_of(run)

    def loss_at(step, seed=5):
        run.trainer.seed = seed
        run.trainer.global_step.assign(step)
        return float(run.trainer.replica_step(batch)["loss_classification"])

    one = loss_at(3)
    others = [loss_at(4), loss_at(3, seed=6), float(plain.trainer.replica_step(batch)["loss_classification"])]
    assert one == loss_at(3) and len({one, *others}) == 4


def shared_out(batch, strategy):
    share = BATCH // strategy.num_replicas_in_sync

    def take(value, context):
        return value[context.replica_id_in_sync_group * share :][:share]

    spread = strategy.experimental_distribute_values_from_function
    return {name: spread(lambda context, value=value: take(value, context)) for name, value in batch.items()}


@pytest.mark.usefixtures("quick_graphs")
@pytest.mark.parametrize(
    "options", [dict(backbone_clip_norm=0.1), dict(multi_label=True, balance_classes=True)], ids=str
)
def test_two_replicas_do_what_one_does(options, make_run, mirrored, last_row):
    after = {}
    for replicas in (1, 2):
        strategy = mirrored(replicas)
        run = make_run("audio", strategy, learning_rate=0.05, **options)
        for seed in range(3):
            with strategy.scope():
                run.trainer.train_on_batch(shared_out(batch_of(run, seed), strategy), tf.constant(0.0))
        after[replicas] = values(run), last_row(run.trainer)
    for one, other in zip(after[1][0], after[2][0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert after[1][1] == pytest.approx(after[2][1], rel=1e-3, abs=1e-5)
    assert after[1][1]["finite"] == 1


@pytest.mark.usefixtures("quick_graphs")
def test_xla_compiles_the_whole_step(make_run, last_row):
    options = dict(mixup_alpha=5.0, drop_token_rate=0.5, dropout=0.1, classifier_dropout=0.5, backbone_clip_norm=0.75)
    run = make_run("audio", multi_label=True, balance_classes=True, jit_compile=True, **options)
    before = values(run)
    run.trainer.train_on_batch(batch_of(run), tf.constant(0.0))
    logged = last_row(run.trainer)
    assert logged["finite"] == 1 and math.isfinite(logged["loss_classification"])
    assert any((old != new).any() for old, new in zip(before, values(run), strict=True))


def test_bfloat16_computes_in_16_bits_and_learns_in_32(make_run):
    try:
        run = make_run(precision="mixed_bfloat16")
        batch = batch_of(run)
        assert run.model.backbone.encode("video", batch["video"]).dtype == tf.bfloat16
        assert run.model(batch["video"]).dtype == tf.float32
        assert {weight.dtype for weight in run.trainer.weights} == {tf.float32}
        assert all(
            np.isfinite(gradient).all() and gradient.dtype == np.float32 for gradient in gradients_taken(run, batch)
        )
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_a_step_that_is_not_finite_changes_nothing_and_is_named(make_run):
    run = make_run()
    bias = next(index for index, weight in enumerate(run.trainer.weights) if weight is run.model.classifier.bias)
    run.model.classifier.bias.assign(tf.fill([CLASSES], np.nan))
    before = values(run)
    logged = run.trainer.replica_step(batch_of(run))
    assert logged["finite"] == 0 and logged["bad_objective"] == 0 and 0 <= logged["bad_variable"] <= bias
    for old, new in zip(before, values(run), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_learning_rate_warms_up_and_falls_to_zero(make_run):
    run = make_run(frozen=True, warmup_steps=4)
    rates = []
    for step in range(21):
        run.trainer.global_step.assign(step)
        rates.append(float(run.trainer.learning_rate(run.trainer.global_step)))
    expected = [
        RATE * min(step / 4, 0.5 * (1 + math.cos(math.pi * (step - 4) / 16)) if step >= 4 else 1) for step in range(21)
    ]
    np.testing.assert_allclose(rates, expected, atol=1e-6)
