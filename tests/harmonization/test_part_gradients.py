"""Gradients of parts of a batch: their statistics are those by hand, and the update is that of the whole batch."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from vatt.keras import keras

pytestmark = [pytest.mark.usefixtures("quick_graphs"), pytest.mark.slow]

BATCH, PARTS = 16, 8
INPUTS = np.random.default_rng(3).normal(size=(BATCH, 4)).astype(np.float32)
START = np.random.default_rng(4).normal(size=(4, 3)).astype(np.float32)
SIGNIFICANT = harmonization.Significant(harmonization.GradientRealignment())
PLAIN = harmonization.GradientRealignment()


def terms(inputs, weights):
    """Two losses per example, [batch] each."""
    outputs = tf.tanh(inputs @ weights)
    return tf.reduce_sum((outputs - 1.0) ** 2, axis=1), tf.reduce_sum((outputs + inputs[:, :1]) ** 2, axis=1)


def parts_of(values, parts):
    """Neighboring examples, [parts], their share of the mean over the global batch."""
    return tf.reduce_sum(tf.reshape(values, [parts, -1]), axis=1) / BATCH


def minimized(method, inputs=INPUTS, parts=PARTS, optimizer=None, variable=None, **options):
    variable = tf.Variable(START) if variable is None else variable
    with tf.GradientTape(persistent=True) as tape:
        losses = [parts_of(each, parts) if parts else tf.reduce_mean(each) for each in terms(inputs, variable)]
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    return harmonization.minimize(tape, losses, [variable], optimizer, method, **options), variable


def gradients_by_hand():
    """A list over parts of lists over objectives of lists over variables."""
    found = []
    for rows in np.split(INPUTS, PARTS):
        with tf.GradientTape(persistent=True) as tape:
            variable = tf.Variable(START)
            losses = [tf.reduce_sum(each) / BATCH for each in terms(rows, variable)]
        found.append([[tape.gradient(loss, variable)] for loss in losses])
    return found


def test_statistics_are_those_of_the_parts_by_hand_and_the_update_that_of_the_batch():
    parts = gradients_by_hand()
    total = [[tf.add_n([part[objective][0] for part in parts])] for objective in range(2)]
    _, expected = harmonization.harmonize(total, SIGNIFICANT, part_gram=harmonization.part_gram(parts))
    found, variable = minimized(PLAIN)
    for name in ("gram", "cosine", "cosine_error", "conflict_p"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, err_msg=name)
    plain, other = minimized(PLAIN, parts=None)
    np.testing.assert_allclose(variable, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["losses"], plain["losses"], rtol=1e-6)
    assert found["cosine_error"] > 0 and "cosine_error" not in plain


def test_scaled_losses_and_single_passes_have_parts_too():
    scaled = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.1), dynamic=False, initial_scale=1024)
    one, other = minimized(PLAIN), minimized(PLAIN, optimizer=scaled)
    np.testing.assert_allclose(other[0]["conflict_p"], one[0]["conflict_p"], rtol=1e-3)
    np.testing.assert_allclose(other[1], one[1], rtol=1e-5)
    summed, plain = (minimized(harmonization.Sum(), parts=each, measure=False)[1] for each in (PARTS, None))
    np.testing.assert_allclose(summed, plain, rtol=1e-5)


def trained(strategy):
    """Weights and statistics after three steps of each method."""
    methods = {
        "plain": PLAIN,
        "gate": harmonization.Significant(harmonization.GradientCurriculum(0.99), level=0.9),
        "averaged": harmonization.CRMOGM(SIGNIFICANT),
    }
    with strategy.scope():
        variables = {name: tf.Variable(START) for name in methods}
        optimizers = {name: keras.optimizers.SGD(0.1) for name in methods}
        for name, method in methods.items():
            optimizers[name].build([variables[name]])
            method.build(2, ("all",))

    def replica_step():
        context = tf.distribute.get_replica_context()
        replicas, here = context.num_replicas_in_sync, context.replica_id_in_sync_group
        rows, reports = tf.constant(INPUTS)[here * BATCH // replicas :][: BATCH // replicas], {}
        for name, method in methods.items():
            report, _ = minimized(method, rows, PARTS // replicas, optimizers[name], variables[name])
            reports[name] = [report[key] for key in ("conflict_p", "cosine_error", "cosine", "weights")]
        return reports

    step = tf.function(lambda: strategy.run(replica_step), autograph=False)
    local = strategy.experimental_local_results
    reports = [{name: [local(each)[0].numpy() for each in row] for name, row in step().items()} for _ in range(3)]
    return {name: [copy.numpy() for copy in local(variable)] for name, variable in variables.items()}, reports


def test_weights_and_statistics_are_the_same_on_1_2_and_4_replicas():
    expected, reports = trained(tf.distribute.get_strategy())
    for replicas in (2, 4):
        strategy = tf.distribute.MirroredStrategy(
            [f"CPU:{index}" for index in range(replicas)], cross_device_ops=tf.distribute.ReductionToOneDevice()
        )
        found, others = trained(strategy)
        for name, (single,) in expected.items():
            for copy in found[name]:
                np.testing.assert_allclose(copy, single, rtol=1e-4, atol=1e-5, err_msg=name)
        for step, other in zip(reports, others, strict=True):
            for name, row in step.items():
                for one, another in zip(row, other[name], strict=True):
                    np.testing.assert_allclose(another, one, rtol=1e-3, atol=1e-5, err_msg=name)


def test_losses_that_are_no_sums_over_examples_are_split_by_the_outputs():
    def contrastive(outputs):
        logits = outputs @ tf.transpose(outputs)
        return tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - tf.linalg.diag_part(logits))

    variable = tf.Variable(START)
    with tf.GradientTape(persistent=True) as tape:
        outputs = INPUTS @ variable
        parts = harmonization.LossParts(tape, {"one": outputs})
        losses = {"first": contrastive(parts.outputs["one"]), "second": tf.reduce_max(parts.outputs["one"])}
        plain = contrastive(outputs)
    split = parts.split(losses, 4)
    np.testing.assert_allclose(tf.reduce_sum(split["first"]), plain, rtol=1e-6)
    with tape:
        entries = tf.unstack(split["first"])
    by_part = [tape.gradient(each, variable) for each in entries]
    cotangent = tape.gradient(plain, outputs)
    for part, gradient in enumerate(by_part):
        np.testing.assert_allclose(gradient, INPUTS[part::4].T @ cotangent.numpy()[part::4], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(tf.add_n(by_part), tape.gradient(plain, variable), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "parts, pattern",
    [(None, r"judges a conflict.*losses of shape \[parts\]"), (2, "at least four together. Found 2 on")],
)
def test_a_batch_without_enough_parts_is_refused(parts, pattern):
    with pytest.raises(ValueError, match=pattern):
        minimized(SIGNIFICANT, parts=parts)


def test_other_shapes_and_ways_are_refused():
    variable = tf.Variable(START)
    with tf.GradientTape(persistent=True) as tape:
        losses = [parts_of(terms(INPUTS, variable)[0], 4), tf.reduce_sum(variable)]
    with pytest.raises(ValueError, match="should all be"):
        harmonization.minimize(tape, losses, [variable], keras.optimizers.SGD(), SIGNIFICANT)
    with pytest.raises(ValueError, match="all_reduce='after'"):
        harmonization.harmonize_losses(
            tape, losses[:1], [variable], SIGNIFICANT, values=tf.ones([1]), all_reduce="before"
        )
    cut = harmonization.RecomputedCut([variable], pull_back=None)
    with pytest.raises(ValueError, match="`cut` should be used without `unscale`"):
        harmonization.harmonize_losses(
            tape, losses[:1], [variable], SIGNIFICANT, values=tf.ones([1]), cut=cut, unscale=list
        )


def keras_model(strategy, **options):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        source = keras.Input([4])
        shared = keras.layers.Dense(8, activation="tanh")(source)
        outputs = {name: keras.layers.Dense(1, name=name)(shared) for name in "ab"}
        model = harmonization.HarmonizedModel(source, outputs)
        model.compile(keras.optimizers.SGD(0.1), loss={"a": "mse", "b": "mae"}, **options)
    return model


@pytest.fixture
def policy():
    """Sets the policy of the layers that are made from then on."""
    yield keras.mixed_precision.set_global_policy
    keras.mixed_precision.set_global_policy("float32")


def fitted(model):
    targets = {"a": INPUTS.sum(axis=1), "b": -INPUTS[:, 0]}
    history = model.fit(INPUTS, targets, batch_size=BATCH, epochs=3, verbose=0, shuffle=False).history
    return history, model.get_weights()


def test_keras_models_act_on_significant_conflicts_alone(mirrored):
    gate = harmonization.GradientCurriculum(0.999)  # skips every step that it is asked about
    alone, two = tf.distribute.get_strategy(), mirrored(2)
    history, weights = fitted(keras_model(alone))
    plain, found = fitted(keras_model(two, gradient_parts=2))
    np.testing.assert_allclose(plain["loss"], history["loss"], rtol=1e-4)
    for one, other in zip(found, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    for level, kept in ((0.999, 0.0), (1e-6, 1.0)):
        model = keras_model(two, gradient_parts=2, harmonizer=harmonization.Significant(gate, level))
        assert fitted(model)[0]["step_kept"] == [kept] * 3


ERROR_BARS = ("gradient_cosine_error", "gradient_conflict_p")


def test_fit_reports_error_bars():
    alone = tf.distribute.get_strategy()
    history, _ = fitted(keras_model(alone, gradient_parts=4))
    model, optimizer = keras_model(alone), keras.optimizers.SGD(0.0)
    with tf.GradientTape(persistent=True) as tape:
        parts = harmonization.LossParts(tape, model(INPUTS))
        targets = {"a": INPUTS.sum(axis=1, keepdims=True), "b": -INPUTS[:, :1]}
        errors = {name: targets[name] - parts.outputs[name] for name in "ab"}
        losses = [tf.reduce_mean(errors["a"] ** 2), tf.reduce_mean(tf.abs(errors["b"]))]
    report = harmonization.minimize(tape, parts.split(losses, 4), model.trainable_variables, optimizer, PLAIN)
    for name in ERROR_BARS:
        np.testing.assert_allclose(history[name][0], report[name.removeprefix("gradient_")], rtol=1e-3)
    measured, _ = fitted(keras_model(alone, gradient_parts=4, measure_gradients_every=2))
    np.testing.assert_allclose([measured[name][0] for name in ERROR_BARS], [history[name][0] for name in ERROR_BARS])
    unmeasured, _ = fitted(keras_model(alone, gradient_parts=4, measure_gradients_every=None))
    assert not {*ERROR_BARS} & {*unmeasured}


def test_error_bars_are_the_same_in_any_precision_and_with_xla(policy, mirrored):
    # Losses so small that in float16 their gradients vanish unless they are scaled.
    options = dict(loss_weights={"a": 1e-7, "b": 1e-7}, harmonizer=SIGNIFICANT)
    alone = tf.distribute.get_strategy()
    expected, _ = fitted(keras_model(alone, **options, gradient_parts=4))
    policy("mixed_float16")
    found, _ = fitted(keras_model(alone, **options, gradient_parts=4, jit_compile=True))
    for name in ("gradient_cosine", *ERROR_BARS):
        np.testing.assert_allclose(found[name], expected[name], rtol=0.02, atol=0.002, err_msg=name)
    policy("mixed_bfloat16")
    found, _ = fitted(keras_model(mirrored(2), **options, gradient_parts=2))
    np.testing.assert_allclose(found["gradient_cosine"], expected["gradient_cosine"], atol=0.02)
    assert np.all(np.array(found["gradient_cosine_error"]) > 0)  # of other parts than on one replica


def test_keras_models_refuse_at_compile_what_they_cannot_serve():
    alone = tf.distribute.get_strategy()
    with pytest.raises(ValueError, match="`gradient_parts=` to `compile`: 4 or more on one replica"):
        keras_model(alone, harmonizer=SIGNIFICANT)
    with pytest.raises(ValueError, match="at least four together. Found 2 on each of 1"):
        keras_model(alone, harmonizer=SIGNIFICANT, gradient_parts=2)


def test_a_saved_model_remembers_its_parts(tmp_path):
    model = keras_model(tf.distribute.get_strategy(), harmonizer="gr", gradient_parts=4)
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras")._beside.setup["gradient_parts"] == 4
