"""What one training step does, and what a skipped step does not do."""

import functools
import itertools
import math
import time

import numpy as np
import pytest
import tensorflow as tf

import harmonization
import vatt
from experiments.pretraining.step import OBJECTIVES, HarmonizedTrainer
from experiments.training.optimizers import GlobalStepSchedule, adam
from harmonization import reference
from vatt.keras import keras

pytestmark = pytest.mark.slow

PEAK, FINAL, WARMUP, STEPS = 1e-2, 1e-3, 4, 20
STRICT = 0.999  # a threshold that no cosine of these batches exceeds
METHODS = {
    "sum": harmonization.Sum(),
    "gr": harmonization.GradientRealignment(),
    "cl": harmonization.GradientCurriculum(STRICT),
    "both": harmonization.Both(STRICT),
}
BATCH = 6


class Switch(harmonization.Harmonizer):
    """Whichever method a variable names, so that tracing the step once, which takes long, serves all tests."""

    def __init__(self):
        super().__init__()
        self.chosen = tf.Variable(0, trainable=False)

    def decide(self, group):
        decisions = [method.decide(group) for method in METHODS.values()]
        weights = tf.gather(tf.stack([decision.weights for decision in decisions]), self.chosen)
        return harmonization.Decision(weights, tf.gather(tf.stack([d.keep for d in decisions]), self.chosen))


class Rig:
    """A small model, by default without dropout, and its trainer, which can be set back to the start."""

    def __init__(self, make_model, dataset=None, dropout=0.0, drop_token_rate=0.0, **options):
        self.model = make_model(dropout=dropout, drop_token_rate=drop_token_rate)
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64)
        schedule = GlobalStepSchedule(self.step, PEAK, FINAL, WARMUP, STEPS)
        self.optimizer, self.switch = adam(schedule, self.model.trainable_variables), Switch()
        self.trainer = HarmonizedTrainer(
            self.model, self.optimizer, self.switch, dataset, self.step,
            seed=0, steps_per_loop=8, learning_rate=schedule, **options,
        )  # fmt: skip
        self.variables = [*self.model.variables, *self.optimizer.variables]
        self.start = self.values()

    def reset(self, method: str = "sum", step: int = WARMUP) -> None:
        for variable, value in zip(self.variables, self.start, strict=True):
            variable.assign(value)
        self.trainer.train_loop_begin()
        self.choose(method)
        self.step.assign(step)

    def choose(self, method: str) -> None:
        self.switch.chosen.assign(list(METHODS).index(method))

    def train(self, batch) -> dict[str, float]:
        """Takes a step; returns what is logged of it."""
        self.trainer.train_on_batch(batch, tf.constant(0.0))
        return {name: self.column(name)[-1].item() for name in self.trainer.log.fields}

    def column(self, name: str) -> np.ndarray:
        return self.trainer.train_loop_end()[name].numpy()

    def values(self) -> list[np.ndarray]:
        return [variable.numpy() for variable in self.variables]

    def moments(self, letter: str) -> list[np.ndarray]:
        found = [v.numpy() for v in self.optimizer.variables if v.name.startswith(f"{letter}/")]
        assert len(found) == len(self.trainer.weights)
        return found

    def gradients(self, batch) -> list[list[tf.Tensor]]:
        """Each loss's gradients, dense, at the present weights, which it leaves alone."""
        before = self.values()
        with tf.GradientTape(persistent=True) as tape:
            losses = vatt.losses(self.model(batch, training=True), batch)
        options = dict(unconnected_gradients="zero")
        found = [tape.gradient(losses[name], self.trainer.weights, **options) for name in OBJECTIVES]
        for variable, value in zip(self.variables, before, strict=True):
            variable.assign(value)
        return [[tf.convert_to_tensor(gradient) for gradient in row] for row in found]


@pytest.fixture(scope="module")
def made(quick_graphs):
    return {}


@pytest.fixture
def rig(made, make_model):
    if "rig" not in made:
        made["rig"] = Rig(make_model)
    made["rig"].reset()
    return made["rig"]


@pytest.fixture
def batch(make_batch):
    """Clips that differ from each other enough for the batch norms."""
    clips = make_batch(BATCH, seed=1)
    level = tf.random.stateless_uniform([BATCH, 1, 1, 1, 3], [0, 9], minval=-1, maxval=1)
    return clips | {"video": 0.3 * clips["video"] + level, "waveform": 0.3 * clips["waveform"] + level[:, 0, 0, 0, :1]}


def without_text(batch):
    return batch | {"has_text": tf.zeros([BATCH], tf.bool)}


def close(found, expected, tolerance=1e-4):
    """Compares lists of arrays, each relative to its largest number."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * (1e-6 + np.abs(other).max()))


@pytest.mark.parametrize("method", ["cl", "both"])
def test_a_gated_step_changes_no_bit(rig, batch, method):
    rig.train(batch)  # moments and statistics are no longer those of the start
    before, step = rig.values(), int(rig.step)
    rig.choose(method)
    logged = rig.train(batch)
    assert logged["keep"] == 0 and -1 < logged["cosine"] < STRICT
    for variable, one, other in zip(rig.variables, before, rig.values(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=variable.name)
    assert int(rig.step) == step + 1
    assert int(rig.optimizer.iterations) == 1

    rig.choose("sum")
    assert rig.train(batch)["keep"] == 1
    changed = [variable.name for variable, one, other in zip(rig.variables, before, rig.values(), strict=True)
               if np.array_equal(one, other)]  # fmt: skip
    assert changed == [], "what a kept step does not change says nothing about a gated one"


def test_a_kept_step_of_the_sum_is_a_plain_adam_step(rig, batch):
    total = [np.add(*pair) for pair in zip(*rig.gradients(batch), strict=True)]
    before = [weight.numpy() for weight in rig.trainer.weights]
    logged = rig.train(batch)
    assert logged["keep"] == 1 and logged["learning_rate"] == pytest.approx(PEAK)
    close(rig.moments("m"), [0.1 * gradient for gradient in total])
    close(rig.moments("v"), [0.001 * gradient**2 for gradient in total])
    rate = PEAK * math.sqrt(1 - 0.999) / (1 - 0.9)
    moves = [rate * m / (np.sqrt(v) + 1e-7) for m, v in zip(rig.moments("m"), rig.moments("v"), strict=True)]
    close(rig.trainer.weights, [weight - move for weight, move in zip(before, moves, strict=True)], 1e-5)


def test_realignment_is_that_of_the_flat_reference(rig, batch):
    video_audio, video_text = rig.gradients(batch)
    expected = reference.realign(video_audio, video_text)
    plain = [one + other for one, other in zip(video_audio, video_text, strict=True)]
    rig.choose("gr")
    logged = rig.train(batch)
    assert logged["cosine"] < -0.05 and logged["weight_video_audio"] > 1 < logged["weight_video_text"]
    close([m / 0.1 for m in rig.moments("m")], expected, 1e-3)
    flat = [reference.flatten(gradients) for gradients in (expected, plain)]
    assert tf.norm(flat[0] - flat[1]) > 0.05 * tf.norm(flat[1])
    assert logged["cosine"] == pytest.approx(
        float(reference.indicate(reference.flatten(video_audio), reference.flatten(video_text), "cosine")), abs=1e-4
    )
    norm = tf.norm(reference.flatten(video_text))
    assert logged["gradient_norm_video_text"] == pytest.approx(float(norm), rel=1e-4)


@pytest.mark.usefixtures("quick_graphs")
def test_realigning_the_encoder_only(batch, make_model):
    rig = Rig(functools.partial(make_model, 1), scope="encoder")  # whose gradients conflict; asserted below
    rig.reset("gr")
    video_audio, video_text = rig.gradients(batch)
    shared = {id(weight) for weight in rig.model.encoder.trainable_variables}
    inside = [id(weight) in shared for weight in rig.trainer.weights]
    assert 0 < sum(inside) < len(inside)
    encoder = [list(itertools.compress(gradients, inside)) for gradients in (video_audio, video_text)]
    realigned = iter(reference.realign(*encoder))
    expected = [
        next(realigned) if member else one + other
        for member, one, other in zip(inside, video_audio, video_text, strict=True)
    ]
    logged = rig.train(batch)
    close([m / 0.1 for m in rig.moments("m")], expected, 1e-3)
    cosine = reference.indicate(*(reference.flatten(gradients) for gradients in encoder), "cosine")
    assert logged["cosine"] == pytest.approx(float(cosine), abs=1e-4) and logged["weight_video_audio"] > 1
    check_layers(rig, [video_audio, video_text])  # all of them, although one group is harmonized


def check_layers(rig, gradients):
    """Compares what is logged of the layers in the last step with the gradients themselves."""
    cosines, layers = rig.column("layer_cosine")[-1], rig.trainer.layers
    assert sorted(itertools.chain(*layers.values())) == list(range(len(rig.trainer.weights)))
    for place, (layer, indices) in enumerate(layers.items()):
        pair = [reference.flatten([row[index] for index in indices]).numpy().astype(np.float64) for row in gradients]
        norms = [np.linalg.norm(one) for one in pair]
        for name, norm in zip(OBJECTIVES, norms, strict=True):
            found = rig.column(f"layer_gradient_norm_{name}")[-1, place]
            assert found == pytest.approx(norm, rel=1e-3, abs=1e-6), layer
        expected = np.dot(*pair) / np.prod(norms) if all(norms) else math.nan
        assert cosines[place] == pytest.approx(expected, abs=1e-3, nan_ok=True), layer


@pytest.mark.parametrize("method", ["sum", "gr"])
def test_the_layers_are_logged_as_they_are(rig, batch, method):
    gradients = rig.gradients(batch)
    rig.choose(method)
    rig.train(batch)
    check_layers(rig, gradients)
    compared = [name for name, cosine in zip(rig.trainer.layers, rig.column("layer_cosine")[-1], strict=True)
                if not math.isnan(cosine)]  # fmt: skip
    assert compared == [
        "video_patches", "video_positions", "block_0", "encoder_norm", "video_features", "head_video_hidden",
        "head_video_to_audio",
    ]  # fmt: skip
    rig.train(without_text(batch))
    assert np.isnan(rig.column("layer_cosine")[-1]).all() and not np.any(
        rig.column("layer_gradient_norm_video_text")[-1]
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_without_text_is_trained_on_with_the_other_loss(rig, batch, method):
    rig.choose(method)
    video_audio, _ = rig.gradients(without_text(batch))
    logged = rig.train(without_text(batch))
    assert all(math.isfinite(value) for value in logged.values())
    assert logged["loss_video_text"] == logged["gradient_norm_video_text"] == logged["cosine"] == 0
    assert logged["keep"] == logged["finite"] == logged["weight_video_audio"] == 1
    close(rig.moments("m"), [0.1 * gradient for gradient in video_audio])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_step_that_is_not_finite_is_skipped_and_named(rig, batch, objective):
    if objective == "video_audio":
        broken = batch | {"waveform": tf.where(tf.range(BATCH)[:, tf.newaxis] == 1, math.nan, batch["waveform"])}
    else:
        broken = batch
        words = rig.model.embeddings["text"].pieces.trainable_variables[0]
        words.assign(tf.fill(words.shape, math.nan))
    before = rig.values()
    logged = rig.train(broken)
    assert logged["finite"] == logged["keep"] == 0 and math.isnan(logged[f"loss_{objective}"])
    assert sum(math.isnan(logged[f"loss_{name}"]) for name in OBJECTIVES) == 1
    assert OBJECTIVES[int(logged["bad_objective"])] == objective
    assert 0 <= logged["bad_variable"] < len(rig.trainer.weights)
    for one, other in zip(before, rig.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    rig.reset()
    assert rig.train(batch)["bad_variable"] == -1


def test_the_learning_rate_follows_the_global_step_also_over_gated_steps(rig, batch):
    def logged_at(step, method):
        rig.reset(method, step)
        return rig.train(batch)["learning_rate"]

    half = FINAL + (PEAK - FINAL) * 0.5
    expected = {0: 0.0, 1: PEAK / 4, WARMUP: PEAK, (STEPS + WARMUP) // 2: half, STEPS: FINAL}
    for step, rate in expected.items():
        for method in ("sum", "both"):
            assert logged_at(step, method) == pytest.approx(rate, rel=1e-5), (step, method)
    # Three gated steps of the warm-up, then one that is kept: Adam's first update is the learning rate, in every weight.
    rig.reset("both", step=0)
    for _ in range(3):
        rig.train(batch)
    before = rig.trainer.weights[0].numpy()
    rig.choose("sum")
    rig.train(batch)
    assert np.abs(rig.trainer.weights[0].numpy() - before).max() == pytest.approx(PEAK * 3 / 4, rel=1e-2)


def test_mixed_bfloat16_is_near_float32(rig, batch, make_model):
    expected = rig.train(batch)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = Rig(make_model)
        half.reset()
        logged = half.train(batch)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert half.model.encoder.compute_dtype == "bfloat16" and half.trainer.weights[0].dtype == tf.float32
    assert logged["keep"] == 1 and logged["finite"] == 1
    for name in OBJECTIVES:
        assert logged[f"loss_{name}"] != expected[f"loss_{name}"]
        assert logged[f"loss_{name}"] == pytest.approx(expected[f"loss_{name}"], rel=0.05)


@pytest.mark.parametrize("rates", [{}, dict(dropout=0.1, drop_token_rate=0.5)])
def test_xla_does_the_same_and_compiles_once(rig, batch, make_model, rates):
    compiled = Rig(make_model, jit_compile=True, **rates)
    rig = Rig(make_model, **rates) if rates else rig
    compiled.reset("gr")
    rig.reset("gr")
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        logged = compiled.train(batch)
        seconds.append(time.monotonic() - start)
        for name, expected in rig.train(batch).items():
            assert logged[name] == pytest.approx(expected, rel=1e-2, abs=1e-2), name
    for name in rig.trainer.log.layer_fields:
        np.testing.assert_allclose(compiled.column(name), rig.column(name), rtol=1e-2, atol=1e-2, err_msg=name)
    # A computed index that XLA takes for a constant would make it compile each step again.
    assert max(seconds[1:]) < 0.2 * seconds[0]


def test_a_step_draws_its_keys_at_once(batch, make_model):
    """A draw for all keys, one per dropout and one per DropToken."""
    trainer = Rig(make_model, dropout=0.1, drop_token_rate=0.5).trainer
    step = tf.function(trainer.replica_step, autograph=False).get_concrete_function(batch)
    draws = [op.type for op in step.graph.get_operations() if op.type.startswith("StatelessRandomUniform")]
    blocks = len(trainer.model.encoder.blocks)
    assert len(draws) == 1 + len(vatt.MODALITIES) * (2 + 4 * blocks) + 2  # words are not dropped as tokens


def test_the_loop_on_the_device_does_the_same(rig, batch, make_model):
    batches = tf.data.Dataset.from_tensors(batch).repeat()
    looped = Rig(make_model, batches, host_loop=True)
    looped.reset("gr")
    found = looped.trainer.train(tf.constant(3))
    rig.reset("gr")
    for _ in range(3):
        rig.train(batch)
    for name, expected in rig.trainer.train_loop_end().items():
        if name != "data_wait_seconds":
            np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-4, err_msg=name)
    close(looped.values(), rig.values(), 1e-3)
