import numpy as np
import pytest
import tensorflow as tf

from harmonization import MGDA, Group, SDMGrad, harmonize, part_gram
from harmonization.significance import checked_estimates


def _built(objectives, **options):
    method = SDMGrad(**options)
    method.build(objectives, ("all",))
    return method


def _steps(method, groups):
    """Weights in every step, as the state moves."""

    @tf.function(autograph=False)
    def step(group):
        decision = method.decide(group)
        for variable, value in decision.state:
            variable.assign(value)
        return decision.weights

    return np.array([step(group).numpy() for group in groups])


def _nearest(point):
    """By bisection of what all entries are lowered by, so that the positive rest adds up to 1."""
    low, high = point.min() - 1.0, point.max()
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.maximum(point - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(point - low, 0)


@pytest.mark.parametrize("toward_mean", [0.0, 0.7])
def test_follows_the_rule_over_several_steps(gram_of, toward_mean):
    generator = np.random.default_rng(0)
    jacobians = generator.normal(size=(4, 5, 8)) * generator.uniform(0.2, 3.0, size=(4, 5, 1))
    method = _built(5, toward_mean=toward_mean, learning_rate=1.5, inner_steps=3)
    found = _steps(method, [Group(gram_of(rows)) for rows in jacobians])
    shares, mean = np.full(5, 0.2), np.full(5, toward_mean / 5)
    for rows, weights in zip(jacobians, found, strict=True):
        for _ in range(3):
            shares = _nearest(shares - 1.5 * rows @ (rows.T @ (shares + mean)) / np.square(rows).sum())
        np.testing.assert_allclose(weights, (shares + mean) / (1 + toward_mean), atol=1e-5)
    assert not np.allclose(found[0], found[-1], atol=1e-2)


def test_without_the_mean_ends_at_the_shortest_combination(gram_of):
    gram = gram_of(np.random.default_rng(1).normal(size=(4, 6)))
    found = _steps(_built(4, toward_mean=0.0, inner_steps=100), [Group(gram)] * 20)
    np.testing.assert_allclose(found[-1], MGDA().weights(gram), atol=1e-3)


def test_with_much_of_the_mean_is_the_mean(gram_of):
    weights = _steps(_built(3, toward_mean=1e6), [Group(gram_of([[9, 0], [0, 1], [1, 1]]))])[0]
    np.testing.assert_allclose(weights, [1 / 3] * 3, atol=1e-5)


def test_parts_of_the_batch_keep_noise_from_drawing_the_weights():
    """Two objectives alike in expectation; the first one's gradients are noisier by far."""
    generator, dimension, parts = np.random.default_rng(2), 40, 8
    expected = np.eye(2, dimension)
    options = {"toward_mean": 0.0, "learning_rate": 0.1, "inner_steps": 1}
    groups = {"parts": [], "batch": []}
    for _ in range(300):
        noise = generator.normal(size=(parts, 2, dimension)) * np.array([[0.6], [0.05]])
        rows = (expected + noise) / parts
        gram, part = rows.sum(axis=0) @ rows.sum(axis=0).T, rows.reshape(-1, dimension)
        gram, part = tf.constant(gram, tf.float32), tf.constant(part @ part.T, tf.float32)
        estimates = checked_estimates(part[None], gram[None], finite=tf.constant(True))[0]
        groups["parts"].append(Group(gram, gram_estimates=estimates))
        groups["batch"].append(Group(gram))
    found = {name: _steps(_built(2, **options), each)[100:].mean(axis=0) for name, each in groups.items()}
    np.testing.assert_allclose(found["parts"], [0.5, 0.5], atol=0.05)
    assert found["batch"][0] < 0.3


def test_takes_the_parts_from_harmonize():
    parts = [[[tf.random.stateless_normal([20], [part, objective])] for objective in range(2)] for part in range(4)]
    total = [[tf.add_n([part[objective][0] for part in parts])] for objective in range(2)]
    method, plain = _built(2, learning_rate=0.5), _built(2, learning_rate=0.5)
    _, report = harmonize(total, method, part_gram=part_gram(parts))
    _, other = harmonize(total, plain)
    assert np.abs(report["weights"] - other["weights"]).max() > 1e-3
    np.testing.assert_allclose(tf.reduce_sum(report["weights"]), 1.0, rtol=1e-6)


def test_objectives_that_reach_a_group_share_its_weights():
    one, other = tf.constant([1.0, 0.0]), tf.constant([0.0, 2.0])
    _, report = harmonize([[None], [one], [other]], _built(3))
    _, alone = harmonize([[one], [other]], _built(2))
    np.testing.assert_allclose(report["weights"][1:], alone["weights"], rtol=1e-6)
    assert report["weights"][0] == 0.0


@pytest.mark.parametrize("options", [{"toward_mean": -0.1}, {"learning_rate": 0.0}, {"inner_steps": 0}])
def test_refuses_options_out_of_range(options):
    with pytest.raises(ValueError, match="`toward_mean` should be finite and >= 0"):
        SDMGrad(**options)
