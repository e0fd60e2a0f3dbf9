"""The stand-in for the replica context, lowered by the CPU bridge."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from experiments.tpu_compiling.replica_context import one_of


def program_of(function, *specs) -> str:
    """What XLA makes of a function, before it optimizes."""
    return tf.function(function, jit_compile=True, autograph=False).experimental_get_compiler_ir(*specs)(stage="hlo")


VALUES = tf.TensorSpec([2, 3])


def test_whoever_asks_is_told_of_all_replicas():
    real = tf.distribute.get_replica_context
    with one_of(8) as replica:
        assert tf.distribute.get_replica_context() is replica and replica.num_replicas_in_sync == 8
    assert tf.distribute.get_replica_context is real and tf.distribute.get_replica_context().num_replicas_in_sync == 1


def test_the_real_context_comes_back_after_an_error():
    real = tf.distribute.get_replica_context
    with pytest.raises(ZeroDivisionError), one_of(8):
        1 / 0  # noqa: B018
    assert tf.distribute.get_replica_context is real


def test_sums_over_replicas_become_collectives():
    with one_of(4):
        text = program_of(lambda values: harmonization.sum_over_replicas({"a": values, "b": None, "c": values}), VALUES)
    assert text.count("all-reduce(") == 2 and "replica_groups={{0,1,2,3}}" in text


def test_a_gather_puts_every_replicas_rows_in_their_place():
    with one_of(4) as replica:
        text = program_of(lambda values: replica.all_gather(values, axis=0), VALUES)
    assert "replica-id()" in text and "f32[8,3]" in text and "dynamic-update-slice(" in text


@pytest.mark.parametrize("collective", ["all_gather", "all_reduce"])
def test_gradients_pass_through_a_collective(collective):
    """Each replica's gradient is the sum of what all replicas ask of its value: one more collective."""

    def gradient(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            shared = (
                replica.all_gather(values, axis=0) if collective == "all_gather" else replica.all_reduce("SUM", values)
            )
            loss = tf.reduce_sum(tf.square(shared))
        return tape.gradient(loss, values)

    with one_of(4) as replica:
        text = program_of(gradient, VALUES)
    assert text.count("all-reduce(") == 2


def test_alone_it_changes_nothing():
    """One replica of one, which the CPU can run."""

    def run(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            gathered = replica.all_gather(values, axis=0)
            loss = tf.reduce_sum(gathered**2) + tf.reduce_sum(replica.all_reduce(tf.distribute.ReduceOp.MEAN, values))
        return gathered, tape.gradient(loss, values)

    values = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with one_of(1) as replica:
        gathered, gradient = tf.function(run, jit_compile=True, autograph=False)(values)
    np.testing.assert_allclose(gathered, values)
    np.testing.assert_allclose(gradient, 2 * values + 1)


def test_other_axes_are_refused():
    with one_of(2) as replica, pytest.raises(NotImplementedError, match="axis 1"):
        replica.all_gather(tf.zeros([2, 2]), axis=1)
