"""Every trainable variable of the model has its place between input and output."""

import itertools

import pytest

from experiments.pretraining.layers import layers_of


@pytest.mark.parametrize("options", [{}, dict(layers=2, normalize_positions=True), dict(frozen_words=True)], ids=str)
def test_every_variable_is_in_one_layer(make_model, options):
    model = make_model(**options)
    variables = model.trainable_variables
    layers = layers_of(model, variables)
    assert sorted(itertools.chain(*layers.values())) == list(range(len(variables)))
    blocks = [f"block_{index}" for index in range(options.get("layers", 1))]
    assert list(layers) == [
        "video_patches", "video_positions", "audio_patches", "audio_positions", "text_words", "text_positions",
        *blocks, "encoder_norm", "video_features", "audio_features", "text_features",
        "head_video_hidden", "head_video_to_audio", "head_video_to_text", "head_audio_to_video", "head_text_to_video",
    ]  # fmt: skip


def test_the_names_are_those_of_the_parts(make_model):
    model = make_model()
    variables = model.trainable_variables
    found = {
        name: {variables[index].name for index in indices} for name, indices in layers_of(model, variables).items()
    }
    for name, part in (
        ("block_0", "/block_0/"), ("audio_positions", "/audio_embedding/axial_positions"), ("text_features", "/text_features/")
    ):  # fmt: skip
        assert all(part in variable for variable in found[name])
    assert any("/word_vectors/" in variable for variable in found["text_words"])
    assert any("/video_patches/" in variable for variable in found["video_patches"])
    assert any("/aggregation" in variable for variable in found["video_patches"])


def test_the_places_follow_the_order_of_the_variables(make_model):
    model = make_model()
    variables = model.trainable_variables
    layers, turned = layers_of(model, variables), layers_of(model, variables[::-1])
    last = len(variables) - 1
    assert {name: sorted(last - index for index in indices) for name, indices in turned.items()} == layers
