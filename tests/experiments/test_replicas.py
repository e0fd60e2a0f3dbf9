"""The same global batch gives the same weights on 1, 2 and 4 replicas, with every method."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from experiments.pretraining.step import HarmonizedTrainer
from vatt.keras import keras

pytestmark = pytest.mark.slow

BATCH, STEPS = 8, 3
GAMMA = -0.2  # CL and Both take a step that conflicts a little and skip one that conflicts much; asserted below
METHODS = {
    "sum": harmonization.Sum(),
    "reweight": harmonization.Reweight((1.5, 0.5)),
    "gr": harmonization.GradientRealignment(),
    "cl": harmonization.GradientCurriculum(GAMMA),
    "both": harmonization.Both(GAMMA),
}


class Switch(harmonization.Harmonizer):
    """Whichever method a variable names, so that tracing the step once, which takes long, serves all."""

    def __init__(self):
        super().__init__()
        self.chosen = tf.Variable(0, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def decide(self, group):
        decisions = [method.decide(group) for method in METHODS.values()]
        weights = tf.gather(tf.stack([decision.weights for decision in decisions]), self.chosen)
        return harmonization.Decision(weights, tf.gather(tf.stack([d.keep for d in decisions]), self.chosen))


class Rig:
    """A small model that can be trained with every method from the same start, on some replicas."""

    def __init__(self, strategy, make_model, **options):
        self.strategy = strategy
        with strategy.scope():
            model = make_model(seed=7, dropout=0.0, drop_token_rate=0.0)  # meets every case; asserted below
            optimizer = keras.optimizers.SGD(0.001, momentum=0.9)
            optimizer.build(model.trainable_variables)
            step = tf.Variable(
                0, trainable=False, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
            )
            self.switch = Switch()
        self.trainer = HarmonizedTrainer(
            model, optimizer, self.switch, None, step, seed=0, steps_per_loop=STEPS, **options
        )
        self.variables = [*model.variables, *optimizer.variables, step]
        self.start = [variable.numpy() for variable in self.variables]

    def train(self, method: str, batches) -> tuple[list[list[np.ndarray]], dict[str, np.ndarray]]:
        """Trains from the start; returns each variable's copies on the replicas, and the log."""
        for variable, value in zip(self.variables, self.start, strict=True):
            variable.assign(value)
        self.switch.chosen.assign(list(METHODS).index(method))
        self.trainer.train_loop_begin()
        with self.strategy.scope():
            for batch in batches:
                self.trainer.train_on_batch(self.shared_out(batch), tf.constant(0.0))
        copies = [[copy.numpy() for copy in self.strategy.experimental_local_results(v)] for v in self.variables]
        return copies, {name: column.numpy() for name, column in self.trainer.train_loop_end().items()}

    def shared_out(self, batch):
        share = BATCH // self.strategy.num_replicas_in_sync

        def take(name, context):
            start = context.replica_id_in_sync_group * share
            return batch[name][start : start + share]

        if self.strategy.num_replicas_in_sync == 1:
            return batch
        spread = self.strategy.experimental_distribute_values_from_function
        return {name: spread(lambda context, name=name: take(name, context)) for name in batch}


@pytest.fixture(scope="module")
def rigs(quick_graphs):
    return {}


@pytest.fixture
def rig(rigs, mirrored, make_model):
    """A function (replicas, **options of the trainer) -> rig; each is made once."""

    def get(replicas, **options):
        key = (replicas, *options.items())
        if key not in rigs:
            rigs[key] = Rig(mirrored(replicas), make_model, **options)
        return rigs[key]

    return get


@pytest.fixture
def batches(make_batch):
    """Three batches in which clips without sound or text are spread unevenly over the replicas."""
    made = [make_batch(BATCH, seed) for seed in (1, 0, 2)]
    for index, batch in enumerate(made):
        # Clips of noise look alike to the model: the batch norms would divide by almost nothing and amplify rounding.
        level = tf.random.stateless_uniform([2, BATCH, 3], [index, 9], minval=-1, maxval=1)
        batch["video"] = 0.3 * batch["video"] + level[0][:, tf.newaxis, tf.newaxis, tf.newaxis]
        batch["waveform"] = 0.3 * batch["waveform"] + level[1][:, :1]
        batch["has_audio"] = tf.constant([True] * 5 + [index == 1, False, True])
        batch["has_text"] = tf.constant([False, False, index == 2] + [True] * 5)
    return made


def same(found, expected, names=None, tolerance=1e-5):
    """Compares weights, moments, statistics and the named columns of the log, by default all."""
    (copies, log), (alone, expected_log) = found, expected
    for replicas, (value,) in zip(copies, alone, strict=True):
        for copy in replicas:
            np.testing.assert_array_equal(copy, replicas[0])
            np.testing.assert_allclose(copy, value, atol=tolerance, rtol=tolerance)
    assert log.keys() == expected_log.keys()
    for name in names or log:
        near = 1e-3 if name.startswith("layer_") else 2e-4  # a layer's few numbers do not even the rounding out
        np.testing.assert_allclose(log[name], expected_log[name], atol=near, rtol=near, err_msg=name)


@pytest.mark.parametrize("replicas", [2, 4])
@pytest.mark.parametrize("method", METHODS)
def test_weights_do_not_depend_on_the_number_of_replicas(rig, batches, method, replicas):
    alone = rig(1).train(method, batches)
    same(rig(replicas).train(method, batches), alone)
    moved = [np.abs(copies[0] - start).max() for copies, start in zip(alone[0], rig(1).start, strict=True)]
    assert np.median(moved) > 1e-3  # a hundred times the tolerance


def test_the_batches_meet_every_case(rig, batches):
    logs = {method: rig(1).train(method, batches)[1] for method in METHODS}
    assert (logs["gr"]["cosine"] < 0).any() and (logs["gr"]["weight_video_audio"] > 1).any()
    for method in ("cl", "both"):
        assert set(logs[method]["keep"]) == {0.0, 1.0}
        assert (logs[method]["keep"][logs[method]["cosine"] < 0] == 1).any()


def test_harmonizing_before_the_all_reduce(rig, batches):
    before = rig(2, all_reduce="before")
    same(before.train("sum", batches), rig(1).train("sum", batches), ["loss_video_audio", "loss_video_text", "keep"])
    for method in ("gr", "cl", "both"):
        copies, log = before.train(method, batches)
        assert all(np.isfinite(copy).all() for replicas in copies for copy in replicas)
        assert set(log["keep"]) <= {0.0, 0.5, 1.0}
        for replicas in copies:
            np.testing.assert_array_equal(*replicas)
    assert 0.5 in before.train("cl", batches)[1]["keep"]


def test_the_layers_when_each_replica_harmonizes_its_own(rig, batches):
    (_, log), (_, expected) = (each.train("sum", batches) for each in (rig(2, all_reduce="before"), rig(1)))
    cosines = log["layer_cosine"]
    np.testing.assert_array_equal(np.isnan(cosines), np.isnan(expected["layer_cosine"]))
    assert 0 < np.isnan(cosines).mean() < 1 and np.nanmax(np.abs(cosines)) <= 1
    reached = expected["layer_gradient_norm_video_text"] > 0
    np.testing.assert_array_equal(log["layer_gradient_norm_video_text"] > 0, reached)
