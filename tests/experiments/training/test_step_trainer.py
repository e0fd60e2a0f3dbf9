"""The seed of a step: its own for every run, step and replica."""

import numpy as np
import tensorflow as tf

from experiments.training.step_trainer import step_seed
from vatt import randomness


def draws(strategy, run_seed, step):
    """Where a dropout of one purpose falls, on each replica: bool [replicas, values]."""

    @tf.function(autograph=False)
    def draw():
        keys = randomness.key_table(step_seed(run_seed, step), ["video"], 1)["video"]
        return randomness.dropout(tf.ones([8, 5_000]), 0.3, keys.block(0).hidden)

    found = strategy.experimental_local_results(strategy.run(draw))
    return np.stack([value.numpy().ravel() == 0 for value in found])


def test_runs_steps_and_replicas_draw_independently(mirrored):
    strategy, step = mirrored(2), tf.Variable(0, dtype=tf.int64)
    found = []
    for run_seed in (0, 1, 2**40):
        for number in (0, 1, 2, 2**33):
            step.assign(number)
            found.extend(draws(strategy, run_seed, step))
    correlations = np.corrcoef(np.stack(found))[np.triu_indices(len(found), 1)]
    assert np.abs(correlations).max() < 6 / np.sqrt(found[0].size)


def test_a_step_draws_the_same_again():
    step = tf.Variable(7, dtype=tf.int64)
    strategy = tf.distribute.get_strategy()
    np.testing.assert_array_equal(draws(strategy, 3, step), draws(strategy, 3, step))


def test_the_seed_is_the_same_with_xla():
    step = tf.Variable(7, dtype=tf.int64)
    plain, compiled = (tf.function(lambda: step_seed(3, step), jit_compile=jit)() for jit in (False, True))
    np.testing.assert_array_equal(plain, compiled)
    assert plain.dtype == tf.int64 and plain.shape == [2]
