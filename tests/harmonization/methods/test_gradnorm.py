import numpy as np
import pytest
import tensorflow as tf

from harmonization.harmonize import harmonize
from harmonization.harmonizer import Group
from harmonization.methods.gradnorm import GradNorm


def _built(objectives=2, **options):
    method = GradNorm(**options)
    method.build(objectives, ("all",))
    return method


def _take(method, norms, losses):
    norms = np.asarray(norms, np.float64)
    gram = tf.constant(np.diag(norms**2), tf.float32)
    decision = method.decide(Group(gram, losses=tf.constant(losses, tf.float32)))
    for variable, value in decision.state:
        variable.assign(value)
    return decision.weights.numpy()


def _state(method):
    return [variable.numpy() for variable in method.variables]


class Reference:
    """The rule in NumPy, float64."""

    def __init__(self, losses, alpha=1.5, rate=0.025):
        self.weights, self.first = np.ones(len(losses)), np.array(losses)
        self.alpha, self.rate = alpha, rate

    def learn(self, norms, losses):
        weighted = self.weights * norms
        ratio = losses / self.first
        wanted = weighted.mean() * (ratio / ratio.mean()) ** self.alpha
        # The slope of sum |N - N*| with respect to log w, in units of the mean norm.
        slope = np.sign(weighted - wanted) * weighted / weighted.mean()
        weights = self.weights * np.exp(-self.rate * slope)
        self.weights = len(weights) * weights / weights.sum()


def test_equals_the_rule_in_numpy_over_many_steps():
    generator = np.random.default_rng(0)
    losses = np.array([2.0, 30.0, 0.5])
    method, reference = _built(3), Reference(losses)
    for _ in range(60):
        norms = generator.uniform(0.5, 2, size=3) * [1, 5, 0.3]
        weights = _take(method, norms, losses)
        np.testing.assert_allclose(weights, reference.weights, rtol=1e-4)
        np.testing.assert_allclose(weights.sum(), 3, rtol=1e-5)
        reference.learn(norms, losses)
        losses = losses * generator.uniform([0.9, 0.97, 1.0], 1.0)
    assert np.ptp(reference.weights) > 1


def test_the_first_step_is_the_sum_and_the_second_by_hand():
    method = _built(learning_rate=0.1)
    np.testing.assert_array_equal(_take(method, [3.0, 1.0], [2.0, 5.0]), [1, 1])
    # Mean norm 2, both losses at their first value: the norms want to be equal.
    weights = np.exp([-0.1 * 1.5, 0.1 * 0.5])
    np.testing.assert_allclose(_take(method, [3.0, 1.0], [2.0, 5.0]), 2 * weights / weights.sum(), rtol=1e-6)


def test_with_alpha_zero_the_norms_become_equal():
    method = _built(3, alpha=0.0, learning_rate=0.05)
    for _ in range(100):
        weights = _take(method, [1.0, 4.0, 10.0], [1.0, 2.0, 3.0])
    weighted = weights * [1.0, 4.0, 10.0]
    np.testing.assert_allclose(weighted / weighted.mean(), 1, atol=0.1)


def test_an_objective_that_lags_is_favored():
    method = _built(alpha=1.5, learning_rate=0.05)
    _take(method, [1.0, 1.0], [1.0, 1.0])
    for _ in range(60):
        weights = _take(method, [1.0, 1.0], [1.0, 0.5])
    # r = (4/3, 2/3), so that the first norm wants to be (4/3)^1.5 times the mean; the second cannot have
    # (2/3)^1.5 then, since the two add up to more than 2.
    np.testing.assert_allclose(weights[0], (4 / 3) ** 1.5, rtol=0.05)


@pytest.mark.parametrize("scale", [1e-10, 1e5, 1e15])
def test_a_common_scale_does_not_matter(scale):
    methods = _built(), _built()
    for norms, losses in (([1.0, 3.0], [1.0, 2.0]), ([2.0, 3.0], [0.5, 2.0])):
        plain = _take(methods[0], norms, losses)
        scaled = _take(methods[1], scale * np.array(norms), 1e3 * np.array(losses))
        np.testing.assert_allclose(scaled, plain, rtol=1e-5)


@pytest.mark.parametrize("norms", [[0, 0], [0, 1], [1e-10, 1e15], [1e18, 1e18], [1e-18, 1e18]])
@pytest.mark.parametrize("losses", [[0, 0], [-1, 1], [1e-30, 1e30], [np.nan, 1], [np.inf, 1], [1e38, 1e38]])
def test_weights_are_finite_whatever_comes(norms, losses):
    method = _built()
    _take(method, [1.0, 1.0], [1.0, 0.0])
    for _ in range(3):
        weights = _take(method, norms, losses)
        assert np.all(np.isfinite(weights)) and abs(weights.sum() - 2) < 1e-5
    assert all(np.all(np.isfinite(value)) for value in _state(method))


def test_what_has_no_gradient_waits_for_its_first_loss():
    method = _built(3)
    np.testing.assert_allclose(_take(method, [1.0, 0.0, 1.0], [1.0, 7.0, 1.0]), [1, 1, 1], rtol=1e-6)
    (first_losses,) = (variable for variable in method.variables if "first_losses" in variable.name)
    np.testing.assert_array_equal(first_losses, [1, 0, 1])
    _take(method, [1.0, 2.0, 1.0], [0.9, 6.0, 0.9])
    np.testing.assert_array_equal(first_losses, [1, 6, 1])


def test_every_group_learns_over_the_objectives_that_reach_it(random_gradients):
    gradients, method = random_gradients(seed=0, objectives=3), GradNorm()
    gradients[1][0] = gradients[1][1] = gradients[0][2] = gradients[1][2] = None
    for _ in range(2):
        _, report = harmonize(gradients, method, groups={"two": [0, 1], "one": [2]}, losses=[2.0, 5.0, 1.0])
    norms = report["norms"].numpy()[0, [0, 2]]
    alone = _built()
    expected = [_take(alone, norms, [2.0, 1.0]) for _ in range(2)][-1]
    assert np.ptp(expected) > 0.001
    np.testing.assert_allclose(report["weights"], [[expected[0], 0, expected[1]], [0, 0, 1]], rtol=1e-5)


def test_a_step_that_is_not_taken_changes_nothing(random_gradients):
    method, gradients = GradNorm(), random_gradients(seed=0)
    harmonize(gradients, method, losses=[2.0, 1.0])
    before = _state(method)
    bad = [[tensor * np.nan for tensor in gradients[0]], gradients[1]]
    _, report = harmonize(bad, method, losses=[1.0, 1.0])
    assert not report["keep"]
    for now, then in zip(_state(method), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_state_survives_a_checkpoint(tmp_path):
    method, restored = _built(), _built()
    for losses in ([2.0, 1.0], [1.5, 0.9]):
        _take(method, [1.0, 3.0], losses)
    path = tf.train.Checkpoint(method=method).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(method=restored).read(path).assert_consumed()
    for value, saved in zip(_state(restored), _state(method), strict=True):
        np.testing.assert_array_equal(value, saved)
        assert np.any(saved)


def test_is_the_same_with_xla(random_gradients, flat):
    gradients = random_gradients(seed=1)
    outcomes = []
    for jit_compile in (False, True):
        method = _built()
        step = tf.function(
            lambda losses, method=method: harmonize(gradients, method, losses=losses)[0], jit_compile=jit_compile
        )
        for losses in ([2.0, 1.0], [1.0, 0.9], [0.5, 0.9]):
            update = step(tf.constant(losses))
        outcomes.append((flat(update), *_state(method)))
    for plain, compiled in zip(*outcomes, strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-6)


def test_says_what_is_missing(random_gradients):
    with pytest.raises(ValueError, match="GradNorm needs the losses. Pass `losses=`"):
        harmonize(random_gradients(seed=0), GradNorm())
    with pytest.raises(
        ValueError, match=r"for 2 objectives in the groups \['all'\]. Found 2 objectives in \['a', 'b'\]"
    ):
        harmonize(random_gradients(seed=0), _built(), groups={"a": [0], "b": [1]}, losses=[1.0, 1.0])


@pytest.mark.parametrize("options", [{"alpha": -1}, {"alpha": float("inf")}, {"learning_rate": float("nan")}])
def test_refuses_options_that_make_no_sense(options):
    with pytest.raises(ValueError, match="should be finite numbers >= 0"):
        GradNorm(**options)
