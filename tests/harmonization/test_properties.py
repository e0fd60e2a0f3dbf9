"""What the methods promise, on gradients as nasty as they come."""

import functools
import inspect

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization import Group

pytestmark = pytest.mark.slow

CASES, WIDTH, STEP = 48, 20, 7


def example(name, objectives):
    return harmonization.get(name, **harmonization.METHODS[name].example_options(objectives))


def needs_only_the_gram_matrix(name):
    """Whether the method decides by inner products and the step, and treats all groups of variables alike."""
    method = example(name, 2)
    try:
        method.build(2, ("all",))
        method.decide(Group(tf.eye(2), step=tf.constant(STEP, tf.int64)))
    except ValueError:  # without losses or scores
        return False
    return method.example_groups is None


FOUND = [name for name in harmonization.METHODS if needs_only_the_gram_matrix(name)]
OPTIONS = {
    "both": {"schedule": -1.0},
    "gradvac": {"beta": 0.0, "initial_target": 0.3},
    "upgrad": {"reduction": "sum"},
}
VARIANTS = {
    "cagrad_0": lambda: harmonization.CAGrad(c=0.0),
    "cagrad_1": lambda: harmonization.CAGrad(c=1.0),
    "cagrad_2": lambda: harmonization.CAGrad(c=2.0, rescale="square"),
    "gradvac_zero": lambda: harmonization.GradVac(beta=0.0),
    "aligned_mtl_median": lambda: harmonization.AlignedMTL(reduction="mean", scale="median"),
}
METHODS = [*FOUND, *VARIANTS]
# `both` decides as `gr` and `cl` do, `cr_mogm` at first as `mgda`, the variants as `cagrad_1` and the defaults.
NOT_COMPILED = ["both", "cr_mogm", *(name for name in VARIANTS if name != "cagrad_1")]
RANDOM_ORDER = ["pcgrad", "gradvac", "gradvac_zero"]


def promises(name, what):
    text = inspect.getdoc(harmonization.METHODS[name]).partition("Promises: ")[2].partition("Costs: ")[0]
    return what in text.lower()


# Of the methods that promise it, `pcgrad` does so for two objectives and `reweight` for permuted weights.
ORDER_DOES_NOT_MATTER = [
    *(name for name in FOUND if promises(name, "permutation-equivariant") and name not in ("pcgrad", "reweight")),
    *("both", "cagrad_0", "cagrad_1", "cagrad_2", "aligned_mtl_median"),
]


def make(name, objectives):
    if name in VARIANTS:
        return VARIANTS[name]()
    return harmonization.get(name, **OPTIONS[name]) if name in OPTIONS else example(name, objectives)


# Of the update as a function of the gradients' common scale, where it is not 1.
DEGREES = {"nash_mtl": 0.0, "fairgrad": -1.0 / 3.0}
SCALES = (1e-10, 1e-5, 1.0, 1e3, 1e10, 1e15)


def nasty(objectives: int) -> np.ndarray:
    """[cases, objectives, width]: random, rank-deficient, zero, parallel, opposite, at all scales."""
    generator = np.random.default_rng(objectives)
    cases = generator.normal(size=(CASES, objectives, WIDTH))
    for index, vectors in enumerate(cases):
        vectors[:, (1, 2, 3, objectives, WIDTH)[index % 5] :] = 0.0
        _spoil(vectors, index % 8, generator)
        vectors *= SCALES[index % 6]
    return cases


def _spoil(vectors: np.ndarray, kind: int, generator: np.random.Generator) -> None:
    if kind == 1:
        vectors[0] = 0.0
    elif kind == 2:
        vectors[-1] = 3.0 * vectors[0]
    elif kind == 3:
        vectors[-1] = -0.5 * vectors[0]
    elif kind == 4:
        vectors[-1] = -vectors[:-1].sum(axis=0)
    elif kind == 5:
        vectors *= 10.0 ** generator.uniform(-2, 2, size=(len(vectors), 1))
    elif kind == 6:
        vectors[:] = vectors[:1]
    elif kind == 7:
        vectors[:] = 0.0 if generator.uniform() < 0.3 else np.abs(vectors)


def regular(objectives: int) -> np.ndarray:
    """[cases, objectives, width]: random, linearly independent gradients."""
    return np.random.default_rng(objectives + 100).normal(size=(CASES, objectives, WIDTH))


@functools.cache
def _traced(name: str, objectives: int, jit_compile: bool = False):
    method = make(name, objectives)
    method.build(objectives, ("all",))

    def decide(gram):
        return method.decide(Group(gram, step=tf.constant(STEP, tf.int64))).weights

    def decide_all(grams):
        return tf.map_fn(decide, grams)

    return tf.function(decide_all, jit_compile=jit_compile, autograph=False)


def weights_of(name: str, cases: np.ndarray, jit_compile: bool = False) -> np.ndarray:
    """[cases, objectives] float64."""
    grams = tf.constant(cases @ cases.transpose(0, 2, 1), tf.float32)
    return _traced(name, cases.shape[1], jit_compile)(grams).numpy().astype(np.float64)


def combine(weights: np.ndarray, cases: np.ndarray) -> np.ndarray:
    """The updates, [cases, width]."""
    return np.einsum("cn,cnw->cw", weights, cases)


def update_of(name: str, cases: np.ndarray) -> np.ndarray:
    return combine(weights_of(name, cases), cases)


def effort(weights: np.ndarray, cases: np.ndarray) -> np.ndarray:
    """Length of all that is added up, [cases]: what rounding errors of the update are relative to."""
    return np.einsum("cn,cn->c", np.abs(weights), np.linalg.norm(cases, axis=2)) + 1e-30


def assert_same_updates(first, second, cases, tolerance=1e-4):
    error = np.linalg.norm(combine(first - second, cases), axis=1)
    np.testing.assert_array_less(error / np.maximum(effort(first, cases), effort(second, cases)), tolerance)


@pytest.mark.parametrize("objectives", [2, 6])
@pytest.mark.parametrize("name", METHODS)
def test_weights_are_finite_whatever_comes(name, objectives):
    assert np.isfinite(weights_of(name, nasty(objectives))).all()
    lengths = 10.0 ** np.random.default_rng(0).uniform(-12, 12, size=(CASES, objectives, 1))
    assert np.isfinite(weights_of(name, lengths * regular(objectives))).all()


@pytest.mark.parametrize("objectives", [2, 6])
@pytest.mark.parametrize("name", [name for name in METHODS if name not in NOT_COMPILED])
def test_xla_makes_no_difference(name, objectives):
    cases = nasty(objectives)
    plain, compiled = weights_of(name, cases), weights_of(name, cases, jit_compile=True)
    assert np.isfinite(compiled).all()
    if name == "aligned_mtl" and objectives > 2:
        # XLA's eigenvalues are too coarse for gradients of very different lengths.
        alike = np.arange(CASES) % 8 != 5
        plain, compiled, cases = plain[alike], compiled[alike], cases[alike]
    assert_same_updates(plain, compiled, cases)


NEVER_CONFLICT = [
    *((name, 2) for name in ("gr", "both", "pcgrad", "gradvac_zero")),
    *(
        (name, objectives)
        for name in ("upgrad", "dualproj", "mgda", "cagrad_1", "cagrad_2", "nash_mtl", "fairgrad")
        for objectives in (2, 6)
    ),
]


@pytest.mark.parametrize(("name", "objectives"), NEVER_CONFLICT)
def test_never_conflicts_with_a_gradient(name, objectives):
    for cases in (nasty(objectives), regular(objectives)):
        weights = weights_of(name, cases)
        lengths = np.linalg.norm(cases, axis=2)
        gains = np.einsum("cnw,cw->cn", cases, combine(weights, cases))
        slack = 1e-3 * lengths * effort(weights, cases)[:, None]
        assert np.all(gains >= -slack)


def test_the_plain_sum_does_conflict():
    cases = regular(6)
    gains = np.einsum("cnw,cw->cn", cases, update_of("sum", cases))
    assert gains.min() < -1.0


@pytest.mark.parametrize("objectives", [2, 6])
@pytest.mark.parametrize("name", ORDER_DOES_NOT_MATTER)
def test_order_of_the_objectives_does_not_matter(name, objectives):
    order = np.random.default_rng(0).permutation(objectives)
    for cases in (nasty(objectives), regular(objectives)):
        permuted = np.empty_like(cases)
        permuted[:, order] = weights_of(name, cases[:, order])[:, :, None] * np.ones(WIDTH)
        assert_same_updates(weights_of(name, cases), permuted[:, :, 0], cases, 1e-3)


@pytest.mark.parametrize("name", RANDOM_ORDER)
def test_two_objectives_have_no_order(name):
    cases = nasty(2)
    swapped = weights_of(name, cases[:, ::-1])[:, ::-1]
    assert_same_updates(weights_of(name, cases), swapped, cases)


LINEAR = [(name, n) for name in ("sum", "mean", "upgrad", "config") for n in (2, 6)]


@pytest.mark.parametrize(("name", "objectives"), [*LINEAR, ("gr", 2), ("pcgrad", 2)])
def test_is_linear_in_the_lengths_of_the_gradients(name, objectives):
    cases, generator = regular(objectives), np.random.default_rng(1)
    first, second = generator.uniform(0.1, 10.0, size=(2, CASES, objectives, 1))
    left = update_of(name, (2.0 * first + 3.0 * second) * cases)
    right = 2.0 * update_of(name, first * cases) + 3.0 * update_of(name, second * cases)
    np.testing.assert_allclose(left, right, atol=1e-4 * np.abs(left).max())


@pytest.mark.parametrize("scale", [1e-10, 1e15])
@pytest.mark.parametrize("name", METHODS)
def test_grows_with_the_gradients(name, scale):
    cases = regular(6)
    expected = update_of(name, cases) * scale ** DEGREES.get(name, 1.0)
    np.testing.assert_allclose(update_of(name, scale * cases), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["upgrad", "both", "gr", "gradvac_zero"])
def test_two_objectives_are_projected_alike(name):
    for cases in (nasty(2), regular(2)):
        pcgrad = weights_of("pcgrad", cases)
        np.testing.assert_allclose(weights_of(name, cases), pcgrad, rtol=1e-5)


def test_vaccine_with_targets_of_zero_is_pcgrad():
    cases = regular(6)
    np.testing.assert_allclose(weights_of("gradvac_zero", cases), weights_of("pcgrad", cases), rtol=1e-5)
    assert not np.allclose(weights_of("gradvac", cases), weights_of("pcgrad", cases), rtol=0.1)


@pytest.mark.parametrize("objectives", [2, 6])
@pytest.mark.parametrize(("name", "total"), [("sum", None), ("mean", 1), ("mgda", 1), ("imtl_g", 1), ("cagrad_0", 1)])
def test_weights_add_up(name, total, objectives):
    totals = weights_of(name, regular(objectives)).sum(axis=1)
    np.testing.assert_allclose(totals, objectives if total is None else total, rtol=1e-4)


@pytest.mark.parametrize("objectives", [2, 6])
def test_weights_that_are_never_negative(objectives):
    for cases in (nasty(objectives), regular(objectives)):
        assert weights_of("mgda", cases).min() >= 0.0
        assert weights_of("nash_mtl", cases).min() >= 0.0
        assert weights_of("upgrad", cases).min() >= 1.0
        assert weights_of("dualproj", cases).min() >= (1.0 - 1e-6) / objectives


@pytest.mark.parametrize("name", METHODS)
def test_a_single_objective_keeps_its_direction(name):
    method = make(name, 1)
    method.build(1, ("all",))

    def decide(gram):
        return method.decide(Group(tf.constant(gram), step=tf.constant(STEP, tf.int64)))

    assert decide([[4.0]]).weights.numpy() > 0.0
    assert np.isfinite(decide([[0.0]]).weights.numpy())
