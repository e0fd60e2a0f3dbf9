import numpy as np
import pytest
import tensorflow as tf
from sklearn.svm import LinearSVC

from experiments.evaluation import feature_classifiers as downstream_classifiers
from experiments.evaluation.feature_classifiers import BATCH, L2, LEARNING_RATE, RANK, LowRankClassifier, svm_scores
from vatt.keras import keras


def blobs(clips, classes, seed, dim=12, spread=0.3):
    generator = np.random.default_rng(seed)
    labels = np.arange(clips) % classes
    centers = np.random.default_rng(99).normal(size=(classes, dim))
    return (centers[labels] + spread * generator.normal(size=(clips, dim))).astype(np.float32), labels


@pytest.fixture(scope="module")
def classifier() -> LowRankClassifier:
    """One for all tests, trained from scratch in each."""
    return LowRankClassifier(dim=12, classes=4, seed=1)


def published_scores(weights, features, labels, tested, epochs):
    """Trains the published code's classifier from given weights; without dropout, which draws otherwise."""
    regularizer = keras.regularizers.L2(L2)
    model = keras.Sequential(
        [keras.layers.Dense(RANK), keras.layers.Dense(4, "softmax", kernel_regularizer=regularizer)]
    )
    model.build([None, 12])
    model.set_weights(weights)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), keras.losses.CategoricalCrossentropy(), run_eagerly=True)
    model.fit(features, np.eye(4)[labels], batch_size=BATCH, epochs=epochs, verbose=0)
    return model(tested).numpy()


def test_it_is_the_published_classifier_but_for_its_draws(monkeypatch):
    monkeypatch.setattr(downstream_classifiers, "DROPOUT", 0.0)
    # All clips in one batch, so that their order does not matter.
    (features, labels), (tested, _) = blobs(40, 4, seed=0), blobs(7, 4, seed=1)
    classifier = LowRankClassifier(dim=12, classes=4, seed=5)
    classifier.fit(features, labels, epochs=0, title="")
    weights = [value for layer in classifier._layers for value in layer.get_weights()]
    assert weights[0].std() == pytest.approx(np.sqrt(2 / (12 + RANK)), rel=0.1)  # Glorot, normal
    classifier.fit(features, labels, epochs=25, title="")
    expected = published_scores(weights, features, labels, tested, epochs=25)
    np.testing.assert_allclose(classifier.scores(tested), expected, atol=1e-5)
    assert np.abs(expected - 0.25).max() > 0.1


def test_it_learns_anew_and_never_asks_the_global_seed(classifier):
    (features, labels), (tested, _) = blobs(100, 4, seed=0), blobs(9, 4, seed=1)
    found = []
    for seed, shown in ((0, features), (3, -features), (7, features)):
        tf.random.set_seed(seed)
        classifier.fit(shown, labels, epochs=3, title="")
        found.append(classifier.scores(tested))
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 1e-3
    np.testing.assert_allclose(found[0].sum(axis=1), 1.0, atol=1e-5)


def test_every_clip_is_learned_from_also_those_of_a_last_small_batch(classifier, monkeypatch):
    """Of 65 clips the second batch holds one; each epoch another one."""
    seen, keys = [], []
    monkeypatch.setattr(
        classifier, "_step", lambda features, labels, key: seen.append(labels.numpy().tolist()) or keys.append(key)
    )
    monkeypatch.setattr(classifier, "_train_epoch", classifier._epoch)
    features, _ = blobs(BATCH + 1, 4, seed=0)
    classifier.fit(features, np.arange(BATCH + 1), epochs=2, title="")
    assert [len(rows) for rows in seen] == [BATCH, 1] * 2
    assert sorted(seen[0] + seen[1]) == sorted(seen[2] + seen[3]) == list(range(BATCH + 1))
    assert seen[0] != seen[2] and len({tuple(key.numpy()) for key in keys}) == 4


def test_what_can_be_told_apart_is_despite_the_dropout(classifier):
    (features, labels), (tested, answers) = blobs(120, 4, seed=0), blobs(60, 4, seed=1)
    classifier.fit(features, labels, epochs=60, title="")
    assert (classifier.scores(tested).argmax(axis=1) == answers).mean() > 0.95


@pytest.mark.parametrize("classes", [2, 5])
def test_the_machines_are_those_of_scikit_learn(classes):
    (features, labels), (tested, _) = blobs(60, classes, seed=0), blobs(11, classes, seed=1)
    scores = svm_scores(features, labels, tested, classes, seed=1)
    direct = LinearSVC(C=6e-5, random_state=1).fit(features, labels)
    assert scores.shape == (11, classes)
    assert scores.argmax(axis=1).tolist() == direct.predict(tested).tolist()
    np.testing.assert_array_equal(scores[:, 1:], direct.decision_function(tested).reshape(11, -1)[:, -(classes - 1) :])


def test_a_class_that_was_never_seen_is_the_last_answer():
    (features, labels), (tested, _) = blobs(60, 3, seed=0), blobs(11, 3, seed=1)
    scores = svm_scores(features, 2 * labels, tested, 6, seed=1)
    assert np.isfinite(scores[:, [0, 2, 4]]).all() and (scores[:, [1, 3, 5]] == -np.inf).all()
