import numpy as np
import pytest
import tensorflow as tf

from harmonization.harmonize import harmonize
from harmonization.harmonizer import Group
from harmonization.methods.mmpareto import MMPareto

pytestmark = pytest.mark.slow

# Golden values: /shared/facts/gradient_methods.md, 3.3.
CONFLICTING = ([[-4.0, 1, 1]], [[6.0, 1, 1]])
AGREEING = ([[1.0, 2, 0]], [[2.0, -0.5, 1]])
TWO_TENSORS = ([[1.0, 0], [-2.0, 1]], [[0.5, 1], [3.0, 1]])


def _update(objectives, **options):
    gradients = [[tf.constant(tensor, tf.float32) for tensor in objective] for objective in objectives]
    update, report = harmonize(gradients, MMPareto(**options))
    return [tensor.numpy() for tensor in update], report


@pytest.mark.parametrize("scope", ["tensor", "encoder"])
def test_golden_values_of_one_tensor(scope):
    (update,), report = _update(CONFLICTING, scope=scope)
    np.testing.assert_allclose(update, [0, 3.67423, 3.67423], atol=1e-4)
    factor = 1.22474 if scope == "encoder" else 1.0
    np.testing.assert_allclose(report["weights"], 3 * np.array([0.6, 0.4]) * factor, atol=1e-4)
    (update,), report = _update(AGREEING, scope=scope)
    np.testing.assert_allclose(update, [4.5, 2.25, 1.5], atol=1e-4)
    np.testing.assert_array_equal(report["weights"], [1.5, 1.5])


def test_golden_values_of_two_tensors():
    (first, second), report = _update(TWO_TENSORS)
    np.testing.assert_allclose(first, [2.41868, 1.20934], atol=1e-4)
    np.testing.assert_allclose(second, [0, 3.35410], atol=1e-4)
    np.testing.assert_allclose(report["gram"][0, 1], -4.5)
    np.testing.assert_allclose(report["weights"], [1.8, 1.2], atol=1e-4)
    (first, second), report = _update(TWO_TENSORS, scope="encoder")
    np.testing.assert_allclose(report["weights"], 1.07044 * np.array([1.8, 1.2]), atol=1e-4)
    np.testing.assert_allclose(first, 1.07044 * 1.5 * np.array([1.6, 0.8]), atol=1e-4)
    np.testing.assert_allclose(second, 1.07044 * 1.5 * np.array([0, 2.0]), atol=1e-4)


def test_gamma_scales_the_update():
    once, _ = _update(TWO_TENSORS, gamma=1.0)
    thrice, _ = _update(TWO_TENSORS, gamma=3.0)
    np.testing.assert_allclose(thrice, 3 * np.array(once), rtol=1e-6)


def _reference(objectives, gamma=1.5):
    """The rule for two objectives in NumPy, float64, over a list of tensors per objective."""
    flat = [np.concatenate([np.ravel(tensor) for tensor in objective]) for objective in objectives]
    share = 0.5
    if flat[0] @ flat[1] <= 0:
        difference = flat[1] - flat[0]
        share = np.clip(flat[1] @ difference / (difference @ difference), 0, 1)
    update = []
    for multimodal, unimodal in zip(*objectives, strict=True):
        common = 2 * share * multimodal + 2 * (1 - share) * unimodal
        ratio = np.linalg.norm(multimodal + unimodal) / np.linalg.norm(common)
        update.append(gamma * max(1, ratio) * common)
    return update


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e15])
def test_equals_the_rule_in_numpy(random_gradients, flat, scale):
    call = tf.function(lambda gradients: harmonize(gradients, MMPareto()))
    outcomes = set()
    for seed in range(12):
        objectives = [[scale * tensor for tensor in row] for row in random_gradients(seed)]
        update, report = call(objectives)
        expected = _reference([[tensor.numpy().astype(np.float64) for tensor in row] for row in objectives])
        np.testing.assert_allclose(flat(update), flat(expected), rtol=1e-3, atol=2e-5 * scale)
        outcomes.add(bool(report["conflict"]))
    assert outcomes == {True, False}


def _positions(first, second):
    """Pairs in every position to one another, by name."""
    return {
        "random": (first, second),
        "opposing": (first, second - 2 * first),
        "parallel": (first, 3 * first),
        "opposite": (first, -first),
        "opposite and longer": (first, -3 * first),
        "first zero": (0 * first, second),
        "second zero": (first, 0 * second),
        "both zero": (0 * first, 0 * first),
        "right angle": (first, second - first * (first @ second) / (first @ first)),
    }


SCALES = [(1.0, 1.0), (1e-10, 1e-10), (1e15, 1e15), (1e-10, 1e15), (1e15, 1e3)]


@pytest.mark.parametrize("scope", ["tensor", "encoder"])
@pytest.mark.parametrize("scales", SCALES)
def test_is_finite_and_never_shorter_than_the_sum(scope, scales):
    generator = np.random.default_rng(1)
    call = tf.function(lambda pair: harmonize([[one[:3], one[3:]] for one in tf.unstack(pair)], MMPareto(scope=scope)))
    for name, pair in _positions(*generator.normal(size=(2, 7))).items():
        pair = tf.constant(np.stack(pair) * np.array(scales)[:, None], tf.float32)
        update, report = call(pair)
        update, pair = np.concatenate(update).astype(np.float64), pair.numpy().astype(np.float64)
        assert np.all(np.isfinite(update)) and np.all(np.isfinite(report["weights"])) and report["keep"], name
        if name == "opposite" and scales[0] == scales[1]:
            np.testing.assert_array_equal(update, 0)
        elif "opposite" not in name:
            total = np.linalg.norm(pair.sum(axis=0))
            assert np.linalg.norm(update) >= 1.5 * total * (1 - 1e-3), name
        if not report["conflict"] and name != "right angle":
            np.testing.assert_allclose(update, 1.5 * pair.sum(axis=0), rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("objectives", [2, 3, 5])
@pytest.mark.parametrize("rank", [2, 6])
def test_the_direction_conflicts_with_no_gradient(gram_of, objectives, rank):
    """Before the magnitude per tensor, and after the one per encoder."""
    direction, whole = MMPareto(gamma=1.0), MMPareto(scope="encoder")
    for seed in range(4):
        generator = np.random.default_rng(seed)
        vectors = generator.normal(size=(objectives, rank)) @ generator.normal(size=(rank, 9))
        gram = gram_of(vectors)
        slack = 1e-5 * np.square(vectors).sum(axis=1).max()
        for decision in (
            direction.decide(Group(gram, variable_gram=gram[None])),
            whole.decide(Group(gram)),
        ):
            update = decision.weights.numpy().astype(np.float64) @ vectors
            assert np.all(vectors @ update >= -slack)


@pytest.mark.parametrize("scales", [(1e-10, 1e15), (1e15, 1e3), (1e-10, 1e-10)])
def test_no_conflict_with_two_gradients_of_any_lengths(gram_of, scales):
    for seed in range(5):
        units = np.random.default_rng(seed).normal(size=(2, 4))
        units[1] -= units[0]
        vectors = units * np.array(scales)[:, None]
        update = MMPareto(scope="encoder").decide(Group(gram_of(vectors))).weights.numpy().astype(np.float64) @ vectors
        assert np.any(update) and np.all(units @ update >= -1e-4 * np.linalg.norm(update))


def test_the_magnitude_per_tensor_may_conflict():
    conflicts = {}
    for scope in ("tensor", "encoder"):
        call = tf.function(lambda gradients, scope=scope: harmonize(gradients, MMPareto(scope=scope))[0])
        conflicts[scope] = 0
        for seed in range(40):
            vectors = np.random.default_rng(seed).normal(size=(2, 4))
            vectors[1] -= vectors[0]
            update = call([tf.split(tf.constant(one, tf.float32), [1, 3]) for one in vectors])
            conflicts[scope] += np.any(vectors @ np.concatenate(update) < -1e-4)
    assert conflicts["encoder"] == 0 and conflicts["tensor"] > 0


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_lengthening_over_the_encoder_is_at_least_one_of_itself(gram_of, objectives):
    """The min-norm point is no longer than any other convex combination, the mean among them."""
    longer = 0
    for seed in range(10):
        vectors = np.random.default_rng(seed).normal(size=(objectives, 5))
        gram = gram_of(vectors)
        common = MMPareto(gamma=1.0).decide(Group(gram, variable_gram=gram[None]))
        lengths = np.linalg.norm([common.weights.numpy() @ vectors, vectors.sum(axis=0)], axis=1)
        assert lengths[0] <= lengths[1] * 1.00001
        np.testing.assert_allclose(common.scales[0], lengths[1] / lengths[0], rtol=1e-4)
        longer += lengths[1] > 1.01 * lengths[0]
    assert longer > 3


def test_more_objectives_use_the_min_norm_point(gram_of):
    vectors = np.array([[2.0, 0, 0], [0, 1.0, 0], [-1.0, -0.2, 1.0]])
    gram = gram_of(vectors)
    decision = MMPareto(gamma=1.0).decide(Group(gram, variable_gram=gram[None]))
    shares = decision.weights.numpy() / 3
    np.testing.assert_allclose(shares.sum(), 1, rtol=1e-5)
    # At the min-norm point every gradient that has a share has the same inner product with it.
    products = vectors @ (shares @ vectors)
    assert np.all(shares > 0.01)
    np.testing.assert_allclose(products, products[0], rtol=1e-4)


def test_a_zero_gradient_takes_no_part_among_more(gram_of):
    pair = np.array(CONFLICTING)[:, 0]
    three = np.stack([pair[0], np.zeros(3), pair[1]])
    decisions = [
        MMPareto().decide(Group(gram_of(vectors), variable_gram=gram_of(vectors)[None])) for vectors in (pair, three)
    ]
    weights = decisions[1].weights.numpy()
    np.testing.assert_allclose(weights[[0, 2]], decisions[0].weights, rtol=1e-4)
    np.testing.assert_allclose(weights @ three, decisions[0].weights.numpy() @ pair, atol=1e-4)


def test_order_of_the_objectives_does_not_matter(gram_of):
    for seed in range(5):
        vectors, order = np.random.default_rng(seed).normal(size=(3, 4)), [2, 0, 1]
        weights = [
            MMPareto(scope="encoder").decide(Group(gram_of(each))).weights.numpy() for each in (vectors, vectors[order])
        ]
        np.testing.assert_allclose(weights[1], weights[0][order], rtol=1e-4)


def test_encoders_are_treated_apart_and_heads_get_their_plain_gradient(random_gradients, flat):
    multimodal, audio = random_gradients(seed=2)
    video = random_gradients(seed=3)[0]
    # Variables: audio encoder, video encoder, fusion; the head of the audio alone at the end.
    gradients = [
        [multimodal[0], multimodal[1], multimodal[2], None],
        [audio[0], None, None, audio[1]],
        [None, video[1], None, None],
    ]
    groups = {"audio": [0], "video": [1], "fusion": [2], "audio_head": [3]}
    update, report = harmonize(gradients, MMPareto(), groups=groups)
    for place, unimodal in ((0, audio), (1, video)):
        (expected,) = _reference([[multimodal[place].numpy()], [unimodal[place].numpy()]])
        np.testing.assert_allclose(update[place], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(update[2], multimodal[2])
    np.testing.assert_array_equal(update[3], audio[1])
    np.testing.assert_array_equal(report["weights"][2:], [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("objectives", [2, 3])
def test_is_the_same_with_xla(random_gradients, flat, objectives):
    call = lambda gradients: harmonize(gradients, MMPareto())  # noqa: E731
    plain, compiled = tf.function(call), tf.function(call, jit_compile=True)
    for seed in range(4):
        gradients = random_gradients(seed, objectives)
        (update, report), (update_xla, report_xla) = plain(gradients), compiled(gradients)
        np.testing.assert_allclose(flat(update_xla), flat(update), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(report_xla["weights"], report["weights"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gamma", [0, -1, float("nan")])
def test_refuses_a_gamma_that_makes_no_sense(gamma):
    with pytest.raises(ValueError, match="`gamma` should be a finite number > 0"):
        MMPareto(gamma=gamma)


def test_refuses_an_unknown_scope():
    with pytest.raises(ValueError, match="`scope` should be one of tensor, encoder. Found 'layer'"):
        MMPareto(scope="layer")
