import itertools

import numpy as np
import pytest
import tensorflow as tf

from harmonization.harmonizer import Group
from harmonization.methods.pcgrad import PCGrad, visits

CONFLICTING = np.array([[-4.0, 1, 1], [6, 1, 1]])
THREE = np.random.default_rng(5).normal(size=(3, 2))


def _one_after_the_other(vectors, orders):
    """Algorithm 1, literally."""
    update = np.zeros(vectors.shape[1])
    for vector, order in zip(vectors, orders, strict=True):
        for other in order:
            inner = vector @ vectors[other]
            if inner < 0:
                vector = vector - inner / (vectors[other] @ vectors[other]) * vectors[other]
        update += vector
    return update


def test_golden_value(gram_of):
    weights = PCGrad().weights(gram_of(CONFLICTING)).numpy()
    np.testing.assert_allclose(weights, [2.2222, 1.5789], atol=1e-4)
    np.testing.assert_allclose(weights @ CONFLICTING, [0.5848, 3.8012, 3.8012], atol=1e-4)
    np.testing.assert_allclose(PCGrad("mean").weights(gram_of(CONFLICTING)), weights / 2, rtol=1e-6)


@pytest.mark.parametrize("step", range(4))
def test_follows_the_algorithm_in_the_order_of_the_step(gram_of, step):
    vectors = np.random.default_rng(step).normal(size=(4, 3))
    orders = np.argmax(visits(4, seed=2, step=step).numpy(), axis=2).T
    assert all(sorted([own, *order]) == [0, 1, 2, 3] for own, order in enumerate(orders))
    update = PCGrad(seed=2).weights(gram_of(vectors), step).numpy() @ vectors
    np.testing.assert_allclose(update, _one_after_the_other(vectors, orders), atol=1e-5)


def test_the_order_depends_on_seed_and_step_and_takes_every_value():
    def order(seed, step):
        return tuple(np.argmax(visits(3, seed, step).numpy(), axis=2).ravel())

    assert order(1, 5) == order(1, 5)
    assert len({order(0, step) for step in range(100)}) == 8 == 2**3
    assert any(order(0, step) != order(1, step) for step in range(10))


def test_the_order_is_the_same_under_xla():
    draw = tf.function(lambda step: visits(5, 3, step), jit_compile=True)
    for step in range(3):
        np.testing.assert_array_equal(draw(tf.constant(step)), visits(5, 3, step))


def test_the_order_matters_for_three(gram_of):
    updates = [PCGrad().weights(gram_of(THREE), step).numpy() @ THREE for step in range(30)]
    possible = itertools.product([(1, 2), (2, 1)], [(0, 2), (2, 0)], [(0, 1), (1, 0)])
    expected = [_one_after_the_other(THREE, orders) for orders in possible]
    for update in updates:
        assert min(np.abs(update - one).max() for one in expected) < 1e-5
    assert len({tuple(np.round(update, 4)) for update in updates}) > 1


def test_needs_the_step_for_three_objectives_only(gram_of):
    with pytest.raises(ValueError, match="Found 3 objectives and no step: pass `step`"):
        PCGrad().decide(Group(gram_of(THREE)))
    PCGrad().decide(Group(gram_of(THREE[:2])))
    np.testing.assert_array_equal(PCGrad().weights(gram_of(THREE[:1])), [1.0])


def test_refuses_an_unknown_reduction():
    with pytest.raises(ValueError, match='"sum" or "mean". Found \'max\''):
        PCGrad(reduction="max")
