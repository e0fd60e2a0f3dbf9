"""The step with one backward pass, and with weights from a cheaper Gram matrix."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
import vatt
from experiments.pretraining.step import CUTS, OBJECTIVES, HarmonizedTrainer
from vatt.keras import keras

pytestmark = [pytest.mark.usefixtures("quick_graphs"), pytest.mark.slow]

BATCH = 6


def build(make_model, harmonizer, strategy=None, **options):
    """A small model of two blocks with dropout, and its trainer, with SGD."""
    strategy = strategy or tf.distribute.get_strategy()
    dropout = options.pop("dropout", 0.1)
    model_options = options.pop("model_options", {})
    with strategy.scope():
        model = make_model(seed=7, layers=2, dropout=dropout, drop_token_rate=0.5 if dropout else 0.0, **model_options)
        optimizer = keras.optimizers.SGD(0.01)
        optimizer.build(model.trainable_variables)
        step = tf.Variable(0, trainable=False, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
    return HarmonizedTrainer(model, optimizer, harmonizer, None, step, seed=0, steps_per_loop=8, **options)


def train(trainer, batches):
    """Trains; returns the weights and statistics, and the log."""
    trainer.train_loop_begin()
    for batch in batches:
        trainer.train_on_batch(batch, tf.constant(0.0))
    return [v.numpy() for v in trainer.model.variables], {k: v.numpy() for k, v in trainer.train_loop_end().items()}


def same(found, expected, tolerance=3e-5):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * (1e-3 + np.abs(other).max()))


@pytest.fixture
def batches(make_batch):
    """Three batches whose clips differ, the second without text."""
    made = []
    for seed in range(3):
        clips, level = make_batch(BATCH, seed), tf.random.stateless_uniform([BATCH, 1, 1, 1, 3], [seed, 9], -1, 1)
        clips["video"] = 0.3 * clips["video"] + level
        clips["waveform"] = 0.3 * clips["waveform"] + level[:, 0, 0, 0, :1]
        made.append(clips)
    made[1]["has_text"] = tf.zeros([BATCH], tf.bool)
    return made


@pytest.mark.parametrize("scope", ["all", "encoder"])
def test_a_method_that_needs_no_gram_matrix_takes_one_pass_between_measurements(make_model, batches, scope):
    found, log = train(
        build(make_model, harmonization.RandomWeights(), measure_gradients_every=2, scope=scope), batches
    )
    expected, known = train(build(make_model, harmonization.RandomWeights(), scope=scope), batches)
    same(found, expected)
    for name in ("gradient_norm_video_audio", "layer_gradient_norm_video_text"):
        np.testing.assert_array_equal(np.isnan(log[name]).reshape(3, -1).all(axis=1), [False, True, False])
        np.testing.assert_allclose(log[name][::2], known[name][::2], rtol=1e-3, atol=1e-6)
    assert np.isnan(log["layer_cosine"][1]).all() and not np.isnan(log["layer_cosine"][0]).all()
    for name in ("loss_video_audio", "loss_video_text", "weight_video_audio", "weight_video_text", "keep", "finite"):
        np.testing.assert_allclose(log[name], known[name], rtol=1e-4, err_msg=name)
    assert set(log["keep"]) == {1.0} and set(log["bad_variable"]) == {-1.0}


def test_the_loop_on_the_device_measures_in_the_same_steps(make_model, batches):
    looped = build(make_model, harmonization.Sum(), measure_gradients_every=2, host_loop=True)
    looped.train_dataset = tf.data.Dataset.from_tensors(batches[0]).repeat()
    log = looped.train(tf.constant(4))
    np.testing.assert_array_equal(np.isnan(log["gradient_norm_video_audio"]), [False, True, False, True])


@pytest.mark.parametrize("options", [{}, {"all_reduce": "before"}])
@pytest.mark.usefixtures("eager")
def test_two_replicas_take_the_one_pass_of_one(make_model, batches, mirrored, options):
    strategy = mirrored(2)
    trainers = [
        build(make_model, harmonization.Sum(), each, measure_gradients_every=3, dropout=0.0, **options)
        for each in (None, strategy)
    ]
    expected, known = train(trainers[0], batches)
    found, log = train_on(strategy, trainers[1], batches)
    same(found, expected, 1e-4)
    np.testing.assert_array_equal(np.isnan(log["gradient_norm_video_audio"]), [False, True, True])
    np.testing.assert_allclose(log["loss_video_text"], known["loss_video_text"], rtol=1e-4)


def train_on(strategy, trainer, batches):
    def share(value):
        return strategy.experimental_distribute_values_from_function(
            lambda context: value[context.replica_id_in_sync_group * BATCH // 2 :][: BATCH // 2]
        )

    tf.config.run_functions_eagerly(False)  # which a strategy of several replicas needs
    with strategy.scope():
        return train(trainer, [{name: share(value) for name, value in batch.items()} for batch in batches])


@pytest.mark.usefixtures("eager")
def test_a_step_that_is_not_finite_is_named_without_a_gradient_of_each_loss(make_model, batches):
    trainer = build(make_model, harmonization.Sum(), measure_gradients_every=2)
    broken = batches[0] | {"waveform": batches[0]["waveform"] * float("nan")}
    trainer.global_step.assign(1)
    before = [weight.numpy() for weight in trainer.weights]
    _, log = train(trainer, [broken])
    assert log["finite"] == log["keep"] == 0 and log["bad_variable"] >= 0
    assert OBJECTIVES[int(log["bad_objective"][0])] == "video_audio"
    same([weight.numpy() for weight in trainer.weights], before, 0)


def exact_gradients(trainer, batch):
    """Both gradients at the present weights, which it leaves alone, as the trainer's next step would take them."""
    before = [variable.numpy() for variable in trainer.model.variables]
    from experiments.training.step_trainer import step_seed

    with tf.GradientTape(persistent=True) as tape:
        outputs = trainer.model(batch, training=True, seed=step_seed(0, trainer.global_step))
        losses = vatt.losses(outputs, batch)
    found = [
        [tf.convert_to_tensor(g) for g in tape.gradient(losses[n], trainer.weights, unconnected_gradients="zero")]
        for n in OBJECTIVES
    ]
    for variable, value in zip(trainer.model.variables, before, strict=True):
        variable.assign(value)
    return found


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("scope", "recompute"), [("all", False), ("all", True), ("encoder", False)])
@pytest.mark.parametrize("gram", CUTS)
def test_the_update_is_exact_for_the_weights_that_are_reported(make_model, batches, gram, scope, recompute):
    method = harmonization.CAGrad(c=0.9)  # whose weights are never those of the sum
    trainer = build(make_model, method, gram=gram, scope=scope, model_options={"recompute": recompute})
    gradients, before = exact_gradients(trainer, batches[0]), [weight.numpy() for weight in trainer.weights]
    _, log = train(trainer, batches[:1])
    weights = [log[f"weight_{name}"][0] for name in OBJECTIVES]
    assert np.abs(np.subtract(weights, 1)).max() > 0.05 and 0 < np.abs(log["cosine"][0]) < 1
    harmonized = range(len(before)) if scope == "all" else trainer.groups["encoder"]
    for index, (start, weight) in enumerate(zip(before, trainer.weights, strict=True)):
        own = weights if index in harmonized else (1.0, 1.0)
        update = sum(w * row[index].numpy() for w, row in zip(own, gradients, strict=True))
        tolerance = 1e-5 * (1e-3 + np.abs(update).max())
        if np.abs(update).max() < 1e-6:  # of keys' biases: a softmax does not see them, so what is left is rounding
            update = np.zeros_like(update)
        np.testing.assert_allclose(start - weight.numpy(), 0.01 * update, rtol=1e-3, atol=tolerance)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("gram", CUTS)
def test_the_gram_matrix_is_that_of_what_lies_above_the_cut(make_model, batches, gram):
    trainer = build(make_model, harmonization.GradientRealignment(), gram=gram)
    gradients = exact_gradients(trainer, batches[0])
    _, log = train(trainer, batches[:1])
    known = [layer for layer, norm in zip(trainer.layers, log["layer_gradient_norm_video_audio"][0], strict=True)
             if not np.isnan(norm)]  # fmt: skip
    heads = [layer for layer in trainer.layers if layer.startswith("head_")]
    above = {
        "features": heads,
        "top_block": ["block_1", "encoder_norm", "video_features", "audio_features", "text_features", *heads],
    }
    assert set(known) == set(above[gram])
    indices = [index for layer in above[gram] for index in trainer.layers[layer]]
    squares = [sum(float(tf.reduce_sum(row[index] ** 2)) for index in indices) for row in gradients]
    for name, square in zip(OBJECTIVES, squares, strict=True):
        norm = log[f"gradient_norm_{name}"][0]
        if gram == "top_block":
            assert norm == pytest.approx(square**0.5, rel=1e-3)
        else:
            assert norm > 1.01 * square**0.5, "the gradients at the features count, too"


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("gram", CUTS)
def test_a_gated_step_and_one_without_text(make_model, batches, gram):
    trainer = build(make_model, harmonization.Both(0.999), gram=gram)
    before = [variable.numpy() for variable in trainer.model.variables]
    found, log = train(trainer, batches[:1])
    assert log["keep"] == 0 and log["finite"] == 1
    same(found, before, 0)
    _, log = train(trainer, batches[1:2])
    assert log["keep"] == log["weight_video_audio"] == 1 and log["gradient_norm_video_text"] == log["cosine"] == 0


@pytest.mark.parametrize("gram", CUTS)
@pytest.mark.usefixtures("eager")
def test_two_replicas_decide_as_one(make_model, batches, mirrored, gram):
    strategy = mirrored(2)
    trainers = [
        build(make_model, harmonization.CAGrad(c=0.9), each, gram=gram, dropout=0.0) for each in (None, strategy)
    ]
    expected, known = train(trainers[0], batches)
    found, log = train_on(strategy, trainers[1], batches)
    same(found, expected, 1e-3)
    for name in ("cosine", "weight_video_audio", "gradient_norm_video_text"):
        np.testing.assert_allclose(log[name], known[name], rtol=2e-3, atol=2e-3, err_msg=name)
