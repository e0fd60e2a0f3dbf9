"""Encoders, fusions and the model that joins them."""

import numpy as np
import pytest
import tensorflow as tf

from data import ClipSpec
from experiments.classifiers.config import Classify
from experiments.classifiers.encoders import ResNet18, Spectrogram, VATTEncoder
from experiments.classifiers.fusion import FUSIONS, Gated
from experiments.classifiers.run import build_model, clip_specs, random_batch
from vatt.keras import keras

CLASSES, SIZE = 3, 4
CLIPS = ClipSpec(frames=2, sparse_seconds=0.1, image_size=32, sample_rate_hz=16000)


def small_vatt(modality, clips):
    return VATTEncoder(
        modality, clips, "ut_tiny", layers=1, width=16, heads=2, feed_forward=32, feature_dim=SIZE, waveform_patch=400
    )


@pytest.fixture
def make_model(small_encoder):
    """A function (method, **options) -> model of that configuration."""
    return lambda method, **options: build_model(
        Classify(method, "a set", encoder=small_encoder, clips=CLIPS, **options), CLASSES
    )


@pytest.fixture
def features():
    random = np.random.default_rng(0)
    return {name: random.normal(size=[5, SIZE]).astype(np.float32) for name in ("audio", "video")}


@pytest.fixture
def fused(features):
    """A function (name) -> a built fusion whose variables are random, biases too, and a function that reads a layer's."""

    def make(name):
        keras.utils.set_random_seed(1)
        fusion = FUSIONS[name](CLASSES)
        for alone in (None, "audio", "video"):
            fusion({key: tf.constant(value) for key, value in features.items()}, alone=alone)
        for variable in fusion.variables:
            variable.assign(tf.random.stateless_normal(variable.shape, [len(variable.name), 3]))
        return fusion

    return make


def read(layer):
    return [weight.numpy() for weight in layer.weights]


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def concatenation(fusion, audio, video, alone, bias_share):
    kernel, bias = read(fusion.output_layer)
    parts = {"audio": audio @ kernel[:SIZE], "video": video @ kernel[SIZE:]}
    return parts[alone] + bias_share * bias if alone else parts["audio"] + parts["video"] + bias


def summation(fusion, audio, video, alone, bias_share):
    logits = {name: {"audio": audio, "video": video}[name] @ k + b for name, (k, b) in
              ((name, read(layer)) for name, layer in fusion.linear.items())}  # fmt: skip
    return logits[alone] if alone else logits["audio"] + logits["video"]


def gated(fusion, audio, video, alone, bias_share):
    kernel, bias = read(fusion.output_layer)
    mapped = {}
    for name, values in (("audio", audio), ("video", video)):
        own_kernel, own_bias = read(fusion.maps[name])
        mapped[name] = values @ own_kernel + own_bias
    gate, value = (mapped[alone], mapped[alone]) if alone else (mapped["audio"], mapped["video"])
    return (sigmoid(gate) * value) @ kernel + (bias_share if alone else 1) * bias


def bilinear(fusion, audio, video, alone, bias_share):
    first, second = {None: (audio, video), "audio": (audio, audio), "video": (video, video)}[alone]
    pairs = np.stack([np.outer(one, other).ravel() for one, other in zip(first, second, strict=True)])
    (hidden, hidden_bias), (kernel, bias) = read(fusion.hidden), read(fusion.output_layer)
    return (pairs @ hidden + hidden_bias) @ kernel + (bias_share if alone else 1) * bias


EQUATIONS = {"concatenation": concatenation, "sum": summation, "gated": gated, "bilinear": bilinear}


@pytest.mark.parametrize("bias_share", [1.0, 0.5])
@pytest.mark.parametrize("alone", [None, "audio", "video"])
@pytest.mark.parametrize("name", FUSIONS)
def test_fusions_follow_their_equations(name, alone, bias_share, fused, features):
    fusion = fused(name)
    found = fusion({key: tf.constant(value) for key, value in features.items()}, alone, bias_share if alone else 1.0)
    expected = EQUATIONS[name](fusion, features["audio"], features["video"], alone, bias_share)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-3)


@pytest.mark.parametrize("name", FUSIONS)
def test_a_modality_alone_hears_nothing_of_the_other(name, fused, features):
    fusion = fused(name)
    for alone, other in (("audio", "video"), ("video", "audio")):
        changed = {**features, other: features[other] + 7.0}
        before, after = (fusion({k: tf.constant(v) for k, v in one.items()}, alone) for one in (features, changed))
        np.testing.assert_array_equal(before, after)


def test_the_maps_before_a_gate_belong_to_the_encoders(make_model):
    model = make_model("dgl", fusion="gated")
    parts = model.parts()
    assert isinstance(model.fusion, Gated) and list(parts) == ["audio", "video", "fusion"]
    assert len(parts["fusion"]) == 2
    for name in ("audio", "video"):
        own = {id(variable) for variable in model.fusion.maps[name].variables}
        assert own <= {id(variable) for variable in parts[name]}
    assert sum(map(len, parts.values())) == len(model.trainable_variables)


@pytest.mark.parametrize("method, names", [
    ("joint", {"audio", "video", "fusion"}),
    ("uniform", {"audio", "video", "fusion", "audio_head", "video_head"}),
    ("unimodal", {"audio", "video", "audio_head", "video_head"}),
])  # fmt: skip
def test_a_model_has_the_parts_that_its_method_needs(method, names, make_model):
    model = make_model(method)
    assert set(model.parts()) == names
    logits = model(random_batch(CLIPS, 5, CLASSES))
    assert {name: value.shape.as_list() for name, value in logits.items()} == dict.fromkeys(
        ("multimodal", "audio", "video"), [5, CLASSES]
    )
    if method == "unimodal":  # the vote of both: their log probabilities' sum
        votes = tf.nn.log_softmax(logits["audio"]) + tf.nn.log_softmax(logits["video"])
        np.testing.assert_allclose(logits["multimodal"], votes, rtol=1e-6)


def test_the_initial_weights_are_a_function_of_the_seed(make_model):
    one, same, other = (make_model("uniform", seed=seed).get_weights() for seed in (1, 1, 2))
    assert all((left == right).all() for left, right in zip(one, same, strict=True))
    assert any((left != right).any() for left, right in zip(one, other, strict=True))


def test_resnet_averages_over_frames_and_space():
    keras.utils.set_random_seed(0)
    encoder = ResNet18("video", CLIPS, depth_multiplier=1 / 16)
    frames = tf.random.stateless_uniform([3, 2, 32, 32, 3], [0, 0], -1, 1)
    features = encoder(frames)
    assert features.shape == [3, 32] and encoder.backbone.count_params() > 10_000
    alone = [encoder(tf.repeat(frames[:, index : index + 1], 2, axis=1)) for index in range(2)]
    np.testing.assert_allclose(features, (alone[0] + alone[1]) / 2, rtol=1e-4, atol=1e-5)
    convolutions = [variable for variable in encoder.trainable_variables if variable.shape.rank == 4]
    assert len(convolutions) == 21 and convolutions[0].shape == [7, 7, 3, 4]  # 17 and four projections


def test_resnet_hears_a_spectrogram_with_one_channel():
    encoder = ResNet18("audio", CLIPS, depth_multiplier=1 / 16, spectrogram=Spectrogram(128, 64))
    assert encoder(tf.zeros([2, CLIPS.waveform_samples])).shape == [2, 32]
    assert encoder.trainable_variables[0].shape == [7, 7, 1, 4]


def test_the_spectrogram_shows_a_tone_where_it_is():
    rate, window = 16_000, 256
    spectrogram = Spectrogram(window, hop_samples=128, floor=1e-3)
    tone = 0.5 * np.sin(2 * np.pi * 2_000 * np.arange(1_600) / rate)[None]
    found = spectrogram(tf.constant(tone, tf.float32)).numpy()
    assert found.shape == (1, 1 + (1_600 - window) // 128, window // 2 + 1)
    assert (found.argmax(axis=-1) == 2_000 * window // rate).all()
    np.testing.assert_allclose(found.max(axis=-1), np.log(0.5 * window / 4), rtol=1e-2)
    np.testing.assert_allclose(spectrogram(tf.zeros([1, 1_600])), np.log(1e-3), rtol=1e-6)


@pytest.mark.parametrize("modality, key", [("audio", "waveform"), ("video", "video")])
def test_vatt_encoders_have_only_what_their_modality_needs(modality, key):
    keras.utils.set_random_seed(0)
    encoder = small_vatt(modality, CLIPS)
    clips = random_batch(CLIPS, 2, CLASSES)[key]
    assert clips.shape[1:] == clip_specs(CLIPS)[key].shape[1:]
    still, dropped, again = encoder(clips), encoder(clips, True, [0, 1]), encoder(clips, True, [0, 1])
    assert still.shape == [2, SIZE]
    np.testing.assert_array_equal(dropped, again)
    assert (dropped.numpy() != still.numpy()).any()
    assert not any("word" in variable.name or "text" in variable.name for variable in encoder.variables)


def test_clips_too_short_for_a_window_are_refused():
    with pytest.raises(ValueError, match="at least one window of audio, 4096 samples. Found 1600"):
        ResNet18("audio", CLIPS, spectrogram=Spectrogram(4096))
    with pytest.raises(ValueError, match="`Spectrogram.hop_samples` should be positive"):
        Spectrogram(hop_samples=0)
    with pytest.raises(ValueError, match="from 1/64 to 64"):
        ResNet18("video", CLIPS, depth_multiplier=0.01)


@pytest.mark.parametrize("replicas", [1, 2])
def test_several_replicas_share_the_statistics_of_the_batch_norms(replicas, mirrored):
    with mirrored(replicas).scope():
        encoder = ResNet18("video", CLIPS, depth_multiplier=1 / 16)
    norms = [layer for layer in encoder.submodules if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 21 and all(layer.synchronized == (replicas > 1) for layer in norms)
