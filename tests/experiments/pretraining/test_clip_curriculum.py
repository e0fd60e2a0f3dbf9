"""The curriculum per clip in the training step: what is trained on, what is skipped, on how many replicas."""

import math

import numpy as np
import pytest
import tensorflow as tf

import harmonization
import vatt
from experiments.evaluation.table import rows
from experiments.pretraining.clip_curriculum import ClipCurriculum
from experiments.pretraining.step import OBJECTIVES, HarmonizedTrainer
from vatt.heads import FineAndCoarseHead
from vatt.keras import keras

pytestmark = pytest.mark.slow

BATCH, STEPS = 8, 3
ALL, NONE = -1.0, 0.9999  # thresholds below and above all cosines of these clips


class SmallModel(keras.Model):
    """One dense map per modality and VATT's head: all that the curriculum sees of a model, traced in no time."""

    embeddings, encoders = {}, {}

    def __init__(self):
        super().__init__()
        keras.utils.set_random_seed(1)
        self.feature_projections = {name: keras.layers.Dense(7, "gelu", name=name) for name in vatt.MODALITIES}
        self.head = FineAndCoarseHead(6, 5)
        shapes = {"video": [2, 6], "waveform": [2, 5], "text": [2, 3, 4]}
        self({name: tf.zeros(shape, tf.int32 if name == "text" else tf.float32) for name, shape in shapes.items()})

    def call(self, clips, training=False, seed=None):
        raw = {"video": clips["video"], "audio": clips["waveform"], "text": tf.cast(clips["text"], tf.float32) / 9}
        features = {name: self.feature_projections[name](values) for name, values in raw.items()}
        spaces = self.head(features, training=training)
        return {"features": {name: tf.cast(values, tf.float32) for name, values in features.items()}, **spaces}


class Knob(harmonization.Schedule):
    """A threshold that a test sets."""

    def __init__(self):
        super().__init__(ALL, NONE)
        self.value = tf.Variable(ALL, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def __call__(self, step):
        return tf.convert_to_tensor(self.value)


class Rig:
    """A small model and its trainer, which can be set back to the start."""

    def __init__(self, strategy, optimizer=keras.optimizers.Adam, per_clip=True):
        self.strategy = strategy
        with strategy.scope():
            self.model, self.knob = SmallModel(), Knob()
            self.optimizer = optimizer(0.01)
            self.optimizer.build(self.model.trainable_variables)
            count = dict(trainable=False, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
            self.step = tf.Variable(0, **count)
        gate = harmonization.GradientCurriculum(self.knob)
        self.curriculum = ClipCurriculum(gate) if per_clip else None
        self.trainer = HarmonizedTrainer(
            self.model, self.optimizer, harmonization.GradientRealignment(), None, self.step,
            seed=0, steps_per_loop=STEPS, curriculum=self.curriculum,
        )  # fmt: skip
        self.variables = [*self.model.variables, *self.optimizer.variables, self.step]
        self.start = self.values()

    def values(self) -> list[np.ndarray]:
        return [variable.numpy() for variable in self.variables]

    def restore(self, values) -> None:
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)

    def train(self, threshold: float, *batches) -> dict[str, np.ndarray]:
        """Trains from where it is; returns the log."""
        self.knob.value.assign(threshold)
        self.trainer.train_loop_begin()
        with self.strategy.scope():
            for batch in batches:
                self.trainer.train_on_batch(self.shared_out(batch), tf.constant(0.0))
        return {name: column.numpy() for name, column in self.trainer.train_loop_end().items()}

    def shared_out(self, batch):
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            return batch
        share, spread = BATCH // replicas, self.strategy.experimental_distribute_values_from_function

        def take(name):
            return lambda context: batch[name][share * context.replica_id_in_sync_group :][:share]

        return {name: spread(take(name)) for name in batch}

    def judged(self, batch):
        """Each clip's cosine, NaN where it has none, and its losses, by NumPy from the clips' own gradients."""
        before = self.values()
        outputs = self.model(batch, training=True)
        terms = vatt.clip_losses(outputs, batch)
        own = vatt.own_gradients(self.model.head, outputs, batch, training=True)
        self.restore(before)
        first, second = (own[name].numpy().astype(np.float64) for name in OBJECTIVES)
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        return np.where(lengths > 0, np.sum(first * second, axis=1), np.nan) / np.where(lengths > 0, lengths, 1), terms

    def gradients(self, batch, weights):
        """The gradients of both weighted losses, which leave the model alone."""
        before = self.values()
        with tf.GradientTape(persistent=True) as tape:
            terms = vatt.clip_losses(self.model(batch, training=True), batch)
            losses = {
                name: tf.reduce_sum(weights * values) / tf.reduce_sum(tf.cast(valid, tf.float32))
                for name, (values, valid) in terms.items()
            }
        found = [tape.gradient(losses[name], self.trainer.weights, unconnected_gradients="zero") for name in OBJECTIVES]
        self.restore(before)
        return found


@pytest.fixture(scope="module")
def rigs(quick_graphs):
    return {}


@pytest.fixture
def rig(rigs, mirrored):
    """A function (replicas, **options) -> rig at the start; each is made once."""

    def get(replicas=1, **options):
        key = (replicas, *options.items())
        if key not in rigs:
            rigs[key] = Rig(mirrored(replicas), **options)
        rigs[key].restore(rigs[key].start)
        return rigs[key]

    return get


def make_batch(seed):
    """Clips of noise; one has no sound, one no text, one neither."""
    random = np.random.default_rng(seed)
    presence = lambda absent: tf.constant([clip not in absent for clip in range(BATCH)])  # noqa: E731
    return {
        "video": tf.constant(random.normal(size=(BATCH, 6)), tf.float32),
        "waveform": tf.constant(random.normal(size=(BATCH, 5)), tf.float32),
        "text": tf.constant(random.integers(1, 9, (BATCH, 3, 4)), tf.int32),
        "has_audio": presence([0, 2]),
        "has_text": presence([1, 2]),
    }


@pytest.fixture
def batches():
    return [make_batch(seed) for seed in range(STEPS)]


def middle(cosines):
    """A threshold half way between two cosines in the middle, which rounding does not reach."""
    ordered = np.sort(cosines[~np.isnan(cosines)])
    return ordered[len(ordered) // 2 - 1 : len(ordered) // 2 + 1].mean()


def logged(row):
    return {name: column[-1].item() for name, column in row.items() if not name.startswith("layer_")}


def test_a_step_trains_on_the_losses_of_the_clips_that_agree(rig, batches):
    rig = rig()
    cosines, terms = rig.judged(batches[0])
    threshold = middle(cosines)
    has = ~np.isnan(cosines)
    assert has.tolist() == [False] * 3 + [True] * 5
    weights = np.where(has, cosines > threshold, 1.0)
    expected = rig.gradients(batches[0], tf.constant(weights, tf.float32))
    realigned = harmonization.harmonize(expected, harmonization.GradientRealignment())[0]
    plain = rig.gradients(batches[0], 1.0)

    found = logged(rig.train(threshold, batches[0]))
    moments = [variable.numpy() / 0.1 for variable in rig.optimizer.variables if variable.name.startswith("m/")]
    for moment, gradient in zip(moments, realigned, strict=True):
        np.testing.assert_allclose(moment, gradient, rtol=1e-3, atol=1e-6)
    assert not np.allclose(moments[0], plain[0][0] + plain[1][0], rtol=0.1)
    assert found["clip_alignment"] == pytest.approx(cosines[has].mean(), abs=1e-5)
    assert found["clip_weight"] == pytest.approx(weights[has].mean(), abs=1e-5)
    assert found["clips_judged"] == 5 / 8 and found["keep"] == 1
    for name, (values, valid) in terms.items():  # of all clips, whatever they weigh
        assert found[f"loss_{name}"] == pytest.approx(values.numpy()[valid.numpy()].mean(), rel=1e-5)


def test_soft_weights_are_one_half_at_gamma(rig, batches):
    rig = rig()
    cosines, _ = rig.judged(batches[0])
    rig.knob.value.assign(cosines[4])
    soft = ClipCurriculum(harmonization.GradientCurriculum(rig.knob), softness=0.2)
    outputs = rig.model(batches[0], training=True)
    trust = soft(rig.model.head, outputs, batches[0], vatt.clip_losses(outputs, batches[0]), rig.step, {})
    expected = 1 / (1 + np.exp((cosines[4] - cosines[3:]) / 0.2))
    np.testing.assert_allclose(trust.weights, [1, 1, 1, *expected], atol=1e-4)
    assert (
        expected[1] == 0.5
        and trust.keep
        and float(trust.report["clip_weight"]) == pytest.approx(expected.mean(), abs=1e-4)
    )


def test_a_step_with_every_clip_gated_changes_no_bit(rig, batches):
    rig = rig()
    everything = batches[0] | dict.fromkeys(("has_audio", "has_text"), tf.ones([BATCH], tf.bool))
    rig.train(ALL, everything)  # moments and statistics are no longer those of the start
    before = rig.values()
    # A clip that has neither sound nor text weighs 1, and yet there is nothing to learn from it.
    present = tf.constant([True] * (BATCH - 1) + [False])
    for batch in (everything, everything | {"has_audio": present, "has_text": present}):
        found = logged(rig.train(NONE, batch))
        assert found["keep"] == found["clip_weight"] == 0 and found["finite"] == 1 and found["clip_alignment"] > -1
        for variable, one, other in zip(rig.variables[:-1], before, rig.values(), strict=False):
            np.testing.assert_array_equal(one, other, err_msg=variable.name)
    assert int(rig.step) == 3 and int(rig.optimizer.iterations) == 1


def test_clips_without_sound_or_text_are_trained_on_whatever_gamma_is(rig, batches):
    rig = rig()
    expected = rig.gradients(batches[0], tf.constant([1.0] * 3 + [0.0] * 5))
    found = logged(rig.train(NONE, batches[0]))
    assert found["keep"] == 1 and found["clip_weight"] == 0
    assert found["gradient_norm_video_audio"] == pytest.approx(float(tf.linalg.global_norm(expected[0])), rel=1e-3)
    silent = batches[0] | {"has_audio": tf.zeros([BATCH], tf.bool)}
    found = logged(rig.train(NONE, silent))
    assert (found["keep"], found["clips_judged"], found["clip_alignment"], found["clip_weight"]) == (1, 0, 0, 1)


def test_what_is_not_finite_is_found_and_not_gated_away(rig, batches):
    rig = rig()
    broken = batches[0] | {"waveform": tf.where(tf.range(BATCH)[:, tf.newaxis] == 4, math.nan, batches[0]["waveform"])}
    found = logged(rig.train(NONE, broken))
    assert found["finite"] == found["keep"] == 0 and math.isnan(found["loss_video_audio"])
    assert OBJECTIVES[int(found["bad_objective"])] == "video_audio"


def test_clips_that_all_weigh_one_change_nothing(rig, batches):
    plain, per_clip = rig(per_clip=False), rig()
    log = plain.train(ALL, *batches)
    assert not {"clip_alignment", "clip_weight", "clips_judged"} & log.keys()
    with_clips = per_clip.train(ALL, *batches)
    for one, other in zip(plain.values(), per_clip.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for name, column in log.items():
        np.testing.assert_allclose(with_clips[name], column, rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_resumed_run_equals_an_uninterrupted_one(rig, batches):
    rig = rig()
    threshold = middle(rig.judged(batches[0])[0])
    rig.train(threshold, batches[0])
    saved = rig.values()
    whole = rig.train(threshold, *batches[1:])
    assert (whole["clip_weight"] < 1).any()
    expected = rig.values()
    rig.restore(rig.start)
    rig.train(ALL, batches[2])
    rig.restore(saved)
    np.testing.assert_equal(rig.train(threshold, *batches[1:]), whole)
    for one, other in zip(rig.values(), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("replicas", [2, 4])
def test_weights_do_not_depend_on_the_number_of_replicas(rig, batches, replicas):
    sgd = dict(optimizer=keras.optimizers.SGD)
    alone, several = rig(**sgd), rig(replicas, **sgd)
    threshold = middle(alone.judged(batches[0])[0])
    log = alone.train(threshold, *batches)
    assert (0 < log["clip_weight"]).all() and (log["clip_weight"] < 1).all()
    found = several.train(threshold, *batches)
    for name, column in log.items():
        near = 1e-3 if name.startswith("layer_") else 2e-4
        np.testing.assert_allclose(found[name], column, rtol=near, atol=near, err_msg=name)
    for variable, value, start in zip(several.variables, alone.values(), alone.start, strict=True):
        copies = [copy.numpy() for copy in several.strategy.experimental_local_results(variable)]
        for copy in copies:
            np.testing.assert_array_equal(copy, copies[0])
            np.testing.assert_allclose(copy, value, rtol=1e-5, atol=1e-5)
        assert np.abs(value - start).max() > 1e-4 or variable.shape == [] or not variable.trainable


def test_xla_judges_alike(rig, batches):
    rig = rig()
    threshold = middle(rig.judged(batches[0])[0])
    rig.knob.value.assign(threshold)
    outputs = rig.model(batches[0])
    judge = lambda: rig.curriculum(  # noqa: E731
        rig.model.head, outputs, batches[0], vatt.clip_losses(outputs, batches[0]), rig.step, {}
    )
    plain, compiled = judge(), tf.function(judge, jit_compile=True)()
    np.testing.assert_array_equal(compiled.weights, plain.weights)
    assert 0 < plain.report["clip_weight"] < 1
    for name, value in plain.report.items():
        assert float(compiled.report[name]) == pytest.approx(float(value), rel=1e-4)


def test_mixed_precision_judges_nearly_alike(rig, batches):
    rig = rig()
    cosines, _ = rig.judged(batches[0])
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = Rig(rig.strategy)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert half.model.head.compute_dtype == "bfloat16"
    found, _ = half.judged(batches[0])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(cosines))
    assert 0 < np.nanmax(np.abs(found - cosines)) < 0.2
    outputs = half.model(batches[0])
    weights = half.curriculum(
        half.model.head, outputs, batches[0], vatt.clip_losses(outputs, batches[0]), half.step, {}
    ).weights
    assert weights.dtype == tf.float32 and weights.numpy().tolist() == [1.0] * BATCH


def test_the_table_reports_clips_where_they_were_judged():
    gradients = {"mean_cosine": 0.1, "conflict_rate": 0.2, "kept_rate": 1.0}
    nothing = dict.fromkeys(("r1", "r5", "r10", "median_rank", "gallery"))
    result = {
        "retrieval": {"text_to_video": nothing},
        "linear_probe": {},
        "harmonization": gradients,
        "alignment": None,
    }
    before = rows(result)
    gradients |= {"clip_alignment": -0.25, "clip_weight": 0.75}
    added = [row for row in rows(result) if row not in before]
    assert [row.value for row in added] == ["-0.2500", "75.0 %"] and {row.group for row in added} == {before[-1].group}
