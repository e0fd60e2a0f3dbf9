import numpy as np
import pytest

from harmonization.methods.nash_mtl import NashMTL

CONFLICTING = np.array([[-4.0, 1, 1], [6, 1, 1]])


def test_golden_value(gram_of):
    weights = NashMTL(max_norm=None).weights(gram_of(CONFLICTING)).numpy()
    np.testing.assert_allclose(weights, [0.5915, 0.4071], atol=1e-4)
    np.testing.assert_allclose(weights @ CONFLICTING, [0.0766, 0.9985, 0.9985], atol=1e-4)


@pytest.mark.parametrize("objectives", [1, 2, 5])
def test_the_update_has_the_clipping_length_for_any_gradients(gram_of, objectives):
    vectors = np.random.default_rng(0).normal(size=(objectives, 8))
    for scale in (1.0, 1e4):
        update = NashMTL().weights(gram_of(scale * vectors)).numpy() @ (scale * vectors)
        assert np.linalg.norm(update) == pytest.approx(1.0, rel=1e-4)
        update = NashMTL(max_norm=100.0).weights(gram_of(scale * vectors)).numpy() @ (scale * vectors)
        assert np.linalg.norm(update) == pytest.approx(objectives**0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[0, 0], [0, 2]], [0, 0.5]),
        ([[0, 0], [0, 0]], [0, 0]),
        ([[1, 0], [-4, 0]], [0, 0]),  # opposite: no bargain
        ([[1, 0], [-4, 0], [0, 1]], [0, 0, 0]),
        ([[2, 0, 0], [0, 4, 0], [0, 0, 0]], [0.5, 0.25, 0]),
    ],
)
def test_values_by_hand(gram_of, vectors, expected):
    np.testing.assert_allclose(NashMTL(max_norm=None).weights(gram_of(vectors)), expected, atol=1e-5)


@pytest.mark.parametrize("max_norm", [0.0, -1.0])
def test_refuses_a_clip_that_leaves_nothing(max_norm):
    with pytest.raises(ValueError, match=f"`max_norm` should be None or a finite number > 0. Found {max_norm}"):
        NashMTL(max_norm)
