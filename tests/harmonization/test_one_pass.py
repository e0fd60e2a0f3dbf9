"""One backward pass for all objectives: the same steps as with a gradient of each, for every method that needs no Gram matrix."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from vatt.keras import keras

INPUTS = tf.random.stateless_normal([8, 4], [0, 1])
TARGETS = tf.random.stateless_normal([8, 3], [0, 2])
STEPS = 4
GROUPS = {"audio": [0], "video": [1, 2], "fusion": [3]}
SCORES = {"audio": 0.9, "video": 0.4}
PLAIN = {
    "sum": {}, "mean": {}, "reweight": {"weights": (1.5, 0.5, 0.25)}, "rlw": {"seed": 3}, "famo": {},
    "uw": {}, "imtl_l": {}, "dwa": {"period": 2}, "gls": {}, "stch": {},
}  # fmt: skip
ASK_WHO_REACHES_A_GROUP = {"mean", "famo", "dwa", "gls", "stch"}
GROUPED = PLAIN | {"dgl": {}, "ogm_ge": {}}


def make_variables():
    """Both encoders, one of them with a bias, the fusion, and a head of the third loss in no group."""
    shapes = ([4, 3], [4, 3], [3], [3, 1], [3, 1])
    return [tf.Variable(0.5 * tf.random.stateless_normal(shape, [1, i])) for i, shape in enumerate(shapes)]


def make_losses(variables, scale=1.0):
    """The first loss reaches all but the head, the second the first encoder, the third the other one and the head."""
    audio, video = tf.tanh(INPUTS @ variables[0]), tf.tanh(INPUTS @ variables[1] + variables[2])
    fused = (audio + video) @ variables[3]
    return [
        scale * tf.reduce_mean((fused - TARGETS[:, :1]) ** 2),
        scale * tf.reduce_mean((audio - TARGETS) ** 2),
        scale * tf.reduce_mean((video @ variables[4] - TARGETS[:, 1:2]) ** 2),
    ]


def train(name, options, measure, groups=None, optimizer=None, steps=STEPS, penalty=None, scale=1.0, jit=None):
    """Takes some steps; returns the variables, the method's state and the reports."""
    variables, method = make_variables(), harmonization.get(name, **options)
    optimizer = optimizer or keras.optimizers.Adam(0.05)

    @tf.function(jit_compile=jit)
    def step(number):
        with tf.GradientTape(persistent=True) as tape:
            losses = make_losses(variables, scale)
            extra = None if penalty is None else penalty(variables)
        return harmonization.minimize(
            tape, losses, variables, optimizer, method, groups, number, penalty=extra, measure=measure,
            scores=SCORES if groups and name == "ogm_ge" else None, losses_after=lambda: make_losses(variables, scale),
        )  # fmt: skip

    reports = [step(tf.constant(number, tf.int64)) for number in range(steps)]
    return variables, method, reports


def same(one, other, tolerance=1e-6):
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first, second, rtol=tolerance, atol=tolerance)


CASES = [(name, options, None) for name, options in PLAIN.items()]
CASES += [(name, options, GROUPS) for name, options in GROUPED.items()]


@pytest.mark.parametrize(("name", "options", "groups"), CASES)
def test_takes_the_steps_of_a_gradient_per_loss(name, options, groups):
    (variables, method, reports), (expected, known, measured) = (
        train(name, options, measure, groups) for measure in (False, True)
    )
    same(variables, expected, 3e-6)
    # `uw` and `imtl_l` learn in one pass also of objectives that do not reach a group, which weigh nothing there.
    same([np.where(other == 0, 0, one) for one, other in zip(method.variables, known.variables, strict=True)],
         known.variables, 1e-5)  # fmt: skip
    for found, wanted in zip(reports, measured, strict=True):
        assert found["keep"] and found["finite"] and wanted["measured"]
        np.testing.assert_allclose(found["losses"], wanted["losses"], rtol=1e-5)
        assert found.keys() == wanted.keys()
        assert {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in wanted.items()}
        if found["measured"]:
            assert name in ASK_WHO_REACHES_A_GROUP and groups
        else:
            assert np.isnan(found["gram"]).all() and np.isnan(found["norms"]).all() and not np.any(found["defined"])
        if groups is None:
            np.testing.assert_allclose(found["weights"], wanted["weights"], rtol=1e-5)


def test_every_method_says_whether_it_needs_a_gram_matrix():
    methods = {
        name: harmonization.get(name, **method.example_options(3)) for name, method in harmonization.METHODS.items()
    }
    with_groups = {name for name, method in methods.items() if not method.needs_gram(GROUPS)}
    assert with_groups == set(GROUPED) - ASK_WHO_REACHES_A_GROUP
    assert {name for name, method in methods.items() if not method.needs_gram(None)} == set(GROUPED)


def counted_passes(name, options, groups):
    """The targets of each backward pass of one step."""
    variables, passes = make_variables(), []
    with tf.GradientTape(persistent=True) as tape:
        losses = make_losses(variables)
    gradient = tape.gradient

    def count(targets, sources, **rest):
        passes.append((len(targets), len(sources)))
        return gradient(targets, sources, **rest)

    tape.gradient = count
    harmonization.minimize(
        tape, losses, variables, keras.optimizers.SGD(0.1), harmonization.get(name, **options), groups, 0, measure=False,
        losses_after=lambda: make_losses(variables),
    )  # fmt: skip
    return passes


def test_counts_the_passes():
    for name, options in PLAIN.items():
        assert counted_passes(name, options, None) == [(3, 5)]
    assert counted_passes("sum", {}, GROUPS) == [(3, 5)], "all weigh the same everywhere"
    assert counted_passes("dgl", {}, GROUPS) == [(2, 3), (1, 1), (3, 1)], "encoders, fusion, the rest"
    assert len(counted_passes("gr", {}, None)) == 3


@pytest.mark.parametrize("name", ["sum", "rlw"])
@pytest.mark.parametrize("jit", [False, True])
def test_loss_scale_penalty_and_xla_change_nothing(name, jit):
    def optimizer():
        return keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**10)

    options = dict(penalty=lambda each: 0.3 * tf.reduce_sum(each[0] ** 2), jit=jit)
    found, expected = (
        train(name, PLAIN[name], measure, optimizer=optimizer(), **options)[0] for measure in (False, True)
    )
    same(found, expected, 2e-6)
    assert np.abs(found[0] - make_variables()[0]).max() > 0.01


def test_an_overflow_lowers_the_loss_scale_and_nothing_else():
    optimizer = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**10)
    variables, _, (report,) = train("sum", {}, False, optimizer=optimizer, steps=1, scale=1e37)
    assert not report["finite"] and not report["keep"] and report["bad_variable"] == 0
    assert optimizer.loss_scale == 2.0**9
    same(variables, make_variables(), 0)


@pytest.mark.parametrize("objective", [0, 2])
def test_a_step_that_is_not_finite_is_not_taken_and_named(objective):
    variables, optimizer = make_variables(), keras.optimizers.Adam(0.1)
    method = harmonization.FAMO()
    optimizer.build(variables)

    @tf.function
    def step():
        with tf.GradientTape(persistent=True) as tape:
            losses = make_losses(variables)
            losses[objective] *= float("nan")
        update, report = harmonization.harmonize_losses(
            tape, losses, variables, method, step=0, values=losses, measure=False
        )
        harmonization.apply_if(report["keep"], optimizer, update, variables)
        return report

    report = step()
    assert not report["finite"] and not report["keep"]
    assert report["bad_variable"] == (0 if objective == 0 else 1) and report["bad_objective"] == objective
    same(variables, make_variables(), 0)
    for variable in method.variables:
        assert not np.any(variable.numpy()), "a step that is not taken leaves no state"


def test_the_caller_can_skip_the_step():
    variables = make_variables()
    with tf.GradientTape(persistent=True) as tape:
        losses = make_losses(variables)
    _, report = harmonization.harmonize_losses(
        tape, losses, variables, harmonization.Sum(), values=losses, measure=False, keep=tf.constant(False)
    )
    assert report["finite"] and not report["keep"]


def test_an_objective_that_weighs_nothing_must_be_finite_all_the_same():
    variables = make_variables()
    with tf.GradientTape(persistent=True) as tape:
        losses = make_losses(variables)
    losses[1] *= float("inf")
    method = harmonization.Reweight((1.0, 0.0, 1.0))
    update, report = harmonization.harmonize_losses(tape, losses, variables, method, values=losses, measure=False)
    assert not report["keep"] and report["bad_objective"] == 1
    assert all(each is not None for each in update), "as a gradient times zero, which weight decay goes with"


@pytest.mark.parametrize("name", ["dgl"])
def test_refuses_a_group_that_nothing_trains(name):
    groups = {"encoder": [3], "fusion": [0, 1, 2]}
    with pytest.raises(ValueError, match="Group 'encoder' should be reached by a unimodal objective"):
        train(name, {}, False, groups, steps=1)


@pytest.mark.parametrize("name", PLAIN)
def test_replicas_take_the_same_step(name, mirrored):
    def run(replicas):
        strategy = mirrored(replicas)
        with strategy.scope():
            method, optimizer = harmonization.get(name, **PLAIN[name]), keras.optimizers.SGD(0.1)
            variables = [
                tf.Variable(value, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA) for value in make_variables()
            ]
            optimizer.build(variables)
            method.build(3, ("all",))

        def on_replica():
            with tf.GradientTape(persistent=True) as tape:
                losses = make_losses(variables, 1.0 / replicas)
            report = harmonization.minimize(
                tape, losses, variables, optimizer, method, step=tf.constant(5, tf.int64), measure=False,
                losses_after=lambda: make_losses(variables, 1.0 / replicas),
            )  # fmt: skip
            return report["weights"]

        tf.function(lambda: strategy.run(on_replica))()
        return [value.numpy() for value in [*variables, *method.variables]]

    same(run(2), run(1), 1e-6)
