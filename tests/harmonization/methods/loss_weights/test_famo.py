import numpy as np
import pytest
import tensorflow as tf

from harmonization.harmonize import harmonize
from harmonization.harmonizer import Group
from harmonization.methods.loss_weights.famo import FAMO


def _built(objectives=2, groups=("all",), **options):
    method = FAMO(**options)
    method.build(objectives, groups)
    return method


def _state(method):
    return [variable.numpy() for variable in method.variables]


def _decide(method, losses, gram=None):
    gram = tf.eye(len(losses)) if gram is None else gram
    return method.decide(Group(gram, losses=tf.constant(losses, tf.float32)))


def _take(method, losses, losses_after):
    decision = _decide(method, losses)
    for variable, value in decision.state:
        variable.assign(value)
    method.after_step(tf.constant(losses_after, tf.float32))
    return decision.weights.numpy()


class Reference:
    """The rule in NumPy, float64: weights from the losses, then Adam on the logits."""

    def __init__(self, n, rate=0.025, decay=1e-3):
        self.logits, self.mean, self.square = np.zeros(n), np.zeros(n), np.zeros(n)
        self.rate, self.decay, self.updates = rate, decay, 0

    def weights(self, losses):
        ratios = self.shares() / losses
        return ratios / ratios.sum()

    def shares(self):
        return np.exp(self.logits) / np.exp(self.logits).sum()

    def learn(self, before, after):
        z = self.shares()
        jacobian = np.diag(z) - np.outer(z, z)
        slope = jacobian @ (np.log(before) - np.log(after)) + self.decay * self.logits
        self.updates += 1
        self.mean = 0.9 * self.mean + 0.1 * slope
        self.square = 0.999 * self.square + 0.001 * slope**2
        unbiased = self.mean / (1 - 0.9**self.updates), self.square / (1 - 0.999**self.updates)
        self.logits = self.logits - self.rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)


def test_first_weights_are_those_of_equal_shares():
    # z = (.5, .5), so w is in proportion to 1 / L.
    np.testing.assert_allclose(_decide(_built(), [2.0, 1.0]).weights, [1 / 3, 2 / 3], rtol=1e-6)
    bounded = _built(lower_bounds=(1.0, 0.0))
    np.testing.assert_allclose(_decide(bounded, [2.0, 3.0]).weights, [0.75, 0.25], rtol=1e-6)


def test_the_loss_that_falls_faster_loses_share():
    method = _built()
    _take(method, [2.0, 1.0], [1.0, 1.0])
    # Adam's first step has the length of the learning rate.
    np.testing.assert_allclose(_state(method)[0][0], [-0.025, 0.025], rtol=1e-5)


def test_equals_the_rule_in_numpy_over_many_steps():
    generator = np.random.default_rng(0)
    method, reference = _built(3), Reference(3)
    for _ in range(60):
        before = generator.uniform(0.1, 5, size=3)
        after = before * generator.uniform([0.7, 0.9, 0.95], 1.02)
        weights = _take(method, before, after)
        np.testing.assert_allclose(weights, reference.weights(before), rtol=1e-4)
        np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)
        reference.learn(before, after)
    np.testing.assert_allclose(_state(method)[0][0], reference.logits, rtol=1e-3)
    assert np.ptp(reference.logits) > 0.5


def test_evens_out_the_fall_of_two_losses():
    """Two quadratics of different curvature: under FAMO their logarithms fall together."""
    curvatures = tf.constant([1.0, 20.0])
    method, place = FAMO(learning_rate=0.1), tf.Variable([3.0, 3.0])

    @tf.function
    def step():
        losses = 0.5 * curvatures * place**2
        gradients = [[tf.stack([curvatures[0] * place[0], 0.0])], [tf.stack([0.0, curvatures[1] * place[1]])]]
        (update,), report = harmonize(gradients, method, losses=losses)
        place.assign_sub(0.02 * update)
        method.after_step(0.5 * curvatures * place**2)
        return report["weights"]

    weights = [step().numpy() for _ in range(150)]
    # Unweighted, the second would fall 20 times as fast; FAMO's fall in step once it has learned.
    before = np.log(0.5 * curvatures * place**2)
    for _ in range(50):
        weights.append(step().numpy())
    falls = before - np.log(0.5 * curvatures * place**2)
    assert 0.7 < falls[0] / falls[1] < 1.4
    assert np.all(np.isfinite(weights))


def test_a_step_that_is_not_taken_changes_nothing(random_gradients):
    method, gradients = FAMO(), random_gradients(seed=0)
    harmonize(gradients, method, losses=[2.0, 1.0])
    method.after_step(tf.constant([1.5, 0.9]))
    before = _state(method)
    assert np.any(before[0])
    bad = [[tensor * np.nan for tensor in gradients[0]], gradients[1]]
    _, report = harmonize(bad, method, losses=[2.0, 1.0])
    assert not report["keep"]
    method.after_step(tf.constant([1.0, 1.0]))
    for now, then in zip(_state(method), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_each_step_is_learned_from_once():
    method = _built()
    _take(method, [2.0, 1.0], [1.5, 0.9])
    before = _state(method)
    method.after_step(tf.constant([0.1, 0.9]))
    np.testing.assert_array_equal(_state(method)[0], before[0])


@pytest.mark.parametrize("losses", [[1.0, np.nan], [1.0, np.inf]])
def test_an_objective_without_a_loss_takes_no_part(losses):
    method = _built()
    np.testing.assert_array_equal(_take(method, losses, [0.5, 0.5]), [1, 0])
    np.testing.assert_array_equal(_state(method)[0][:, 1], 0)
    _take(method, [1.0, 1.0], losses)
    assert np.all(np.isfinite(_state(method)[0]))


def test_an_objective_without_a_gradient_takes_no_part():
    method = _built()
    weights = _decide(method, [3.0, 0.0], gram=tf.constant([[2.0, 0], [0, 0]])).weights
    np.testing.assert_array_equal(weights, [1, 0])
    np.testing.assert_array_equal(_decide(method, [3.0, 0.0], gram=tf.zeros([2, 2])).weights, [0.5, 0.5])


@pytest.mark.parametrize("losses", [[0.0, 0.0], [-1.0, 2.0], [1e-30, 1e30], [1e30, 1e30], [0.0, 1e30]])
def test_weights_are_finite_whatever_the_losses(losses):
    method = _built()
    for _ in range(3):
        weights = _take(method, losses, losses[::-1])
        assert np.all(np.isfinite(weights)) and abs(weights.sum() - 1) < 1e-5
    assert all(np.all(np.isfinite(value)) for value in _state(method))


def test_every_group_learns_over_the_objectives_that_reach_it(random_gradients):
    gradients, method = random_gradients(seed=0, objectives=3), FAMO()
    gradients[1][0] = gradients[1][1] = gradients[0][2] = gradients[1][2] = None
    groups = {"two": [0, 1], "one": [2]}
    for _ in range(2):
        _, report = harmonize(gradients, method, groups=groups, losses=[2.0, 5.0, 1.0])
        method.after_step(tf.constant([1.0, 5.0, 1.0]))
    alone = _built()
    _take(alone, [2.0, 1.0], [1.0, 1.0])
    expected = _decide(alone, [2.0, 1.0]).weights.numpy()
    np.testing.assert_allclose(report["weights"], [[expected[0], 0, expected[1]], [0, 0, 1]], rtol=1e-5)


def test_state_survives_a_checkpoint(tmp_path, random_gradients):
    gradients, method = random_gradients(seed=0), FAMO()
    for losses in ([2.0, 1.0], [1.5, 0.9]):
        harmonize(gradients, method, losses=losses)
        method.after_step(tf.constant(losses) * [0.8, 0.95])
    harmonize(gradients, method, losses=[1.0, 1.0])  # so that something waits
    path = tf.train.Checkpoint(method=method).write(str(tmp_path / "checkpoint"))
    built = _built()
    tf.train.Checkpoint(method=built).read(path).assert_consumed()
    late = FAMO()
    status = tf.train.Checkpoint(method=late).read(path)
    late.build(2, ("all",))
    status.assert_consumed()
    for restored in (built, late):
        for value, saved in zip(_state(restored), _state(method), strict=True):
            np.testing.assert_array_equal(value, saved)
    assert all(np.any(value) for value in _state(built))


def test_is_the_same_with_xla(random_gradients, flat):
    gradients = random_gradients(seed=1)
    outcomes = []
    for jit_compile in (False, True):
        method = _built()

        def step(losses, method=method):
            update, _ = harmonize(gradients, method, losses=losses)
            method.after_step(losses * [0.5, 0.9])
            return update

        step = tf.function(step, jit_compile=jit_compile)
        for _ in range(3):
            update = step(tf.constant([2.0, 1.0]))
        outcomes.append((flat(update), *_state(method)))
    for plain, compiled in zip(*outcomes, strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-6)


def test_replicas_share_the_state(mirrored, random_gradients):
    strategy, gradients = mirrored(2), random_gradients(seed=0)
    with strategy.scope():
        method = _built()

    @tf.function
    def step():
        def replica_step():
            _, report = harmonize(gradients, method, losses=[2.0, 1.0])
            method.after_step(tf.constant([1.0, 1.0]))
            return report["weights"]

        return strategy.run(replica_step)

    alone = _built()
    for _ in range(3):
        weights = strategy.experimental_local_results(step())
        expected = _take(alone, [2.0, 1.0], [1.0, 1.0])
        for own in weights:
            np.testing.assert_allclose(own, expected, rtol=1e-5)


def test_says_what_is_missing(random_gradients):
    with pytest.raises(ValueError, match="FAMO needs the losses. Pass `losses=`"):
        harmonize(random_gradients(seed=0), FAMO())
    with pytest.raises(ValueError, match="`after_step` should follow a step"):
        FAMO().after_step(tf.ones([2]))
    with pytest.raises(ValueError, match=r"one per objective \(3\)"):
        harmonize(random_gradients(seed=0, objectives=3), FAMO(lower_bounds=[0.0, 1.0]), losses=[1.0, 1, 1])
    assert FAMO.losses_after


def test_refuses_state_made_for_others(random_gradients):
    method = _built()
    with pytest.raises(
        ValueError, match=r"made for 2 objectives in the groups \['all'\]. Found 3 objectives in \['all'\]"
    ):
        harmonize(random_gradients(seed=0, objectives=3), method, losses=[1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    "options",
    [{"learning_rate": -1}, {"weight_decay": float("nan")}, {"epsilon": 0.0}, {"lower_bounds": [0, float("inf")]}],
)
def test_refuses_options_that_make_no_sense(options):
    with pytest.raises(ValueError, match="`epsilon` > 0"):
        FAMO(**options)
