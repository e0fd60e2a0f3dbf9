import dataclasses
import inspect
import json
import typing

import numpy as np
import pytest
import tensorflow as tf

import vatt
from vatt.keras import keras
from vatt.options import ModelOptions

SEED = tf.constant([1, 2])


def test_outputs_have_the_documented_shapes_and_are_float32(make_model, make_batch):
    outputs = make_model()(make_batch(2))
    shapes = {group: {name: tuple(v.shape) for name, v in members.items()} for group, members in outputs.items()}
    assert shapes == {
        "features": {"video": (2, 16), "audio": (2, 16), "text": (2, 3, 16)},
        "video_audio": {"video": (2, 12), "audio": (2, 12)},
        "video_text": {"video": (2, 8), "text": (2, 3, 8)},
    }
    assert {v.dtype for v in tf.nest.flatten(outputs)} == {tf.float32}


def test_each_modality_can_come_alone_and_gives_the_same(make_model, make_batch):
    model, batch = make_model(), make_batch(2)
    together = model(batch)
    for name, key in (("video", "video"), ("audio", "waveform"), ("text", "text")):
        alone = model({key: batch[key]})
        np.testing.assert_allclose(alone["features"][name], together["features"][name], atol=1e-6)
        assert set(alone["features"]) == {name}


def test_padding_words_do_not_matter(make_model):
    model = make_model()
    caption = model({"text": tf.constant([[[7, 8, 0, 0, 0, 0]]])})["features"]["text"]
    other = model({"text": tf.constant([[[7, 8, 9, 0, 0, 0]]])})["features"]["text"]
    table = model.embeddings["text"].pieces.embeddings
    table.assign(tf.tensor_scatter_nd_update(table, [[0]], [tf.fill([8], 5.0)]))
    again = model({"text": tf.constant([[[7, 8, 0, 0, 0, 0]]])})["features"]["text"]
    np.testing.assert_allclose(caption, again, atol=1e-6)
    assert np.abs(caption - other).max() > 1e-4


def test_random_draws_are_functions_of_the_seed(make_model, make_batch):
    model, batch = make_model(), make_batch(4)
    video = lambda seed: model(batch, training=True, seed=seed)["features"]["video"].numpy()  # noqa: E731
    np.testing.assert_array_equal(video(SEED), video(SEED))
    assert np.abs(video(SEED) - video(SEED + 1)).max() > 1e-3


def test_initial_weights_are_a_function_of_the_seed(make_model):
    first, again, other = (make_model(seed).get_weights() for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(first, other, strict=True))


def test_position_tables_of_different_axes_differ(make_model):
    time, height, width = make_model().embeddings["video"].positions.tables
    assert np.abs(height - width).max() > 1e-3


def test_token_counts_of_the_published_medium_model():
    model = vatt.VATT("ut_medium")
    assert model.token_counts(training=False) == {"video": 1569, "audio": 1201, "text": 17}
    assert model.token_counts(training=True) == {"video": 785, "audio": 601, "text": 17}


def test_token_counts_of_other_towers():
    model = vatt.VATT("mbs", audio="spt_base", text="linear")
    assert model.token_counts(training=True) == {"video": 785, "audio": 145, "text": 16}


@pytest.mark.parametrize("seed", [None, SEED])
def test_model_is_equal_with_and_without_xla(make_model, make_batch, seed):
    model, batch = make_model(), make_batch(2)
    step = lambda: model(batch, training=True, seed=seed)["video_text"]["text"]  # noqa: E731
    plain = tf.function(step, autograph=False)()
    compiled = tf.function(step, autograph=False, jit_compile=True)()
    np.testing.assert_allclose(plain, compiled, rtol=1e-3, atol=1e-4)


def test_a_modality_alone_is_drawn_as_in_a_whole_call(make_model, make_batch):
    model, batch = make_model(), make_batch(4)
    together = model(batch, training=True, seed=SEED)["features"]
    for name, key in vatt.MODALITIES.items():
        np.testing.assert_allclose(model.encode(name, batch[key], SEED), together[name], atol=1e-6)


@pytest.mark.parametrize("options", [{}, dict(preset="mbs", video="vit_tiny", audio="wat_tiny", text="t5_tiny")])
def test_draws_of_a_step_do_not_grow_with_anything_but_dropouts(make_model, make_batch, options):
    """A draw per dropout and per DropToken, and one for the keys of all."""
    batch = make_batch(2)
    for layers in (1, 3):
        model = make_model(layers=layers, drop_token_rate=0.5, **options)
        call = tf.function(lambda seed, model=model: model(batch, training=True, seed=seed), autograph=False)
        names = [op.type for op in call.get_concrete_function(SEED).graph.get_operations() if "Random" in op.type]
        dropouts = len(vatt.MODALITIES) * (2 + 4 * layers)
        assert names == ["StatelessRandomUniformFullIntV2"] * (3 + dropouts)


def test_a_model_without_dropout_draws_for_drop_token_alone(make_model, make_batch):
    model, batch = make_model(layers=3, dropout=0.0, drop_token_rate=0.5), make_batch(2)
    call = tf.function(lambda seed: model(batch, training=True, seed=seed), autograph=False)
    assert sum("Random" in op.type for op in call.get_concrete_function(SEED).graph.get_operations()) == 3


TOWERS = {
    "shared": {},
    "one block": dict(layers=1),
    "recomputed": dict(recompute=True),
    "t5": dict(preset="mbs", video="vit_tiny", audio="wat_tiny", text="t5_tiny"),
    "bert": dict(preset="mbs", video="vit_tiny", audio="wat_tiny", text="bert_tiny"),
    "linear": dict(preset="mbs", video="vit_tiny", audio="wat_tiny", text="linear"),
}


@pytest.mark.parametrize("name", TOWERS)
def test_pooled_features_are_the_first_of_all_tokens(make_model, make_batch, name):
    """So are the gradients, although the last block computes the AGG token alone."""
    model, batch = make_model(**TOWERS[name]), make_batch(3)
    batch["text"] *= tf.sequence_mask([2, 6, 4], 6, tf.int32)[:, tf.newaxis]
    for modality, key in vatt.MODALITIES.items():
        raw = tf.reshape(batch[key], [-1, 6]) if modality == "text" else batch[key]
        with tf.GradientTape(persistent=True) as tape:
            whole = model.encode_tokens(modality, raw)[:, 0]
            pooled = model.encode(modality, batch[key])
            losses = [tf.reduce_mean(tf.sin(3 * value)) for value in (whole, pooled)]
        np.testing.assert_allclose(tf.reshape(pooled, whole.shape), whole, atol=1e-6)
        expected, found = (tape.gradient(loss, model.trainable_variables) for loss in losses)
        for variable, one, other in zip(model.trainable_variables, expected, found, strict=True):
            assert (one is None) == (other is None), variable.name
            if one is not None:
                one, other = tf.convert_to_tensor(one), tf.convert_to_tensor(other)
                np.testing.assert_allclose(other, one, atol=1e-6, err_msg=variable.name)


def test_the_last_block_multiplies_the_first_token_alone(make_model, make_batch):
    """Of its matrices only those of keys and values meet all tokens."""
    model, video = make_model(layers=2), make_batch(3)["video"]
    graph = tf.function(lambda: model.encode("video", video), autograph=False).get_concrete_function().graph
    rows = {}
    for op in graph.get_operations():
        if op.type in ("MatMul", "Einsum") and "/block_1/" in op.name:
            shape = op.outputs[0].shape
            rows[op.name.split("/block_1/")[1]] = shape[0] * (shape[1] if op.type == "Einsum" else 1)
    assert sorted(rows.values()) == [3] * 4 + [27] * 2, rows


def test_pooled_features_in_bfloat16(make_model, make_batch):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = make_model()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    video = make_batch(3)["video"]
    whole, pooled = model.encode_tokens("video", video)[:, 0], model.encode("video", video)
    assert pooled.dtype == whole.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(pooled, tf.float32), tf.cast(whole, tf.float32), atol=0.02)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(preset="huge"), "`preset` should be one of ut_tiny"),
        (dict(image_size=8), "holds no whole patch"),
        (dict(audio="vit_base"), "`audio` should be a tower for it. Found one of the kind 'vit'"),
        (dict(video="vit_huge"), "a size out of tiny.*Found 'vit_huge'"),
        (dict(text=vatt.Tower("ut", vatt.SIZES["small"])), "should have one size"),
        (dict(head="two"), "`head` should be one of fine_and_coarse, joint"),
        (dict(preset="vit_base", modalities=["audio"]), "`modalities` should be some of those of 'vit_base'"),
    ],
)
def test_wrong_arguments_are_explained(arguments, message):
    with pytest.raises(ValueError, match=message):
        vatt.VATT(**arguments)


def test_the_constructor_shows_the_fields_of_the_options():
    parameters = inspect.signature(vatt.VATT).parameters
    assert parameters == inspect.signature(ModelOptions).parameters and len(parameters) == 40
    hints = typing.get_type_hints(vatt.VATT.__init__)
    assert {name: hints[name] for name in parameters} == {
        field.name: field.type for field in dataclasses.fields(ModelOptions)
    }
    with pytest.raises(TypeError, match="unexpected keyword argument 'prest'"):
        vatt.VATT(prest="ut_tiny")


def test_the_configuration_holds_every_argument_as_json():
    model = vatt.VATT("vit_base", video=vatt.Tower("vit", vatt.SIZES["tiny"]), video_patch=(2, 8, 8), name="small")
    config = model.get_config()
    assert list(config) == ["precision", *inspect.signature(vatt.VATT).parameters]
    read = json.loads(json.dumps(config))
    assert read["video"] == {"kind": "vit", "size": dict(layers=2, width=96, heads=3, feed_forward=384, head_dim=32)}
    assert (read["preset"], read["video_patch"], read["name"], read["audio"]) == ("vit_base", [2, 8, 8], "small", None)
    again = vatt.VATT.from_config(read)
    assert json.dumps(again.get_config()) == json.dumps(config) and again.options.video == model.options.video
