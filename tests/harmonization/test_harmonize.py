import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization import reference

METHODS = {
    "sum": harmonization.Sum(),
    "reweight": harmonization.Reweight((1.5, 0.5)),
    "gr": harmonization.GradientRealignment(),
    "cl": harmonization.GradientCurriculum(-0.3),
    "both": harmonization.Both(-0.3),
}
SCALES = [(1.0, 1.0), (1e-10, 1e-10), (1e15, 1e15), (1e-10, 1e15), (1e15, 1e3)]


def _zeros(gradients):
    return [tf.zeros_like(tensor) for tensor in gradients]


def _pairs(draw):
    """Gradients of two objectives in every position to one another, by name."""
    first, second = draw(seed=1)
    half = [one - 0.5 * other for one, other in zip(second, first, strict=True)]
    return {
        "random": [first, second],
        "conflicting": [first, [h - f for h, f in zip(half, first, strict=True)]],
        "mildly conflicting": [first, [s - 0.4 * f for f, s in zip(first, second, strict=True)]],
        "parallel": [first, [3.0 * tensor for tensor in first]],
        "opposite": [first, [-3.0 * tensor for tensor in first]],
        "one zero": [first, _zeros(first)],
        "other zero": [_zeros(first), second],
        "both zero": [_zeros(first), _zeros(first)],
    }


def _reference(name, gradients, gamma=-0.3):
    if name == "sum":
        return [a + b for a, b in zip(*gradients, strict=True)], True
    if name == "reweight":
        return [1.5 * a + 0.5 * b for a, b in zip(*gradients, strict=True)], True
    if name == "gr":
        return reference.realign(*gradients), True
    select = reference.select if name == "cl" else reference.select_and_realign
    return select(*gradients, gamma)


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("name", METHODS)
def test_equals_the_flat_reference(random_gradients, flat, name, scales):
    harmonize = tf.function(lambda gradients: harmonization.harmonize(gradients, METHODS[name]))
    for case, pair in _pairs(random_gradients).items():
        pair = [[scale * t for t in row] for scale, row in zip(scales, pair, strict=True)]
        update, report = harmonize(pair)
        expected, keep = _reference(name, pair)
        assert report["finite"] and bool(report["keep"]) == bool(keep), case
        slack = 3e-6 * max(np.abs(flat(objective)).max() for objective in pair)
        np.testing.assert_allclose(flat(update), flat(expected), atol=slack, err_msg=case)


def test_the_cases_above_meet_every_outcome(random_gradients):
    outcomes = set()
    for pair in _pairs(random_gradients).values():
        _, report = harmonization.harmonize(pair, METHODS["both"])
        outcomes.add(tuple(bool(report[key]) for key in ("defined", "conflict", "keep")))
    assert outcomes == {(1, 1, 1), (1, 1, 0), (1, 0, 1), (0, 0, 1)}


@pytest.mark.parametrize("name", METHODS)
def test_is_the_same_with_xla(random_gradients, flat, name):
    call = lambda gradients: harmonization.harmonize(gradients, METHODS[name])  # noqa: E731
    plain, compiled = tf.function(call), tf.function(call, jit_compile=True)
    for pair in _pairs(random_gradients).values():
        (update, report), (update_xla, report_xla) = plain(pair), compiled(pair)
        np.testing.assert_allclose(flat(update_xla), flat(update), rtol=1e-5, atol=1e-5)
        for key in report:
            np.testing.assert_allclose(report_xla[key], report[key], rtol=1e-5, atol=1e-5)


def test_report_of_two_objectives(random_gradients, flat):
    gradients = random_gradients(seed=4)
    _, report = harmonization.harmonize(gradients, METHODS["gr"])
    vectors = np.stack([flat(objective) for objective in gradients])
    gram, norms = vectors @ vectors.T, np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(report["gram"], gram, rtol=1e-5)
    np.testing.assert_allclose(report["norms"], norms, rtol=1e-5)
    np.testing.assert_allclose(report["cosines"], gram / np.outer(norms, norms), atol=1e-6)
    np.testing.assert_allclose(report["cosine"], gram[0, 1] / norms.prod(), atol=1e-6)
    assert {key: value.shape.as_list() for key, value in report.items()} == {
        "gram": [2, 2],
        "norms": [2],
        "cosines": [2, 2],
        "cosine": [],
        "defined": [],
        "conflict": [],
        "weights": [2],
        "keep": [],
        "finite": [],
        "variable_gram": [3, 2, 2],
    }


def test_cosine_of_more_objectives_is_the_smallest_of_the_defined(random_gradients):
    gradients = random_gradients(seed=0, objectives=4)
    gradients[3] = _zeros(gradients[3])
    _, report = harmonization.harmonize(gradients, METHODS["gr"])
    cosines = report["cosines"].numpy()
    assert report["cosine"] == min(cosines[0, 1], cosines[0, 2], cosines[1, 2])
    assert report["cosine"] != 0 and not np.any(cosines[3])


def test_one_objective_passes_through(random_gradients, flat):
    gradients = random_gradients(seed=0, objectives=1)
    for name in ("sum", "gr", "cl", "both"):
        update, report = harmonization.harmonize(gradients, METHODS[name])
        np.testing.assert_array_equal(flat(update), flat(gradients[0]))
        assert report["keep"] and not report["defined"]


def test_none_counts_as_zero():
    one, other = tf.constant([1.0, 2.0]), tf.constant([[-3.0]])
    gradients = [[one, None, other, None], [None, one, -2 * other, None]]
    update, report = harmonization.harmonize(gradients, METHODS["gr"])
    np.testing.assert_array_equal(report["gram"], [[14, -18], [-18, 41]])
    np.testing.assert_allclose(report["weights"], [1 + 18 / 14, 1 + 18 / 41], rtol=1e-6)
    np.testing.assert_allclose(update[0], (1 + 18 / 14) * one, rtol=1e-6)
    np.testing.assert_allclose(update[1], (1 + 18 / 41) * one, rtol=1e-6)
    np.testing.assert_allclose(update[2], (1 + 18 / 14 - 2 - 36 / 41) * other, rtol=1e-5)
    assert update[3] is None


@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradients_of_embeddings(jit_compile):
    table = tf.Variable(tf.ones([5, 2]))

    @tf.function(jit_compile=jit_compile)
    def step(words):
        with tf.GradientTape(persistent=True) as tape:
            rows = tf.gather(table, words)
            losses = [tf.reduce_sum(rows), tf.reduce_sum(-2.0 * rows[0])]
        gradients = [tape.gradient(loss, [table]) for loss in losses]
        assert isinstance(gradients[0][0], tf.IndexedSlices)
        return harmonization.harmonize(gradients, METHODS["sum"])

    (update,), report = step(tf.constant([1, 3, 3]))
    np.testing.assert_array_equal(update, [[0, 0], [-1, -1], [0, 0], [2, 2], [0, 0]])
    np.testing.assert_array_equal(report["gram"], [[10, -4], [-4, 8]])


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_the_update_has_the_dtype_of_the_gradients(random_gradients, flat, dtype):
    wide = random_gradients(seed=1)
    gradients = [[tf.cast(tensor, dtype) for tensor in objective] for objective in wide]
    rounded = [[tf.cast(tensor, tf.float32) for tensor in objective] for objective in gradients]
    update, report = harmonization.harmonize(gradients, METHODS["gr"])
    expected, expected_report = harmonization.harmonize(rounded, METHODS["gr"])
    assert all(tensor.dtype == dtype for tensor in update)
    np.testing.assert_allclose(report["weights"], expected_report["weights"], rtol=1e-6)
    expected = [tf.cast(tensor, dtype) for tensor in expected]
    np.testing.assert_allclose(flat(update), flat(expected), rtol=1e-5)


@pytest.mark.parametrize("name", harmonization.METHODS)
def test_an_update_that_float16_cannot_hold_is_refused(name):
    first, method = (harmonization.get(name, **harmonization.METHODS[name].example_options(2)) for _ in range(2))
    groups = {each: [place] for place, each in enumerate(method.example_groups or ("all",))}
    method.build(2, tuple(groups))
    options = dict(groups=groups, step=1, losses=[1.0, 2.0], scores=dict.fromkeys(groups, tf.constant(0.5)))
    rows = [[tf.constant([2.0**15, 0.0, -1.0])] * len(groups), [tf.constant([2.0**15, 1.0, 0.0])] * len(groups)]
    narrow = [[tf.cast(each, tf.float16) for each in row] for row in rows]
    wide, _ = harmonization.harmonize(rows, first, **options)
    state = [variable.numpy() for variable in method.variables]
    update, report = harmonization.harmonize(narrow, method, **options)
    expected = all(np.abs(each).max() <= tf.float16.max for each in wide)
    assert report["finite"] == report["keep"] == expected
    assert all(np.isfinite(each).all() for each in update) and any(np.any(each) for each in update) == expected
    if not expected:
        for variable, before in zip(method.variables, state, strict=True):
            np.testing.assert_array_equal(variable, before)


def test_an_update_that_float32_cannot_hold_is_refused():
    method = harmonization.Reweight((1e38, 1e38))
    row = [tf.constant([2.0, 0.0])]
    update, report = harmonization.harmonize([row, row], method)
    assert not report["finite"] and not report["keep"] and not np.any(update[0])


def test_a_step_that_is_not_kept_has_a_zero_update(random_gradients, flat):
    pair = _pairs(random_gradients)["opposite"]
    update, report = harmonization.harmonize(pair, METHODS["cl"])
    assert not report["keep"] and report["finite"]
    assert not np.any(flat(update))
    np.testing.assert_array_equal(report["weights"], [1, 1])


def test_the_caller_can_leave_a_step_out(random_gradients, flat):
    pair = _pairs(random_gradients)["opposite"]
    for keep in (False, tf.constant(False)):
        update, report = harmonization.harmonize(pair, METHODS["sum"], keep=keep)
        assert not report["keep"] and report["finite"] and not np.any(flat(update))
    assert harmonization.harmonize(pair, METHODS["sum"], keep=tf.constant(True))[1]["keep"]
    assert not harmonization.harmonize(pair, METHODS["cl"], keep=tf.constant(True))[1]["keep"]


@pytest.mark.parametrize(("bad", "jit_compile"), [(np.nan, False), (np.inf, False), (1e20, False), (np.nan, True)])
@pytest.mark.parametrize("name", METHODS)
def test_what_is_not_finite_is_never_kept(random_gradients, flat, name, bad, jit_compile):
    gradients = random_gradients(seed=0)
    gradients[1][2] = tf.fill(gradients[1][2].shape, tf.constant(bad, tf.float32))
    call = tf.function(lambda: harmonization.harmonize(gradients, METHODS[name]), jit_compile=jit_compile)
    update, report = call()
    assert not report["finite"] and not report["keep"]
    assert not np.any(flat(update))
    assert np.all(np.isfinite(report["weights"]))
    assert harmonization.find_nonfinite(report["variable_gram"]) == (2, 1)


def test_finite_variables_whose_sum_is_not(flat):
    gradients = [[tf.constant([1.5e19])] * 2, [tf.constant([1.0])] * 2]
    update, report = harmonization.harmonize(gradients, METHODS["gr"])
    assert not report["finite"] and not report["keep"] and not np.any(flat(update))
    assert harmonization.find_nonfinite(report["variable_gram"]) == (-1, -1)


def test_gradients_below_the_squares_of_float32_count_as_zero():
    tiny = [[tf.constant([1e-25])], [tf.constant([-1.0])]]
    update, report = harmonization.harmonize(tiny, METHODS["both"])
    assert report["keep"] and not report["defined"]
    np.testing.assert_array_equal(report["weights"], [1, 1])
    np.testing.assert_array_equal(update[0], [-1])


def test_groups_have_separate_weights_and_the_rest_is_summed(random_gradients, flat):
    gradients = random_gradients(seed=1)
    gradients[1][0], gradients[1][2] = -gradients[0][0], gradients[0][2]
    groups = {"encoder": [2], "patches": [0]}
    update, report = harmonization.harmonize(gradients, METHODS["gr"], groups=groups)
    np.testing.assert_allclose(report["cosine"], [1, -1], atol=1e-6)
    np.testing.assert_array_equal(report["conflict"], [False, True])
    np.testing.assert_allclose(report["weights"], [[1, 1], [2, 2]], rtol=1e-6)
    np.testing.assert_allclose(update[0], np.zeros([3, 4]), atol=1e-5)
    np.testing.assert_allclose(update[1], gradients[0][1] + gradients[1][1], rtol=1e-6)
    np.testing.assert_allclose(update[2], 2 * gradients[0][2], rtol=1e-6)
    assert {key: value.shape.as_list() for key, value in report.items()} == {
        "gram": [2, 2, 2],
        "norms": [2, 2],
        "cosines": [2, 2, 2],
        "cosine": [2],
        "defined": [2],
        "conflict": [2],
        "weights": [2, 2],
        "keep": [],
        "finite": [],
        "variable_gram": [3, 2, 2],
    }


def test_one_group_of_all_is_the_default(random_gradients, flat):
    gradients = random_gradients(seed=1)
    update, _ = harmonization.harmonize(gradients, METHODS["gr"])
    grouped, _ = harmonization.harmonize(gradients, METHODS["gr"], groups={"all": [0, 1, 2]})
    np.testing.assert_array_equal(flat(update), flat(grouped))


def test_a_step_is_kept_only_if_every_group_keeps_it(random_gradients, flat):
    gradients = random_gradients(seed=1)
    gradients[1] = [gradients[0][0], gradients[0][1], -gradients[0][2]]
    for groups, keep in (
        ({"a": [0], "b": [1]}, True),
        ({"a": [0], "b": [2]}, False),
        ({"a": [0, 1]}, True),
    ):
        update, report = harmonization.harmonize(gradients, METHODS["cl"], groups=groups)
        assert bool(report["keep"]) == keep
        assert np.any(flat(update)) == keep


def test_a_nonfinite_gradient_outside_the_groups_refuses_the_step(random_gradients):
    gradients = random_gradients(seed=1)
    gradients[0][0] = gradients[0][0] * np.nan
    _, report = harmonization.harmonize(gradients, METHODS["gr"], groups={"encoder": [2]})
    assert not report["keep"] and not report["finite"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "`groups` should be None or a dict"),
        ([[0]], "`groups` should be None or a dict"),
        ({"a": []}, "Group 'a' should have at least one variable"),
        ({"a": [0], "b": [3]}, "Group 'b' should hold indices from 0 to 2. Found 3"),
        ({"a": [-1]}, "Group 'a' should hold indices from 0 to 2. Found -1"),
        ({"a": [0, 1], "b": [1]}, "in one group, once. Found 1 in 'a' and 'b'"),
        ({"a": [0, 0]}, "in one group, once. Found 0 in 'a' and 'a'"),
    ],
)
def test_refuses_groups_that_make_no_sense(random_gradients, groups, message):
    with pytest.raises(ValueError, match=message):
        harmonization.harmonize(random_gradients(seed=0), METHODS["sum"], groups=groups)


def test_refuses_a_method_that_is_none(random_gradients):
    with pytest.raises(ValueError, match="`harmonizer` should be a Harmonizer.*Found 'gr'"):
        harmonization.harmonize(random_gradients(seed=0), "gr")


def test_the_step_moves_the_threshold(random_gradients):
    pair = _pairs(random_gradients)["mildly conflicting"]
    method = harmonization.GradientCurriculum(harmonization.LinearSchedule(10, -0.9, 0.9))
    keep = tf.function(lambda step: harmonization.harmonize(pair, method, step=step)[1]["keep"])
    assert keep(tf.constant(0, tf.int64)) and not keep(tf.constant(10, tf.int64))
    assert harmonization.harmonize(pair, method, step=0)[1]["keep"]
