import numpy as np
import pytest
import tensorflow as tf

from harmonization import PCD, Group
from harmonization.harmonize import harmonize


def _decide(method, gram, objectives=None):
    return method.decide(Group(gram, objectives=objectives))


def _built(objectives, **options):
    method = PCD(**options)
    method.build(objectives, ("all",))
    return method


def test_by_hand_in_the_first_step(gram_of):
    # Both scaled to length 1 at a cosine of -0.6: mu = 0.1 + 0.6, d = (1, 0) + 0.7 (-0.6, 0.8), brought to length 2.
    vectors = np.array([[2.0, 0.0], [-3.0, 4.0]])
    weights = _decide(_built(2), gram_of(vectors)).weights.numpy()
    direction = np.array([1 - 0.42, 0.56])
    np.testing.assert_allclose(weights @ vectors, 2 * direction / np.linalg.norm(direction), rtol=1e-5)


def test_the_leader_is_followed_where_the_others_gain_enough(gram_of):
    vectors = [[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [3.0, 0.0, 1.0]]
    np.testing.assert_allclose(_decide(_built(3), gram_of(vectors)).weights, [1.0, 0.0, 0.0], atol=1e-6)


def test_more_constraints_are_met(gram_of):
    generator = np.random.default_rng(0)
    for _ in range(20):
        vectors = generator.normal(size=(5, 12))
        update = _decide(_built(5, tau=0.3), gram_of(vectors)).weights.numpy() @ vectors
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        gains = units @ update / np.linalg.norm(update)
        assert (gains[1:] > 0).all()
        np.testing.assert_allclose(np.linalg.norm(update), np.linalg.norm(vectors[0]), rtol=1e-4)


def test_lengths_are_compared_with_those_before(gram_of):
    method = _built(2, decay=0.5)
    for second in (4.0, 1.0):
        gram = gram_of([[1.0, 0.0], [0.0, second]])
        decision = _decide(method, gram)
        for variable, value in decision.state:
            variable.assign(value)
    # rms = sqrt((0.5 * 16 * 0.5 + 0.5) / 0.75) = sqrt(6), so the second one's scaled length is 1 / sqrt(6).
    scaled = 1 / np.sqrt(6.0)
    expected = np.array([1.0, 0.1 * scaled]) / np.hypot(1.0, 0.1 * scaled)
    np.testing.assert_allclose(decision.weights, expected, rtol=1e-5)


def test_opposite_zero_and_contradicting_gradients(gram_of):
    np.testing.assert_allclose(_decide(_built(2), gram_of([[1, 0], [0, 0]])).weights, [1.0, 0.0])
    np.testing.assert_array_equal(_decide(_built(2), gram_of([[0, 0], [1, 0]])).weights, [0.0, 0.0])
    # The second would lose: the update turns round, with the length of the first.
    weights = _decide(_built(2), gram_of([[1, 0], [-1, 0]])).weights.numpy()
    np.testing.assert_allclose(weights[0] - weights[1], -1.0, rtol=1e-4)
    contradicting = _decide(_built(3), gram_of([[1, 0], [0, 1], [0, -1]])).weights
    assert np.isfinite(contradicting).all()


def test_the_first_objective_that_reaches_a_group_leads_there():
    one, other = tf.constant([1.0, 0.0]), tf.constant([-1.0, 1.0])
    _, report = harmonize([[None], [one], [other]], _built(3))
    _, alone = harmonize([[one], [other]], _built(2))
    np.testing.assert_allclose(report["weights"][1:], alone["weights"], rtol=1e-6)


@pytest.mark.parametrize("options", [{"tau": -0.1}, {"decay": 1.0}, {"tau": float("nan")}])
def test_refuses_options_out_of_range(options):
    with pytest.raises(ValueError, match="`tau` should be finite and >= 0, `decay` from 0 to below 1"):
        PCD(**options)
