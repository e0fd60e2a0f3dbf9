import numpy as np
import pytest
import tensorflow as tf

import vatt

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
    model.word_vectors.embeddings.assign(
        tf.tensor_scatter_nd_update(model.word_vectors.embeddings, [[0]], [tf.fill([8], 5.0)])
    )
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
    model = vatt.VATT("medium")
    assert model.token_counts(training=False) == {"video": 1569, "audio": 1201, "text": 17}
    assert model.token_counts(training=True) == {"video": 785, "audio": 601, "text": 17}


# facts/vatt.md 1.5: parameters of encoder, and with the video's and the waveform's patches, positions and AGG token;
# the second, GELU projection of the modality-agnostic model is not in that count.
@pytest.mark.parametrize(
    "size, encoder, video, audio",
    [
        ("small", 18.915, 20.509, 19.597),
        ("base", 85.056, 87.446, 86.079),
        ("medium", 151.157, 154.343, 152.521),
        ("large", 302.311, 305.498, 303.675),
    ],
)
def test_published_parameter_counts(size, encoder, video, audio):
    """Counted on one and two blocks: creating 300 M random numbers would take longer than all other tests here."""
    one, two = (vatt.VATT(size, layers=layers, normalize_positions=True) for layers in (1, 2))
    one.create_variables()
    two.create_variables()
    count = lambda layer: sum(int(tf.size(v)) for v in layer.trainable_variables)  # noqa: E731
    block = count(two.encoder) - count(one.encoder)
    total = count(one.encoder) + (vatt.SIZES[size]["layers"] - 1) * block
    assert round(total / 1e6, 3) == encoder
    for name, published in (("video", video), ("audio", audio)):
        embedding = one.embeddings[name]
        with_tokens = total + count(embedding) - count(embedding.projection)
        assert round(with_tokens / 1e6, 3) == published


def test_model_is_equal_with_and_without_xla(make_model, make_batch):
    model, batch = make_model(), make_batch(2)
    # Without a seed: XLA draws other random numbers from the same one.
    step = lambda: model(batch, training=True)["video_text"]["text"]  # noqa: E731
    plain = tf.function(step)()
    compiled = tf.function(step, jit_compile=True)()
    np.testing.assert_allclose(plain, compiled, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "arguments, message",
    [(dict(size="huge"), "`size` should be one of tiny"), (dict(image_size=8), "holds no whole patch")],
)
def test_wrong_arguments_are_explained(arguments, message):
    with pytest.raises(ValueError, match=message):
        vatt.VATT(**arguments)
