"""Variables that a model creates ahead of the first step."""

import numpy as np
import pytest
import tensorflow as tf

import vatt
from vatt.keras import keras
from vatt.variables import create_variables


class Doubling(keras.Model):
    """A model of one layer that counts how often it is called, and whether anything was computed."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seed=5))
        self.calls, self.computed = 0, []

    def call(self, inputs):
        """Returns `[batch, 3]` of `[batch, 2]`."""
        self.calls += 1
        self.computed.append(tf.executing_eagerly())
        return 2.0 * self.dense(inputs["numbers"])


SPECS = {"numbers": tf.TensorSpec([None, 2])}


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_call_is_traced_once_and_nothing_is_computed(mirrored, replicas):
    strategy = mirrored(replicas)
    with strategy.scope():
        model = Doubling()
        create_variables(model, SPECS)
    assert (model.calls, model.computed) == (1, [False])
    kernel, bias = model.variables
    assert kernel.shape == (2, 3) and bias.shape == (3,)
    copies = [copy.numpy() for copy in strategy.experimental_local_results(kernel)]
    assert len(copies) == replicas
    for copy in copies:
        np.testing.assert_array_equal(copy, copies[0])
    found = model({"numbers": tf.ones([4, 2])})
    np.testing.assert_allclose(found, np.tile(2 * copies[0].sum(axis=0), [4, 1]), rtol=1e-6)


def test_values_are_those_of_a_first_call(make_model, make_batch):
    ahead = make_model(seed=3, layers=1)
    vatt.set_initial_seed(3)
    called = vatt.VATT.from_config(ahead.get_config())
    assert not called.variables
    called(make_batch(2))
    for one, other in zip(ahead.variables, called.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.name)
