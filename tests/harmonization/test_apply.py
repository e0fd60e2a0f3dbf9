import numpy as np
import pytest
import tensorflow as tf

import harmonization
from vatt.keras import keras

pytestmark = pytest.mark.slow

START = ([[1.0, -2.0], [0.5, 3.0]], [0.25, -1.0, 2.0])
GRADIENTS = ([[0.3, -0.1], [0.0, 1.5]], [-2.0, 0.7, 0.01])


def _schedule():
    return keras.optimizers.schedules.CosineDecay(0.1, 10)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(_schedule(), momentum=0.9, weight_decay=0.05),
    "adam": lambda: keras.optimizers.Adam(_schedule(), weight_decay=0.05, global_clipnorm=0.5),
    "averaged": lambda: keras.optimizers.Adam(0.1, use_ema=True, ema_overwrite_frequency=2),
}
STRATEGIES = {
    "none": tf.distribute.get_strategy,
    "one device": lambda: tf.distribute.OneDeviceStrategy("CPU:1"),
    "mirrored 1": lambda: tf.distribute.MirroredStrategy(["CPU:0"]),
    "mirrored 2": lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
    "mirrored 4": lambda: tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(4)]),
    "multi worker": tf.distribute.MultiWorkerMirroredStrategy,
}
# The name of a strategy, and whether its step is run eagerly, as a graph, or compiled by XLA.
WAYS = [(name, "graph") for name in STRATEGIES]
WAYS += [("none", "eager"), ("none", "xla"), ("mirrored 2", "eager")]


class Training:
    """Two variables, an optimizer, and a step that may be gated; `apply` says how it is applied."""

    def __init__(self, strategy: str, optimizer: str, mode: str, apply):
        self.strategy = STRATEGIES[strategy]()
        with self.strategy.scope():
            self.variables = [tf.Variable(start) for start in START]
            self.optimizer = OPTIMIZERS[optimizer]()
            self.optimizer.build(self.variables)
        self._apply = apply
        self.step = self._run
        if mode != "eager":
            self.step = tf.function(self._run, jit_compile=mode == "xla" or None)

    def _run(self, keep, factor):
        def on_replica(keep, factor):
            gradients = [factor * tf.constant(gradient) for gradient in GRADIENTS]
            self._apply(keep, self.optimizer, gradients, self.variables)

        self.strategy.run(on_replica, args=(keep, factor))

    def state(self) -> list[np.ndarray]:
        """Every weight, moment, average and counter on every replica."""
        tracked = [*self.variables, *self.optimizer.variables]
        copies = self.strategy.experimental_local_results
        return [np.array(copy) for variable in tracked for copy in copies(variable)]


def _always(keep, optimizer, gradients, variables):
    del keep
    pairs = zip(gradients, variables, strict=True)
    optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)


def _same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_applies_what_is_kept_and_nothing_else(way, optimizer):
    strategy, mode = way
    gated = Training(strategy, optimizer, mode, harmonization.apply_if)
    plain = Training(strategy, optimizer, mode, _always)
    yes, no = tf.constant(True), tf.constant(False)
    for step in range(4):
        before = gated.state()
        gated.step(no, tf.constant(7.0))
        assert _same(gated.state(), before)
        gated.step(yes, tf.constant(1.0 + step))
        plain.step(yes, tf.constant(1.0 + step))
        if mode == "xla":  # which fuses a branch in its own way, and so rounds in its own way
            for got, expected in zip(gated.state(), plain.state(), strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8)
        else:
            assert _same(gated.state(), plain.state())
        assert not _same(gated.state(), before)
    assert gated.optimizer.iterations == 4


@pytest.mark.parametrize("strategy", ["none", "mirrored 2"])
def test_leaves_variables_without_gradient_alone(strategy):
    def apply(keep, optimizer, gradients, variables):
        harmonization.apply_if(keep, optimizer, [gradients[0], None], variables)

    training = Training(strategy, "sgd", "graph", apply)
    training.step(tf.constant(True), tf.constant(1.0))
    assert np.all(training.variables[0].numpy() != START[0])
    np.testing.assert_array_equal(training.variables[1], START[1])


def test_is_a_branch_and_no_selection_over_the_weights():
    training = Training("none", "adam", "graph", harmonization.apply_if)
    graph = training.step.get_concrete_function(tf.constant(True), tf.constant(1.0)).graph
    types = {operation.type for operation in graph.get_operations()}
    assert types & {"If", "StatelessIf"}
    assert not types & {"Select", "SelectV2", "ReadVariableOp", "AssignVariableOp"}


def test_refuses_lists_of_unequal_length():
    variables = [tf.Variable(1.0), tf.Variable(2.0)]
    with pytest.raises(ValueError):
        harmonization.apply_if(True, keras.optimizers.SGD(), [tf.constant(1.0)], variables)
