"""Labels, mixup, balancing and losses of fine-tuning."""

import math

import numpy as np
import pytest
import tensorflow as tf

from experiments.finetuning.targets import (
    balancing_weights,
    clip_losses,
    is_counted,
    mix,
    one_or_many_hot,
    symmetric_beta,
)


@pytest.mark.parametrize("alpha", [0.75, 1.0, 5.0])
def test_the_shares_have_the_moments_of_their_distribution(alpha):
    shares = symmetric_beta(alpha, tf.constant([3, 4]), [200_000]).numpy().astype(np.float64)
    assert (0 <= shares).all() and (shares <= 1).all()
    deviations = shares - 0.5
    variance = 1 / (4 * (2 * alpha + 1))  # of Beta(a, a)
    kurtosis = 3 - 6 / (2 * alpha + 3)
    assert shares.mean() == pytest.approx(0.5, abs=0.003)
    assert (deviations**2).mean() == pytest.approx(variance, rel=0.02)
    assert (deviations**4).mean() / variance**2 == pytest.approx(kurtosis, rel=0.03)


@pytest.mark.parametrize("compiled", [None, True])
def test_the_shares_are_functions_of_the_seed_also_under_xla(compiled):  # which draws others
    draw = tf.function(lambda seed: symmetric_beta(5.0, seed, [1000]), jit_compile=compiled)
    one, again, other = (draw(tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(one, again)
    assert len({*one.tolist(), *other.tolist()}) > 1990
    assert other.var() == pytest.approx(1 / 44, rel=0.2)


def test_labels_and_what_counts():
    clips = {"label": tf.constant([2, -1, 0]), "has_audio": tf.constant([True, True, False])}
    labels = one_or_many_hot(clips, 3, multi_label=False)
    np.testing.assert_array_equal(labels, [[0, 0, 1], [0, 0, 0], [1, 0, 0]])
    assert is_counted(clips, labels, "video").numpy().tolist() == [True, False, True]
    assert is_counted(clips, labels, "audio").numpy().tolist() == [True, False, False]
    many = tf.constant([[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    assert one_or_many_hot({**clips, "labels": many}, 2, multi_label=True) is many


def test_a_clip_and_its_labels_are_mixed_with_the_one_before():
    raw, labels = tf.eye(4)[:, :, None] * tf.ones([4, 4, 3]), tf.eye(4)
    mixed, soft = mix(raw, labels, tf.ones([4], tf.bool), 5.0, tf.constant([1, 2]))
    shares = symmetric_beta(5.0, tf.constant([1, 2]), [4]).numpy()
    assert len(set(shares)) == 4
    expected = np.diag(shares) + np.roll(np.diag(1 - shares), -1, axis=1)
    np.testing.assert_allclose(soft, expected, rtol=1e-6)
    np.testing.assert_allclose(mixed, np.repeat(expected[:, :, None], 3, axis=2), rtol=1e-6)


def test_nothing_is_mixed_with_a_clip_that_does_not_count():
    counted = tf.constant([True, True, False, True])
    _, soft = mix(tf.ones([4, 2]), tf.eye(4), counted, 5.0, tf.constant([1, 2]))
    changed = [not np.array_equal(row, own) for row, own in zip(soft.numpy(), np.eye(4), strict=True)]
    assert changed == [True, True, False, False]
    alone, _ = mix(tf.constant([[2.0, 3.0]]), tf.ones([1, 1]), tf.constant([True]), 5.0, tf.constant([1, 2]))
    np.testing.assert_allclose(alone, [[2.0, 3.0]], rtol=1e-6)


def test_rare_labels_weigh_more():
    # Counts by hand: 3, 1, 1. The second clip has a frequent and a rare label: (1/3 + 1) / 2.
    labels = tf.constant([[1.0, 0, 0], [1.0, 1, 0], [1.0, 0, 1], [0.0, 0, 0]])
    np.testing.assert_allclose(balancing_weights(labels), [1 / 3, 2 / 3, 2 / 3, 0], rtol=1e-6)


@pytest.mark.parametrize("replicas", [1, 2])
def test_labels_are_counted_over_all_replicas(replicas, mirrored):
    labels = tf.constant([[1.0, 0], [1.0, 0], [0.0, 1], [1.0, 0]])
    strategy = mirrored(replicas)

    def share(context):
        size = 4 // replicas
        return labels[context.replica_id_in_sync_group * size :][:size]

    spread = strategy.experimental_distribute_values_from_function(share)
    weights = strategy.run(tf.function(balancing_weights, autograph=False), args=(spread,))
    found = np.concatenate([value.numpy() for value in strategy.experimental_local_results(weights)])
    np.testing.assert_allclose(found, [1 / 3, 1 / 3, 1, 1 / 3], rtol=1e-6)


def test_losses_by_hand():
    logits = tf.math.log([[1.0, 3.0]])  # probabilities 1/4 and 3/4
    single = clip_losses(logits, tf.constant([[0.0, 1.0]]), multi_label=False)
    assert float(single[0]) == pytest.approx(math.log(4 / 3), rel=1e-6)
    smoothed = clip_losses(logits, tf.constant([[0.0, 1.0]]), multi_label=False, smoothing=0.1)
    assert float(smoothed[0]) == pytest.approx(0.95 * math.log(4 / 3) + 0.05 * math.log(4), rel=1e-6)
    # Sigmoids: 1/2 and 3/4; the first class is absent, the second is there.
    many = clip_losses(logits, tf.constant([[0.0, 1.0]]), multi_label=True, smoothing=0.1)
    assert float(many[0]) == pytest.approx(math.log(2) + math.log(4 / 3), rel=1e-6)
