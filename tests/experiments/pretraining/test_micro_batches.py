"""Gradient caching takes the step of the whole batch: gradients, Gram matrix, batch statistics, draws and weights."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
import vatt
from experiments.pretraining.clip_curriculum import ClipCurriculum
from experiments.pretraining.micro_batches import MicroBatches
from experiments.pretraining.step import ERROR_BARS, HarmonizedTrainer
from harmonization.significance import Parts
from vatt.keras import keras

pytestmark = [pytest.mark.usefixtures("quick_graphs"), pytest.mark.slow]

BATCH = 16


def build(make_model, harmonizer, strategy=None, **options):
    """A small model with DropToken and dropout, and its trainer, with SGD."""
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = make_model(seed=7, **{"drop_token_rate": 0.5, "dropout": 0.1, **options.pop("model", {})})
        optimizer = keras.optimizers.SGD(1e-3)
        optimizer.build(model.trainable_variables)
        step = tf.Variable(0, trainable=False, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        harmonizer.build(2, ("all",) if options.get("scope", "all") == "all" else ("encoder",))
    return HarmonizedTrainer(model, optimizer, harmonizer, None, step, seed=0, steps_per_loop=8, **options)


def train(trainer, batches):
    """Trains; returns all variables by name, those of the method included, and the log."""
    trainer.train_loop_begin()
    for batch in batches:
        trainer.train_on_batch(batch, tf.constant(0.0))
    variables = [*trainer.model.variables, *trainer.harmonizer.variables]
    return [v.numpy() for v in variables], {k: v.numpy() for k, v in trainer.train_loop_end().items()}


def same(found, expected, tolerance=1e-5):
    (variables, log), (wanted, known) = found, expected
    for one, other in zip(variables, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1.0, np.abs(other).max()))
    for name in log.keys() - {"data_wait_seconds"}:
        np.testing.assert_allclose(log[name], known[name], rtol=1e-3, atol=10 * tolerance, err_msg=name)


@pytest.fixture
def batches(make_batch):
    """Two batches whose clips differ, some without sound or text."""
    made = []
    for seed in range(2):
        clips, level = make_batch(BATCH, seed), tf.random.stateless_uniform([BATCH, 1, 1, 1, 3], [seed, 9], -1, 1)
        clips["video"] = 0.3 * clips["video"] + level
        clips["waveform"] = 0.3 * clips["waveform"] + level[:, 0, 0, 0, :1]
        clips["has_audio"] = tf.range(BATCH) != 5
        clips["has_text"] = tf.range(BATCH) % 7 != seed
        made.append(clips)
    return made


PER_CLIP = ClipCurriculum(harmonization.GradientCurriculum(0.0), 0.2)
FEATURES_ONLY = {"gram": "features", "scope": "encoder", "curriculum": PER_CLIP}
CASES = {
    "both gradients": (lambda: harmonization.CAGrad(c=0.9), {}, 1),
    "a gate that is closed": (lambda: harmonization.Both(0.999), {}, 1),
    "a method with state, for the encoder alone": (harmonization.GradVac, {"scope": "encoder"}, 2),
    "a Gram matrix at the features, clips judged one by one": (lambda: harmonization.CAGrad(c=0.9), FEATURES_ONLY, 1),
    "a loss that weighs the pairs of the whole batch": (harmonization.Sum, {"loss_options": {"form": "robust_xid"}}, 1),
    "one gradient, measured in the first step": (harmonization.RandomWeights, {"measure_gradients_every": 2}, 2),
}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("case", CASES)
def test_passes_take_the_step_of_the_whole_batch(make_model, batches, case):
    method, options, steps = CASES[case]
    trainer = build(make_model, method(), **options)
    start = [variable.numpy() for variable in trainer.model.variables]
    expected = train(trainer, batches[:steps])
    same(train(build(make_model, method(), **options, clips_per_pass=8), batches[:steps]), expected)
    moved = max(np.abs(one - other).max() for one, other in zip(expected[0], start, strict=False))
    assert moved == 0 if "closed" in case else moved > 1e-3


@pytest.mark.usefixtures("eager")
def test_other_towers_and_recomputed_blocks_pass_through_alike(make_model, batches):
    model = {"preset": "mbs", "text": "t5_small", "head": "joint", "recompute": True, "shared_drop": True}
    expected, found = (
        train(build(make_model, harmonization.MGDA(), model=model, clips_per_pass=clips), batches[:1])
        for clips in (None, 8)
    )
    same(found, expected)


def test_passes_are_the_same_with_xla(make_model, make_batch):
    model = make_model(drop_token_rate=0.5, dropout=0.1, modalities=("audio",))
    clips, weights = make_batch(BATCH), model.path_variables("audio")

    def passed(seed):
        passes = MicroBatches(model, clips, 4, seed, lambda part: part)
        features = passes._features()["audio"]
        parts = passes.pull_back_parts([[features]], weights, Parts(4, 4))
        return features, passes.pull_back([[features]], [weights]), parts

    graph, compiled = (
        tf.function(passed, autograph=False, jit_compile=jit)(tf.constant([0, 1], tf.int64)) for jit in (False, True)
    )
    for one, other in zip(tf.nest.flatten(compiled), tf.nest.flatten(graph), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=3e-5 * max(1.0, np.abs(other).max()))


@pytest.mark.usefixtures("eager")
def test_products_of_parts_are_those_of_their_gradients_by_hand(make_model, make_batch):
    count, here = 8, 4
    model = make_model(drop_token_rate=0.5, dropout=0.1, modalities=("audio",))
    clips, weights = make_batch(4 * count), model.path_variables("audio")
    passes = MicroBatches(model, clips, count, tf.constant([0, 1], tf.int64), lambda part: part)
    shape = passes._features()["audio"].shape
    cotangents = [tf.random.stateless_normal(shape, [seed, 0]) for seed in range(2)]
    found, products = passes.pull_back_parts([[each] for each in cotangents], weights, Parts(here, here))

    by_part = []
    for part in range(here):
        rows = vatt.BatchPart(part, here).of(tf.range(shape[0]))
        mask = tf.scatter_nd(rows[:, None], tf.ones(rows.shape), [shape[0]])[:, None]
        by_part.append(passes.pull_back([[each * mask] for each in cotangents], [weights] * 2))
    for objective in range(2):
        whole = [tf.add_n(column) for column in zip(*(rows[objective] for rows in by_part), strict=True)]
        for one, other in zip(found[objective], whole, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * max(1.0, np.abs(other).max()))
    assert products.shape == [len(weights), here // 2, 2, 2]
    for block in range(here // 2):
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            first, second = by_part[2 * block][i], by_part[2 * block + 1][j]
            expected = [np.sum(one * other) for one, other in zip(first, second, strict=True)]
            np.testing.assert_allclose(products[:, block, i, j], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("eager")
def test_parts_take_the_step_of_the_whole_batch_and_have_error_bars(make_model, batches):
    options = dict(model={"dropout": 0.0, "drop_token_rate": 0.0})
    expected, (variables, log) = (
        train(build(make_model, harmonization.CAGrad(c=0.9), **options, gradient_parts=parts), batches[:1])
        for parts in (None, 4)
    )
    errors = {name: log.pop(name) for name in ERROR_BARS}
    same((variables, log), expected)
    assert errors["cosine_error"] > 0 and 0 < errors["conflict_p"] <= 1

    gate = harmonization.Significant(harmonization.GradientCurriculum(0.999), 0.999)
    trainer = build(make_model, gate, **options, gradient_parts=4, clips_per_pass=4)
    _, judged = train(trainer, batches[:1])
    assert judged["keep"] == 0 and judged["conflict_p"] == pytest.approx(errors["conflict_p"], rel=1e-3)


@pytest.mark.usefixtures("eager")
def test_a_step_that_measures_nothing_has_no_error_bars(make_model, batches):
    trainer = build(make_model, harmonization.Sum(), gradient_parts=4, measure_gradients_every=2)
    _, log = train(trainer, batches)
    assert np.isfinite(log["cosine_error"]).tolist() == [True, False]


@pytest.mark.usefixtures("eager")
def test_two_replicas_take_the_passes_of_one(make_model, batches, mirrored):
    strategy = mirrored(2)

    def share(value):
        return strategy.experimental_distribute_values_from_function(
            lambda context: value[context.replica_id_in_sync_group * BATCH // 2 :][: BATCH // 2]
        )

    # Replicas have draws of their own.
    options = dict(model={"dropout": 0.0, "drop_token_rate": 0.0}, clips_per_pass=4)
    # The clips of two parts are other ones on two replicas, so that error bars differ.
    one, two = (
        build(make_model, harmonization.Both(-0.9), each, **options, gradient_parts=parts)
        for each, parts in ((None, None), (strategy, 4))
    )
    expected = train(one, batches[:1])
    tf.config.run_functions_eagerly(False)
    with strategy.scope():
        found = train(two, [{name: share(value) for name, value in batches[0].items()}])
    errors = {name: found[1].pop(name) for name in ERROR_BARS}
    same(found, expected, 3e-5)
    assert errors["cosine_error"] > 0 and 0 < errors["conflict_p"] <= 1


@pytest.mark.usefixtures("eager")
def test_bytes_become_floats_one_pass_at_a_time(make_model, make_batch):
    clips, finished = make_batch(8), []

    def finish(part):
        finished.append(part["video"].shape[0])
        return part | {
            "video": tf.cast(part["video"], tf.float32) / 127.5 - 1.0 + part["video_box"][:, :, None, None, None]
        }

    levels = tf.cast((clips["video"] + 1) * 127.5, tf.uint8)
    unfinished = clips | {"video": levels, "video_box": tf.reshape(tf.range(8.0) / 100, [8, 1])}
    options = dict(model={"dropout": 0.0, "drop_token_rate": 0.0})
    found = []
    for clips_per_pass in (None, 4):
        trainer = build(make_model, harmonization.Sum(), clips_per_pass=clips_per_pass, **options)
        trainer.finish_clips = finish
        found.append(train(trainer, [unfinished]))
    same(*found)
    assert finished[0] == 8 and set(finished[1:]) == {4}


def test_no_more_clips_than_a_pass_has_are_passed_at_once(make_model, make_batch):
    trainer = build(make_model, harmonization.Sum(), clips_per_pass=BATCH)
    assert [trainer._passes(make_batch(clips)) for clips in (4, BATCH, 2 * BATCH)] == [1, 1, 2]
