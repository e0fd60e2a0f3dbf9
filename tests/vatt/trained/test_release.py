"""Checkpoints of the published code, and what the published code computes with them (tests/golden/README.md)."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

import vatt
from vatt.trained.release import published_keys

pytestmark = pytest.mark.slow

GOLDEN = pathlib.Path(__file__).parent.parent.parent / "golden"
COMMON = dict(release_compatible=True, dropout=0.1)
CLIP = dict(frames=8, image_size=32, waveform_samples=1280, vocabulary_size=1000, video_audio_dim=64, video_text_dim=32)
MODELS = {
    "ut_tiny": dict(preset="ut_medium", layers=2, width=64, heads=2, feed_forward=128, feature_dim=256, **CLIP),
    "mbs_tiny": dict(
        preset="mbs", video=vatt.Tower("vit", vatt.Size(2, 64, 2, 128)), audio=vatt.Tower("wat", vatt.Size(2, 48, 2, 96)),
        text=vatt.Tower("t5", vatt.Size(2, 32, 2, 64)), **CLIP,
    ),
    "spt_tiny": dict(preset="spt_base", layers=2, width=48, heads=2, feed_forward=96, waveform_samples=48 * 1024, mel_bands=20),
}  # fmt: skip


@pytest.fixture(scope="module")
def imported():
    """A function (name) -> the golden model of that name, its report, inputs and outputs."""
    made = {}

    def get(name):
        if name not in made:
            model = vatt.VATT(**MODELS[name], **COMMON)
            model.create_variables()
            report = vatt.import_release(source(name), model)
            made[name] = model, report, np.load(GOLDEN / name / "inputs.npz"), np.load(GOLDEN / name / "outputs.npz")
        return made[name]

    return get


def source(name: str) -> str:
    return str(next((GOLDEN / name / "ckpt").glob("*.index")).with_suffix(""))


def close(ours, published, atol=1e-5):
    np.testing.assert_allclose(np.reshape(ours, published.shape), published, atol=atol)


@pytest.mark.parametrize("name", ["ut_tiny", "mbs_tiny"])
def test_outputs_equal_the_published_codes(name, imported):
    model, _, inputs, published = imported(name)
    raw = {"video": inputs["video"], "audio": inputs["audio"][..., 0], "text": inputs["text"]}
    outputs = model({"video": raw["video"], "waveform": raw["audio"], "text": raw["text"].reshape(3, 5, 16)})
    for modality in model.modalities:
        close(outputs["features"][modality], published[f"{modality}.features_pooled"])
        # Tokens are not normalized: 1e-5 of the largest, as other processors add up in another order (1.3e-5 was seen).
        tokens = published[f"{modality}.features"]
        close(model.encode_tokens(modality, raw[modality])[:, 1:], tokens, atol=1e-5 * np.abs(tokens).max())
    close(outputs["video_audio"]["video"], published["embedding.video.toaud"])
    close(outputs["video_audio"]["audio"], published["embedding.audio.tovid"])
    close(outputs["video_text"]["video"], published["embedding.video.totxt"])
    close(outputs["video_text"]["text"], published["embedding.text.tovid"])


def test_spectrogram_tower_equals_the_published_codes(imported):
    model, _, inputs, published = imported("spt_tiny")
    spectrogram = inputs["audio"][..., 0]
    close(model.encode("audio", spectrogram), published["features_pooled"])
    close(model.encode_tokens("audio", spectrogram)[:, 1:], published["features"])


@pytest.mark.parametrize("name", ["ut_tiny", "mbs_tiny"])
def test_loss_and_every_gradient_equal_the_published_codes(name, imported):
    model, _, inputs, _ = imported(name)
    published = json.loads((GOLDEN / name / "loss_and_gradnorms.json").read_text())
    batch = {
        "video": inputs["video"], "waveform": inputs["audio"][..., 0], "text": inputs["text"].reshape(3, 5, 16),
        "has_audio": inputs["audio_mask"] > 0, "has_text": inputs["text_mask"] > 0,
    }  # fmt: skip
    keys = published_keys(model)
    with tf.GradientTape() as tape:
        losses = vatt.losses(model(batch), batch, form="asymmetric_nce")
        loss = (losses["video_audio"] + losses["video_text"]) / 2  # the published code takes the mean
    gradients = tape.gradient(loss, keys, unconnected_gradients="zero")
    norms = {key: tf.norm(tf.convert_to_tensor(gradient)) for key, gradient in gradients.items()}
    np.testing.assert_allclose(loss, published["losses"]["model_loss"], rtol=1e-5)
    assert len(published["grad_l2_norm_by_key"]) == len(model.trainable_variables)
    for key, norm in published["grad_l2_norm_by_key"].items():
        np.testing.assert_allclose(norms[key], norm, rtol=2e-4, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", MODELS)
def test_every_variable_is_accounted_for(name, imported):
    model, report, _, _ = imported(name)
    assert len(report) == len(model.variables) == len({entry["variable"] for entry in report.values()})
    stored = tf.train.load_checkpoint(source(name)).get_variable_to_shape_map()
    weights = {key for key in stored if key.startswith("model/") and "OPTIMIZER_SLOT" not in key}
    assert {f"{key}/.ATTRIBUTES/VARIABLE_VALUE" for key in report} == weights


def test_facts_of_a_checkpoint():
    assert vatt.release_facts(source("ut_tiny")) == (3, 1000)
    assert vatt.release_facts(source("mbs_tiny")) == (3, 1000)
    assert vatt.release_facts(source("spt_tiny")) == (0, None)


def small_model(**changes):
    model = vatt.VATT(**{**MODELS["ut_tiny"], **COMMON, **changes})
    model.create_variables()
    return model


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(layers=1), r"tx/layers/1/mha/q/kernel \[64, 128\] is only in the checkpoint"),
        (dict(layers=3), r"tx/layers/2/mha/q/kernel \[64, 128\] is only in the model"),
        (dict(feed_forward=96), r"wi/kernel is \[64, 128\] in the checkpoint and \[64, 96\] in the model"),
        (dict(normalize_positions=False), r"audio/layernorm/beta \[64\] is only in the checkpoint"),
        (dict(modalities=["video", "audio"]), r"txt_agg_embedding \[64\] is only in the checkpoint"),
        (dict(head="joint"), "The keys of a joint head are unknown"),
        (dict(text=vatt.Tower("bert", vatt.Size(2, 64, 2, 128))), "The keys of a text tower of the kind 'bert'"),
    ],
)
def test_a_model_of_another_shape_is_refused_and_left_alone(changes, message):
    model = small_model(**changes)
    before = model.get_weights()
    with pytest.raises(vatt.ReleaseError, match=message):
        vatt.import_release(source("ut_tiny"), model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_checkpoint_that_is_not_there_is_explained(tmp_path):
    with pytest.raises(vatt.ReleaseError, match="should be a checkpoint without its ending"):
        vatt.import_release(str(tmp_path / "ckpt-1"), small_model())


@pytest.mark.parametrize(
    "change", [lambda index: index[index.find(b"\n") + 1 :], lambda index: index[:9], lambda index: b""]
)
def test_a_damaged_index_is_explained(tmp_path, change):
    checkpoint = pathlib.Path(source("ut_tiny"))
    shutil.copytree(checkpoint.parent, tmp_path, dirs_exist_ok=True)
    index = tmp_path / f"{checkpoint.name}.index"
    index.write_bytes(change(index.read_bytes()))
    with pytest.raises(vatt.ReleaseError, match="should be a checkpoint without its ending"):
        vatt.release_facts(str(index))
