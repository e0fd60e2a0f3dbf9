import numpy as np
import pytest
import tensorflow as tf

from harmonization.harmonize import harmonize
from harmonization.harmonizer import Group
from harmonization.methods.ogm_ge import OGMGE

GROUPS = {"audio": [0], "video": [1], "fusion": [2]}
SCORES = {"audio": 30.0, "video": 20.0}
FACTOR = 1 - np.tanh(0.5 * 30 / 20)


def _factor(name, scores, **options):
    method = OGMGE(noise=False, **options)
    scores = {key: tf.constant(value, tf.float32) for key, value in scores.items()}
    return float(method.decide(Group(tf.eye(1), scores=scores, name=name)).weights[0])


def _large(seed=0):
    generator = np.random.default_rng(seed)
    return [[tf.constant(generator.normal(loc=0.3, size=[20_000]), tf.float32) for _ in range(3)]]


def test_the_stronger_modality_is_slowed_down():
    np.testing.assert_allclose(_factor("audio", SCORES, alpha=0.5), FACTOR, rtol=1e-5)
    assert _factor("video", SCORES, alpha=0.5) == 1
    np.testing.assert_allclose(_factor("video", {"audio": 1.0, "video": 4.0}, alpha=0.1), 1 - np.tanh(0.4), rtol=1e-5)
    assert _factor("audio", {"audio": 2.0, "video": 2.0}) == 1


def test_each_modality_is_compared_with_the_mean_of_the_others():
    scores = {"audio": 30.0, "video": 20.0, "flow": 10.0}
    np.testing.assert_allclose(_factor("audio", scores, alpha=0.5), 1 - np.tanh(0.5 * 2), rtol=1e-5)
    assert _factor("video", scores, alpha=0.5) == 1 and _factor("flow", scores, alpha=0.5) == 1
    scores["flow"] = 0.0
    np.testing.assert_allclose(_factor("video", scores, alpha=0.5), 1 - np.tanh(0.5 * 20 / 15), rtol=1e-5)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((0, 0), 1), ((np.nan, 1), 1), ((1, np.nan), 1), ((np.inf, np.inf), 1), ((1e30, 1e-30), 1e-6), ((1, 0), 1e-6)],
)
def test_the_factor_is_finite_whatever_the_scores(scores, expected):
    np.testing.assert_allclose(_factor("audio", dict(zip(("audio", "video"), scores, strict=True))), expected)


def test_without_noise_only_the_stronger_encoder_changes(random_gradients):
    gradients = random_gradients(seed=0)
    update, report = harmonize(gradients, OGMGE(alpha=0.5, noise=False), groups=GROUPS, scores=SCORES)
    total = [a + b for a, b in zip(*gradients, strict=True)]
    np.testing.assert_allclose(update[0], FACTOR * total[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(update[1], total[1])
    np.testing.assert_array_equal(update[2], total[2])
    np.testing.assert_allclose(report["weights"], [[FACTOR] * 2, [1, 1], [1, 1]], rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e15])
def test_the_noise_has_the_spread_of_the_gradient_before_the_factor(scale):
    gradients = [[scale * tensor for tensor in _large()[0]]]
    update, _ = harmonize(gradients, OGMGE(alpha=0.5), groups=GROUPS, scores=SCORES, step=3)
    for place, factor in ((0, FACTOR), (1, 1.0)):
        gradient = gradients[0][place].numpy().astype(np.float64)
        noise = update[place].numpy() - factor * gradient
        spread = gradient.std()
        assert abs(noise.mean()) < 0.03 * spread
        assert abs(noise.std() / spread - 1) < 0.03
        assert abs(np.corrcoef(noise, gradient)[0, 1]) < 0.03
    np.testing.assert_array_equal(update[2], gradients[0][2])


def test_the_noise_depends_on_seed_step_group_and_variable():
    def noise(seed=0, step=3, groups=GROUPS):
        gradients = [[tensor for tensor in _large()[0]]]
        gradients[0][1] = gradients[0][0]
        update, _ = harmonize(
            gradients, OGMGE(seed=seed), groups=groups, scores={"audio": 1.0, "video": 1.0}, step=step
        )
        return [(tensor - gradient).numpy() for tensor, gradient in zip(update, gradients[0], strict=True)]

    first = noise()
    np.testing.assert_array_equal(noise()[0], first[0])
    within = noise(groups={"audio": [0, 1], "video": [2]})
    for other in (first[1], noise(seed=1)[0], noise(step=4)[0], within[1]):
        assert abs(np.corrcoef(first[0], other)[0, 1]) < 0.05


def test_both_can_be_limited_to_some_steps(random_gradients, flat):
    gradients = random_gradients(seed=0)
    plain = flat([a + b for a, b in zip(*gradients, strict=True)])
    method = OGMGE(alpha=0.5, noise_steps=(2, 4), modulation_steps=(0, 3))
    call = tf.function(lambda step: harmonize(gradients, method, groups=GROUPS, scores=SCORES, step=step))
    seen = []
    for step in range(6):
        update, report = call(tf.constant(step, tf.int64))
        slowed = bool(report["weights"][0, 0] < 1)
        noisy = not np.allclose(flat(update)[12:17], plain[12:17], rtol=1e-6)
        seen.append((slowed, noisy))
    assert seen == [(True, False)] * 2 + [(True, True), (False, True)] + [(False, False)] * 2


def test_a_step_that_is_not_taken_gets_no_noise(random_gradients, flat):
    gradients = random_gradients(seed=0)
    gradients[0][0] *= np.nan
    update, report = harmonize(gradients, OGMGE(), groups=GROUPS, scores=SCORES, step=0)
    assert not report["keep"]
    np.testing.assert_array_equal(flat(update), 0)


def test_zero_gradients_missing_ones_and_single_entries_get_no_noise():
    gradients = [[tf.zeros([4]), None, tf.constant([2.0])]]
    groups = {"audio": [0, 1], "video": [2]}
    update, _ = harmonize(gradients, OGMGE(), groups=groups, scores={"audio": 1.0, "video": 1.0}, step=0)
    np.testing.assert_array_equal(update[0], 0)
    assert update[1] is None
    np.testing.assert_array_equal(update[2], [2.0])


def test_keeps_the_dtype_of_the_gradients():
    gradients = [[tf.cast(tensor, tf.bfloat16) for tensor in _large()[0]]]
    update, _ = harmonize(gradients, OGMGE(), groups=GROUPS, scores=SCORES, step=0)
    assert all(tensor.dtype == tf.bfloat16 for tensor in update)


def test_is_the_same_with_xla(random_gradients, flat):
    gradients, method = random_gradients(seed=0), OGMGE(noise_steps=(0, 9))
    call = lambda step: harmonize(gradients, method, groups=GROUPS, scores=SCORES, step=step)[0]  # noqa: E731
    step = tf.constant(5, tf.int64)
    plain, compiled = tf.function(call)(step), tf.function(call, jit_compile=True)(step)
    np.testing.assert_allclose(flat(compiled), flat(plain), rtol=1e-4, atol=1e-5)


def test_says_what_is_missing(random_gradients):
    gradients = random_gradients(seed=0)
    for scores in (None, {"audio": 1.0}):
        with pytest.raises(ValueError, match="a score for each of two or more groups. Pass `scores=`"):
            harmonize(gradients, OGMGE(), groups=GROUPS, scores=scores, step=0)
    with pytest.raises(ValueError, match="which are audio, video, fusion. Found touch"):
        harmonize(gradients, OGMGE(), groups=GROUPS, scores={"audio": 1.0, "touch": 1.0}, step=0)
    for method in (OGMGE(), OGMGE(noise=False, modulation_steps=(0, 5))):
        with pytest.raises(ValueError, match="OGMGE needs the training step"):
            harmonize(gradients, method, groups=GROUPS, scores=SCORES)


@pytest.mark.parametrize("options", [{"alpha": 0}, {"alpha": float("nan")}])
def test_refuses_an_alpha_that_makes_no_sense(options):
    with pytest.raises(ValueError, match="`alpha` should be a finite number > 0"):
        OGMGE(**options)


@pytest.mark.parametrize("steps", [(3, 3), (-1, 2), (1, 2, 3)])
def test_refuses_steps_that_make_no_sense(steps):
    for option in ("noise_steps", "modulation_steps"):
        with pytest.raises(ValueError, match="first step, step after the last"):
            OGMGE(**{option: steps})
