import numpy as np
import pytest

from experiments.inference.linear_probe import linear_probe


def blobs(clips, classes, seed, spread=0.1):
    """Points around the classes' own directions, in features of very unlike scale."""
    generator = np.random.default_rng(seed)
    labels = np.arange(clips) % classes
    points = np.eye(classes)[labels] + spread * generator.normal(size=(clips, classes))
    return points * np.logspace(-3, 3, classes), labels


def test_separable_classes_are_told_apart():
    train, test = blobs(60, 4, seed=0), blobs(41, 4, seed=1)
    found = linear_probe(*train, *test)
    assert found == {"top1": 1.0, "chance": 11 / 41, "classes": 4, "train_clips": 60, "test_clips": 41}


def test_labels_that_mean_nothing_give_no_more_than_chance():
    generator = np.random.default_rng(0)
    features, labels = generator.normal(size=(400, 4)), generator.integers(0, 4, 400)
    found = linear_probe(features[:200], labels[:200], features[200:], labels[200:])
    assert found["top1"] == pytest.approx(0.25, abs=0.1)


def test_clips_without_a_class_are_left_out():
    (train, train_labels), (test, test_labels) = blobs(40, 3, seed=0), blobs(30, 3, seed=1)
    for features, labels in ((train, train_labels), (test, test_labels)):
        features[::5], labels[::5] = np.nan, -1  # scikit-learn would refuse them
    found = linear_probe(train, train_labels, test, test_labels)
    assert (found["train_clips"], found["test_clips"], found["top1"]) == (32, 24, 1.0)


def test_a_class_that_was_never_seen_counts_as_wrong():
    train, (test, labels) = blobs(40, 3, seed=0), blobs(30, 3, seed=1)
    labels = np.where(labels == 2, 7, labels)
    assert linear_probe(*train, test, labels)["top1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("train_labels", "test_labels"), [([0, 0, -1], [0, 1, 1]), ([0, 1, 1], [-1, -1, -1])])
def test_nothing_to_learn_or_to_test(train_labels, test_labels):
    features = np.ones((3, 2))
    assert linear_probe(features, np.array(train_labels), features, np.array(test_labels)) is None
