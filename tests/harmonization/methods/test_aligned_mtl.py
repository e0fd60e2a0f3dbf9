import numpy as np
import pytest

from harmonization.methods.aligned_mtl import AlignedMTL

CONFLICTING = np.array([[-4.0, 1, 1], [6, 1, 1]])


def test_golden_value(gram_of):
    weights = AlignedMTL(reduction="mean").weights(gram_of(CONFLICTING)).numpy()
    np.testing.assert_allclose(weights, [0.5591, 0.4083], atol=1e-4)
    np.testing.assert_allclose(weights @ CONFLICTING, [0.2133, 0.9673, 0.9673], atol=1e-4)
    np.testing.assert_allclose(AlignedMTL().weights(gram_of(CONFLICTING)), 2 * weights, rtol=1e-6)


@pytest.mark.parametrize("objectives", [2, 3, 4])
@pytest.mark.parametrize(("scale", "of"), [("min", np.min), ("median", None), ("rmse", np.mean)])
def test_the_scale_is_that_of_the_eigenvalues(gram_of, objectives, scale, of):
    vectors = np.random.default_rng(objectives).normal(size=(objectives, 6))
    left, scales, right = np.linalg.svd(vectors, full_matrices=False)
    square = np.sort(scales**2)[(objectives - 1) // 2] if of is None else of(scales**2)
    update = AlignedMTL(scale=scale).weights(gram_of(vectors)).numpy() @ vectors
    np.testing.assert_allclose(update, np.sqrt(square) * (left @ right).sum(axis=0), atol=1e-4)


@pytest.mark.parametrize("ratio", [1e3, 1e6])
def test_keeps_a_gradient_that_is_much_shorter(gram_of, ratio):
    vectors = np.array([[ratio, 0.0], [-0.6, 0.8]])
    update = AlignedMTL().weights(gram_of(vectors)).numpy() @ vectors
    np.testing.assert_allclose(update, [0.8, 0.8], rtol=1e-2)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[0, 0], [1, 2]], [0, 1]),
        ([[0, 0], [0, 0]], [0, 0]),
        ([[1, 2], [1, 2]], [1, 1]),
        ([[1, 0], [-1, 0]], [0, 0]),
        ([[2, 0, 0], [0, 2, 0], [0, 0, 0]], [1, 1, 0]),
    ],
)
def test_values_by_hand(gram_of, vectors, expected):
    np.testing.assert_allclose(AlignedMTL().weights(gram_of(vectors)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "max"}, '"sum" or "mean". Found \'max\''),
        ({"scale": "max"}, "`scale` should be one of .*'min', 'median', 'rmse'.*Found 'max'"),
    ],
)
def test_refuses_options_it_cannot_use(options, message):
    with pytest.raises(ValueError, match=message):
        AlignedMTL(**options)
