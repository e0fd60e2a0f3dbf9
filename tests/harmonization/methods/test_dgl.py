import numpy as np
import pytest
import tensorflow as tf

from harmonization.harmonize import harmonize
from harmonization.harmonizer import Group
from harmonization.methods.dgl import DGL
from vatt.keras import keras

ALPHA, CLASSES, FEATURES = 3.0, 4, 5


class TwoEncoders:
    """Audio and video encoders of two layers, and a late fusion as in the source's program."""

    def __init__(self, kind: str):
        keras.utils.set_random_seed(0)
        self.kind = kind
        self.encoders = {name: self._encoder(width) for name, width in (("audio", 6), ("video", 7))}
        names = {"concat": ["out"], "sum": ["audio", "video"], "gated": ["audio", "video", "out"]}[kind]
        self.layers = {name: self._dense(name) for name in names}

    def _encoder(self, width):
        layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(FEATURES, bias_initializer="normal")]
        return keras.Sequential([keras.Input([width]), *layers])

    def _dense(self, name):
        units = FEATURES if self.kind == "gated" and name != "out" else CLASSES
        width = 2 * FEATURES if self.kind == "concat" else FEATURES
        layer = keras.layers.Dense(units, bias_initializer="normal")
        layer.build([None, width])
        return layer

    def fuse(self, audio, video):
        """The logits; `None` is a removed modality."""
        if self.kind == "concat":
            zeros = tf.zeros_like(video if audio is None else audio)
            parts = [zeros if one is None else one for one in (audio, video)]
            return self.layers["out"](tf.concat(parts, axis=-1))
        own = [
            None if features is None else self.layers[name](features)
            for name, features in (("audio", audio), ("video", video))
        ]
        present = [features for features in own if features is not None]
        if self.kind == "sum":
            return tf.add_n(present)
        return self.layers["out"](tf.sigmoid(present[0]) * present[-1])

    def variables(self):
        groups = {name: encoder.trainable_variables for name, encoder in self.encoders.items()}
        groups["fusion"] = [variable for layer in self.layers.values() for variable in layer.trainable_variables]
        return groups


def _loss(logits, labels):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _batch():
    inputs = {name: tf.random.stateless_normal([6, width], [1, width]) for name, width in (("audio", 6), ("video", 7))}
    return inputs, tf.constant([0, 1, 2, 3, 0, 1])


def _two_tapes(model):
    """The source's procedure: one backward pass through stopped features, one without the fusion."""
    inputs, labels = _batch()
    groups = model.variables()
    encoder_variables = groups["audio"] + groups["video"]
    with tf.GradientTape() as tape:
        audio, video = (model.encoders[name](inputs[name]) for name in ("audio", "video"))
        fused = model.fuse(tf.stop_gradient(audio), tf.stop_gradient(video))
        loss = _loss(fused, labels)
    fusion = tape.gradient(loss, groups["fusion"])
    with tf.GradientTape() as tape:
        audio, video = (model.encoders[name](inputs[name]) for name in ("audio", "video"))
        alone = _loss(model.fuse(audio, None), labels) + _loss(model.fuse(None, video), labels)
        loss = ALPHA * alone
    return tape.gradient(loss, encoder_variables) + fusion


def _harmonized(model, jit_compile=False):
    inputs, labels = _batch()
    members = model.variables()
    variables = [variable for group in members.values() for variable in group]
    places = {variable.ref(): index for index, variable in enumerate(variables)}
    groups = {name: [places[variable.ref()] for variable in group] for name, group in members.items()}
    method = DGL(alpha=ALPHA)

    @tf.function(jit_compile=jit_compile)
    def step():
        with tf.GradientTape(persistent=True) as tape:
            audio, video = (model.encoders[name](inputs[name]) for name in ("audio", "video"))
            views = [(audio, video), (audio, None), (None, video)]
            losses = [_loss(model.fuse(*view), labels) for view in views]
        gradients = [tape.gradient(loss, variables) for loss in losses]
        return harmonize(gradients, method, groups=groups)

    return step()


@pytest.mark.parametrize(
    ("kind", "jit_compile"), [("concat", False), ("sum", False), ("gated", False), ("gated", True)]
)
def test_equals_two_separate_tapes(kind, jit_compile):
    model = TwoEncoders(kind)
    update, report = _harmonized(model, jit_compile)
    expected = _two_tapes(model)
    assert len(expected) == len(update) and all(np.any(tensor) for tensor in expected)
    for ours, theirs in zip(update, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(report["weights"], [[0, ALPHA, 0], [0, 0, ALPHA], [1, 0, 0]])


def test_weights_do_not_look_at_the_gradients():
    for scale in (0.0, 1e-20, 1e30):
        for name, expected in (("fusion", [0, 1, 0]), ("audio", [2.5, 0, 2.5])):
            group = Group(scale * tf.ones([3, 3]), name=name)
            np.testing.assert_array_equal(DGL(multimodal=1, alpha=2.5).decide(group).weights, expected)


def test_several_groups_may_be_the_fusion(random_gradients, flat):
    gradients = random_gradients(seed=0, objectives=2)
    groups = {"gate": [0], "encoder": [1], "out": [2]}
    update, _ = harmonize(gradients, DGL(multimodal=1, fusion=["gate", "out"], alpha=2.0), groups=groups)
    expected = [gradients[1][0], 2 * gradients[0][1], gradients[1][2]]
    np.testing.assert_array_equal(flat(update), flat(expected))


def test_says_what_is_wrong_with_the_groups(random_gradients):
    gradients = random_gradients(seed=0)
    with pytest.raises(ValueError, match="are encoder. Found fusion, gate. Pass `groups="):
        harmonize(gradients, DGL(fusion=("fusion", "gate")), groups={"encoder": [0]})
    with pytest.raises(ValueError, match="which are all. Found fusion"):
        harmonize(gradients, DGL())
    with pytest.raises(ValueError, match="below the number of objectives, 2. Found 2"):
        harmonize(gradients, DGL(multimodal=2), groups={"fusion": [0]})


def test_refuses_a_group_that_nothing_would_train(random_gradients):
    gradients, groups = random_gradients(seed=0), {"fusion": [0], "head": [1]}
    gradients[1][1] = None
    with pytest.raises(ValueError, match=r"Group 'head' should be reached by a unimodal.*Found objectives \(0,\)"):
        harmonize(gradients, DGL(), groups=groups)
    gradients[0][0] = None
    with pytest.raises(ValueError, match="Group 'fusion' should be reached by the multimodal objective"):
        harmonize(gradients, DGL(), groups=groups)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"multimodal": -1}, "`multimodal` should be the index"),
        ({"multimodal": 0.5}, "`multimodal` should be the index"),
        ({"alpha": 0}, "`alpha` should be a finite number > 0"),
        ({"alpha": float("nan")}, "`alpha` should be a finite number > 0"),
        ({"fusion": ()}, "`fusion` should name at least one group"),
    ],
)
def test_refuses_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        DGL(**options)
