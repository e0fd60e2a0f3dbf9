from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from experiments.benchmarks.gram_comparison import agreement, comparing_step, update_errors
from experiments.pretraining.step import GRAMS, OBJECTIVES, HarmonizedTrainer
from vatt.keras import keras


def test_agreement_counts_the_steps_in_which_both_have_a_cosine():
    cosines = {
        "exact": np.array([0.3, -0.2, 0.1, np.nan, 0.05]),
        "features": np.array([0.2, 0.1, 0.2, 0.4, np.nan]),
    }
    found = agreement(cosines, gamma=0.15)
    assert (
        found["exact"]["same_sign"] == 1
        and found["exact"]["correlation"] == pytest.approx(1)
        and found["exact"]["steps"] == 4
    )
    features = found["features"]
    assert features["steps"] == 3 and features["conflict_rate"] == 0
    assert features["same_sign"] == pytest.approx(2 / 3)  # all but the second
    assert features["same_gate"] == pytest.approx(2 / 3)  # all but the third


def test_an_update_is_compared_by_its_own_length():
    gram = np.array([[[4.0, -1.0], [-1.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])  # of (2, 0) and (-1/2, sqrt(3) / 2)
    exact = np.array([[1.25, 2.0], [1.0, 1.0]])
    found = update_errors(gram, {"exact": exact, "features": np.array([[1.25, 1.0], [1.0, 0.0]])})
    assert found["exact"] == 0
    length = np.sqrt(1.25**2 * 4 - 2 * 1.25 * 2 + 4)
    assert found["features"] == pytest.approx((1 / length + 1 / np.sqrt(2)) / 2)
    assert found["sum"] == pytest.approx(np.sqrt(0.25**2 * 4 - 2 * 0.25 + 1) / length / 2)


@pytest.fixture
def make_trainer(make_model):
    """A function (method, Gram matrix) -> a trainer of the very small model, with SGD."""

    def make(method: str, gram: str = "exact") -> HarmonizedTrainer:
        model, optimizer = make_model(seed=3, layers=2), keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)
        step = tf.Variable(0, trainable=False, dtype=tf.int64)
        return HarmonizedTrainer(model, optimizer, harmonization.get(method), None, step, seed=0, gram=gram)

    return make


@pytest.mark.usefixtures("eager")
def test_a_comparing_step_takes_the_plain_sum_and_measures_as_training_does(make_trainer, make_batch):
    batch, comparing, plain = make_batch(6, seed=1), make_trainer("sum"), make_trainer("sum")
    found = comparing_step(SimpleNamespace(trainer=comparing, model=comparing.model))(batch)
    plain.train_on_batch(batch, tf.constant(0.0))
    for one, other in zip(comparing.model.variables, plain.model.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
    for gram in GRAMS:
        trainer = make_trainer("gr", gram)
        trainer.train_on_batch(batch, tf.constant(0.0))
        log = trainer.log.read()
        assert float(found["cosine"][gram]) == pytest.approx(float(log["cosine"][0]), abs=1e-5), gram
        for weight, name in zip(found["weights"][gram].numpy(), OBJECTIVES, strict=True):
            assert weight == pytest.approx(float(log[f"weight_{name}"][0]), abs=1e-5), gram
