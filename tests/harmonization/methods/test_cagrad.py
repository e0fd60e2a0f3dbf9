import numpy as np
import pytest
import tensorflow as tf

from harmonization.methods.cagrad import CAGrad, _highest_level_of_two
from harmonization.methods.mgda import MGDA
from harmonization.solvers.max_min import highest_level
from harmonization.solvers.normalized import normalized

CONFLICTING = np.array([[-4.0, 1, 1], [6, 1, 1]])


@pytest.mark.parametrize(("c", "expected"), [(0.5, [0.1835, 1.2041, 1.2041]), (1.0, [0, 2, 2])])
def test_golden_value(gram_of, c, expected):
    weights = CAGrad(c).weights(gram_of(CONFLICTING)).numpy()
    np.testing.assert_allclose(weights @ CONFLICTING, expected, atol=1e-4)


def test_the_golden_combinations(gram_of):
    added = [CAGrad(c).weights(gram_of(CONFLICTING)).numpy() - 0.5 for c in (0.5, 1.0)]
    shares = [weights / weights.sum() for weights in added]
    np.testing.assert_allclose(shares, [[1, 0], [0.7, 0.3]], atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_the_closed_form_and_the_path_agree_for_two(seed):
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(2, 3)) * generator.uniform(0.1, 3.0, size=(2, 1))
    norms, cosines = normalized(tf.constant(vectors @ vectors.T, tf.float32))
    lengths = norms / tf.reduce_max(norms)
    center, radius = lengths / 2, tf.constant(generator.uniform(0.1, 1.0), tf.float64)
    closed = _highest_level_of_two(cosines, lengths, center, radius).numpy()
    units = vectors / norms.numpy()[:, None]
    path = highest_level(cosines, lengths, center, radius).numpy()
    np.testing.assert_allclose(path @ units, closed @ units, atol=1e-5)


@pytest.mark.parametrize("objectives", [2, 3])
def test_c_goes_from_the_mean_to_the_direction_of_mgda(gram_of, objectives):
    vectors = np.random.default_rng(1).normal(size=(objectives, 5))
    mean = CAGrad(c=0.0).weights(gram_of(vectors))
    np.testing.assert_allclose(mean, np.full(objectives, 1 / objectives), rtol=1e-6)
    far = CAGrad(c=1e4).weights(gram_of(vectors)).numpy()
    np.testing.assert_allclose(far / far.sum(), MGDA().weights(gram_of(vectors)), atol=1e-3)


@pytest.mark.parametrize(("rescale", "divisor"), [("none", 1.0), ("linear", 1.5), ("square", 1.25)])
def test_rescaling_divides_the_weights(gram_of, rescale, divisor):
    plain = CAGrad().weights(gram_of(CONFLICTING)).numpy()
    rescaled = CAGrad(rescale=rescale).weights(gram_of(CONFLICTING))
    np.testing.assert_allclose(rescaled, plain / divisor, rtol=1e-6)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[1, 0], [-3, 0]], [0, 0]),  # opposite: nothing improves both
        ([[1, 0, 0], [-3, 0, 0], [0, 1, 0]], [0, 1.0]),  # only the third can gain
        ([[0, 0], [2, 4]], [1, 2]),  # a zero gradient cannot gain: the mean does no harm
        ([[0, 0], [0, 0]], [0, 0]),
    ],
)
def test_where_not_all_can_gain_the_update_conflicts_with_none(gram_of, vectors, expected):
    vectors = np.array(vectors, np.float64)
    update = CAGrad(c=2.0).weights(gram_of(vectors)).numpy() @ vectors
    if len(vectors) == 3:
        assert abs(update[0]) < 1e-3 and update[1] > 0.3
    else:
        np.testing.assert_allclose(update, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"c": -0.1}, "`c` should be a finite number >= 0. Found -0.1"),
        ({"rescale": "cube"}, "`rescale` should be one of .*'square', 'linear', 'none'.*Found 'cube'"),
    ],
)
def test_refuses_options_it_cannot_use(options, message):
    with pytest.raises(ValueError, match=message):
        CAGrad(**options)
