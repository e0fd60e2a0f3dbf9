"""The solvers against NumPy and SciPy, which see the gradients themselves and not their Gram matrix."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import lsq_linear

from harmonization.methods.aligned_mtl import AlignedMTL
from harmonization.methods.cagrad import CAGrad
from harmonization.methods.conflict_free import ConFIG
from harmonization.methods.dualproj import DualProj
from harmonization.methods.imtl_g import IMTLG
from harmonization.methods.mgda import MGDA
from harmonization.methods.nash_mtl import NashMTL
from harmonization.methods.upgrad import UPGrad
from harmonization.solvers.normalized import resolution

pytestmark = pytest.mark.slow

CASES = 40


def gradients(objectives: int) -> list[np.ndarray]:
    """Random gradients in few and in many dimensions, some parallel, opposite or canceling."""
    generator = np.random.default_rng(objectives)
    cases = []
    for index in range(CASES):
        dimension = (objectives + 4, 2 * objectives, 3, max(2, objectives // 2))[index % 4]
        vectors = generator.normal(size=(objectives, dimension))
        if index % 7 == 1:
            vectors[-1] = 2.0 * vectors[0]
        if index % 7 == 2:
            vectors[-1] = -0.3 * vectors[0]
        if index % 7 == 3:
            vectors[-1] = -vectors[:-1].sum(axis=0)
        if index % 7 == 4:
            vectors[:, 0] = 0.3 + np.abs(vectors[:, 0])
        cases.append(vectors * generator.uniform(0.2, 3.0, size=(objectives, 1)))
    return cases


def weights_of(method, cases) -> np.ndarray:
    grams = tf.constant(np.stack([vectors @ vectors.T for vectors in cases]), tf.float32)
    solve = tf.function(lambda grams: tf.map_fn(method.weights, grams), autograph=False)
    return solve(grams).numpy().astype(np.float64)


def nonnegative(matrix, target):
    """The x >= 0 that brings matrix @ x nearest to the target. SciPy 1.15, the last one for Python 3.10, errs in `nnls`."""
    return lsq_linear(matrix, target, bounds=(0, np.inf), method="bvls", tol=1e-14).x


def projected(vector, vectors):
    """Onto the cone of what conflicts with none of the vectors: the vector plus the dual solution."""
    return vector + vectors.T @ nonnegative(vectors.T, -vector)


def upgrad(vectors):
    return np.mean([projected(vector, vectors) for vector in vectors], axis=0)


def dualproj(vectors):
    return projected(vectors.mean(axis=0), vectors)


def mgda(vectors):
    above = np.vstack([vectors.T, np.ones(len(vectors))])
    shares = nonnegative(above, np.eye(len(above))[-1])
    return vectors.T @ (shares / shares.sum())


def config(vectors):
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    direction = np.linalg.pinv(units, rcond=1e-4) @ np.ones(len(units))
    square = direction @ direction
    return (vectors @ direction).sum() * direction / square if square > 1e-9 else 0 * direction


def imtl_g(vectors):
    lengths = np.linalg.norm(vectors, axis=1)
    units = vectors / lengths[:, None]
    weights = np.linalg.pinv(units.T, rcond=1e-4) @ np.linalg.pinv(units, rcond=1e-4) @ np.ones(len(units))
    weights /= lengths
    return vectors.T @ weights / weights.sum() if abs(weights.sum()) > 1e-9 else 0 * vectors[0]


def aligned_mtl(vectors):
    left, scales, right = np.linalg.svd(vectors, full_matrices=False)
    kept = scales > 1e-4 * scales.max()
    return scales[kept].min() * (left[:, kept] @ right[kept]).sum(axis=0)


ORACLES = {
    upgrad: UPGrad(),
    dualproj: DualProj(),
    mgda: MGDA(),
    config: ConFIG(),
    imtl_g: IMTLG(),
    aligned_mtl: AlignedMTL(),
}


@pytest.mark.parametrize("objectives", [2, 3, 8, 16])
@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_agrees_with_the_oracle(oracle, objectives):
    cases = gradients(objectives)
    for vectors, weights in zip(cases, weights_of(ORACLES[oracle], cases), strict=True):
        added_up, expected = np.abs(weights) @ np.linalg.norm(vectors, axis=1), oracle(vectors)
        # Where gradients cancel, the square of the update is what is resolved, not the update.
        tolerance = 1e-4 if np.linalg.norm(expected) > 1e-2 * added_up else 5e-4
        np.testing.assert_allclose(vectors.T @ weights, expected, atol=tolerance * (added_up + 1e-3))


@pytest.mark.parametrize("objectives", [2, 3, 8, 16])
@pytest.mark.parametrize("c", [0.4, 1.0, 3.0])
def test_cagrad_is_at_the_maximum(c, objectives):
    """By its conditions: within the ball, off its center only along gradients at the lowest level."""
    cases = gradients(objectives)
    for vectors, weights in zip(cases, weights_of(CAGrad(c), cases), strict=True):
        lengths = np.linalg.norm(vectors, axis=1)
        center = vectors.mean(axis=0)
        radius = c * np.linalg.norm(center)
        update, added = vectors.T @ weights, weights - 1.0 / objectives
        distance, gains = np.linalg.norm(update - center), vectors @ update / lengths.max()
        slack = 1e-4 * (np.abs(weights) @ lengths)
        assert distance <= radius + slack
        if np.linalg.norm(update) <= slack:
            continue  # nothing improves all objectives, and the ball holds the origin
        assert added.min() >= -1e-6
        assert np.all(gains[added * lengths > slack] <= gains.min() + slack)
        # What float32 inner products can tell from nothing.
        cancel = np.linalg.norm(mgda(vectors)) ** 2 <= resolution(objectives) * lengths.max() ** 2
        assert distance >= radius - slack or (gains.min() <= slack and cancel)


def test_cagrad_passes_level_zero_where_gradients_are_parallel():
    """Below level 0 the longer one of two binds, above it the shorter one."""
    vectors = np.array([[8.0, 9.0, 0.0], [-2.0, 0.0, 1.0], [-0.5, 0.0, 0.25], [-0.5, 0.0, 0.25]])
    for objectives in (3, 4):
        weights = weights_of(CAGrad(0.5), [vectors[:objectives]])[0]
        update, center = vectors[:objectives].T @ weights, vectors[:objectives].mean(axis=0)
        assert (vectors[:objectives] @ update).min() > 0.05
        np.testing.assert_allclose(np.linalg.norm(update - center), 0.5 * np.linalg.norm(center), rtol=1e-4)


@functools.cache
def bargained(objectives: int):
    cases = gradients(objectives)
    return cases, weights_of(NashMTL(max_norm=None), cases)


@pytest.mark.parametrize("objectives", [2, 3, 8, 16])
def test_nash_strikes_the_bargain_where_there_is_one(objectives):
    struck = 0
    for vectors, weights in zip(*bargained(objectives), strict=True):
        if np.linalg.norm(mgda(vectors)) > 0.02:
            struck += 1
            np.testing.assert_allclose(weights * (vectors @ (vectors.T @ weights)), 1.0, rtol=2e-3)
    assert struck >= 10


def test_nash_gives_up_where_gradients_cancel():
    for vectors, weights in zip(*bargained(3), strict=True):
        if np.linalg.norm(mgda(vectors)) < 1e-6:
            added_up = weights @ np.linalg.norm(vectors, axis=1)
            assert np.linalg.norm(vectors.T @ weights) <= 2e-3 * added_up
