"""Error bars from the parts of a batch, and the wrapper that acts on significant conflicts only."""

import math

import numpy as np
import pytest
import tensorflow as tf

import harmonization

PARTS, WIDTH, STEPS = 8, 60, 10_000


def planted(cosine, parts=PARTS, signal=0.3, steps=STEPS, shared=0.5, seed=0):
    """Gradients of the parts of many batches, [steps, parts, objectives, width], whose expectations have this cosine.

    The noise has a length of 1 in the mean, and so much of it is shared by both objectives.
    """
    generator = np.random.default_rng(seed)
    noise, common = (generator.standard_normal((steps, parts, n, WIDTH), np.float32) for n in (2, 1))
    noise *= math.sqrt((1.0 - shared**2) / WIDTH)
    noise += shared / math.sqrt(WIDTH) * common
    noise[..., 0, 0] += signal
    noise[..., 1, 0] += signal * cosine
    noise[..., 1, 1] += signal * math.sqrt(1.0 - cosine**2)
    return noise


def statistics_of(gradients, objectives=2):
    """`part_statistics` of every step."""
    rows = gradients.reshape(len(gradients), -1, gradients.shape[-1])
    grams = tf.constant(rows @ rows.transpose(0, 2, 1))
    one = tf.function(
        lambda grams: tf.vectorized_map(lambda gram: harmonization.part_statistics(gram, objectives), grams),
        autograph=False,
    )
    return {key: value.numpy() for key, value in one(grams).items()}


@pytest.mark.parametrize(("parts", "signal"), [(4, 0.3), (8, 0.0), (8, 0.3), (8, 3.0), (16, 0.3)])
def test_without_a_conflict_it_fires_as_often_as_it_says(parts, signal):
    ps = statistics_of(planted(0.0, parts, signal))["conflict_p"]
    assert 0.04 < np.mean(ps < 0.05) < 0.06
    assert 0.085 < np.mean(ps < 0.1) < 0.115


def test_agreement_is_no_conflict():
    assert np.mean(statistics_of(planted(0.5, signal=1.0))["conflict_p"] < 0.05) < 0.002


@pytest.mark.parametrize(("parts", "signal", "power"), [(8, 1.0, 0.9), (16, 1.0, 0.99), (16, 0.5, 0.6)])
def test_finds_a_conflict(parts, signal, power):
    assert np.mean(statistics_of(planted(-0.5, parts, signal, 2000))["conflict_p"] < 0.05) > power


def test_products_of_the_expectations_are_unbiased_and_their_errors_true():
    found = statistics_of(planted(0.2, signal=1.0))
    expected = PARTS**2 * np.array([[1.0, 0.2], [0.2, 1.0]])
    mean, error = found["expected_gram"].mean(axis=0), found["gram_error"]
    spread = found["expected_gram"].std(axis=0)
    np.testing.assert_allclose(mean, expected, atol=5 * spread.max() / np.sqrt(STEPS))
    np.testing.assert_allclose(np.sqrt(np.mean(error**2, axis=0)), spread, rtol=0.05)


@pytest.mark.parametrize(
    ("parts", "signal", "least", "most"),
    [(4, 3.0, 0.95, 1.1), (8, 1.0, 1.1, 1.35), (16, 1.0, 1.0, 1.2), (8, 0.3, 1.9, 2.3)],
)
def test_the_error_of_the_cosine_is_at_least_its_spread_over_batches(parts, signal, least, most):
    gradients = planted(-0.5, parts, signal, 2000)
    totals = gradients.sum(axis=1)
    cosines = np.einsum("sw,sw->s", totals[:, 0], totals[:, 1]) / np.linalg.norm(totals, axis=-1).prod(axis=1)
    errors = statistics_of(gradients)["cosine_error"]
    assert least < np.sqrt(np.mean(errors**2)) / cosines.std() < most


def test_three_objectives_are_tested_pair_by_pair():
    generator = np.random.default_rng(0)
    gradients = generator.normal(size=(4000, PARTS, 3, WIDTH)).astype(np.float32)
    found = statistics_of(gradients, 3)
    assert 0.035 < np.mean(found["conflict_p"] < 0.05) < 0.06
    smallest = np.min(found["conflict_ps"] + np.eye(3), axis=(1, 2))
    np.testing.assert_allclose(found["conflict_p"], np.minimum(3 * smallest, 1.0), rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 5), (6, 6), (4, 4), (10, 10)])
def test_too_few_or_odd_parts_are_refused(shape):
    with pytest.raises(ValueError, match="even number of parts, four at least.*2 objectives"):
        harmonization.part_statistics(tf.zeros(shape), 2)


def as_parts(step):
    """One step's parts as lists over variables of shapes [20, 1] and [40]."""
    return [[[tf.reshape(row[:20], [20, 1]), tf.constant(row[20:])] for row in part] for part in step]


def harmonized(step, method, **options):
    parts = as_parts(step)
    total = [[tf.add_n(column) for column in zip(*rows, strict=True)] for rows in zip(*parts, strict=True)]
    return harmonization.harmonize(total, method, part_gram=harmonization.part_gram(parts), **options)


def test_acts_on_significant_conflicts_only():
    clear, unclear = planted(-0.9, signal=3.0, steps=1)[0], planted(0.0, signal=0.0, steps=200, seed=1)
    method = harmonization.Significant(harmonization.UPGrad("sum"))
    _, report = harmonized(clear, method)
    assert report["conflict"] and report["conflict_p"] < 0.05 and report["cosine_error"] < 0.1
    np.testing.assert_allclose(report["weights"], harmonization.UPGrad("sum").weights(report["gram"]))
    totals = unclear.sum(axis=1)
    chance = unclear[np.einsum("sw,sw->s", totals[:, 0], totals[:, 1]) < -0.5][0]
    _, report = harmonized(chance, method)
    assert report["conflict"] and report["conflict_p"] > 0.05
    np.testing.assert_array_equal(report["weights"], [1, 1])


def test_a_gate_skips_no_step_by_chance():
    for signal, kept in ((3.0, False), (0.0, True)):
        step = planted(-0.9, signal=signal, steps=1)[0]
        method = harmonization.Significant(harmonization.GradientCurriculum(0.9))
        assert harmonized(step, method)[1]["keep"] == kept


def test_groups_have_error_bars_of_their_own():
    groups = {"first": [0], "second": [1]}
    _, report = harmonized(planted(-0.9, signal=3.0, steps=1)[0], harmonization.Sum(), groups=groups)
    assert report["conflict_p"].shape == report["cosine_error"].shape == [2]
    assert report["conflict_p"][0] < 0.05  # the planted gradients lie in the first variable


def test_what_is_missing_or_does_not_fit_is_said():
    step = planted(0.0, steps=1)[0]
    row = as_parts(step)[0]
    with pytest.raises(ValueError, match="Pass `part_gram=` to `harmonize`, losses of shape"):
        harmonization.harmonize(row, harmonization.Significant(harmonization.MGDA()))
    with pytest.raises(ValueError, match=r"`part_gram` should be \[variables \(2\)"):
        harmonization.harmonize(row, harmonization.Sum(), part_gram=tf.zeros([1, 16, 16]))
    with pytest.raises(ValueError, match="`level` should be between 0 and 1"):
        harmonization.Significant(harmonization.MGDA(), level=5)
    with pytest.raises(ValueError, match="should be Harmonizers"):
        harmonization.Significant("mgda")


def test_xla_makes_no_difference():
    rows = planted(-0.3, signal=1.0, steps=1)[0].reshape(-1, WIDTH)
    gram = tf.constant(rows @ rows.T)
    found = harmonization.part_statistics(gram, 2)
    compiled = tf.function(lambda gram: harmonization.part_statistics(gram, 2), jit_compile=True)(gram)
    for key, value in found.items():
        np.testing.assert_allclose(compiled[key], value, rtol=1e-4, atol=1e-6)
