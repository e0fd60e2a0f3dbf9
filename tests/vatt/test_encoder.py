"""Kinds of encoders, and the backward pass that computes activations again."""

import numpy as np
import pytest
import tensorflow as tf

import vatt
from vatt import randomness
from vatt.encoder import Encoder, LinearEncoder
from vatt.encoder_block import EncoderBlock
from vatt.heads import FineAndCoarseHead, JointHead
from vatt.keras import keras
from vatt.layers.attention import SelfAttention

pytestmark = pytest.mark.slow

SEED = tf.constant([1, 2])


def keys_of(seed: tf.Tensor | None, layers: int = 2) -> randomness.ModalityKeys:
    """Keys for an encoder of so many blocks."""
    return randomness.key_table(seed, ["video"], layers)["video"]


def make_encoders(**options) -> tuple[Encoder, Encoder]:
    """One that keeps its activations and one that recomputes them, whose weights let no gradient be tiny."""
    size = vatt.Size(layers=2, width=16, heads=2, feed_forward=32, head_dim=8)
    kept, again = (Encoder(size, dropout=0.2, recompute=recompute, **options) for recompute in (False, True))
    for encoder in (kept, again):
        encoder(tf.zeros([1, 6, 16]))
        shapes = [weight.shape for weight in encoder.weights]
        encoder.set_weights([0.5 * tf.random.stateless_normal(shape, [1, index]) for index, shape in enumerate(shapes)])
    return kept, again


def gradients(encoder, tokens, mask, seed):
    """Gradients of two objectives, from one persistent tape as the training step takes them."""
    with tf.GradientTape(persistent=True) as tape:
        encoded = encoder(tokens, mask=mask, keys=keys_of(seed))
        objectives = [tf.reduce_sum(tf.exp(encoded[:, :2])), tf.reduce_sum(tf.sin(encoded))]
    found = [tape.gradient(objective, encoder.trainable_variables) for objective in objectives]
    return tf.nest.map_structure(tf.convert_to_tensor, found)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("t5", [False, True])
def test_recomputing_changes_no_gradient(t5, compiled):
    kept, again = make_encoders(t5=t5)
    tokens, mask = tf.random.stateless_normal([3, 6, 16], [0, 0]), tf.sequence_mask([6, 4, 2], 6)
    step = tf.function(gradients, autograph=False, jit_compile=compiled)
    expected, found = gradients(kept, tokens, mask, SEED), step(again, tokens, mask, SEED)
    without = {id(block.attention.key.bias) for block in kept.blocks}  # the softmax takes it out again
    for one, other in zip(expected, found, strict=True):
        for variable, a, b in zip(kept.trainable_variables, one, other, strict=True):
            if id(variable) in without:
                assert max(np.linalg.norm(a), np.linalg.norm(b)) < 1e-4
            else:
                assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(a) and np.linalg.norm(a) > 0.1, variable.name


def test_a_compiler_does_not_undo_recomputing():
    """A block has 8 matrix products and twice as many backwards; each of both backward passes repeats all but the last."""
    _, again = make_encoders()
    step = tf.function(gradients, autograph=False, jit_compile=True)
    tokens, mask = tf.zeros([3, 6, 16]), tf.ones([3, 6], tf.bool)
    program = step.experimental_get_compiler_ir(again, tokens, mask, None)(stage="optimized_hlo")
    assert program.count(" dot(") == len(again.blocks) * (8 + 2 * (2 * 8 + 7))


def test_recomputing_works_over_replicas_and_in_bfloat16(mirrored):
    strategy, size = mirrored(2), vatt.Size(layers=2, width=16, heads=2, feed_forward=32, head_dim=8)
    tokens, direction = (tf.random.stateless_normal([4, 7, 16], [0, purpose]) for purpose in range(2))
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        with strategy.scope():
            kept, again = (Encoder(size, dropout=0.2, recompute=recompute) for recompute in (False, True))
            for encoder in (kept, again):
                encoder(tokens)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    again.set_weights(kept.get_weights())

    def gradients(encoder):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        with tf.GradientTape() as tape:
            encoded = encoder(tokens, keys=keys_of(tf.random.fold_in(SEED, tf.cast(replica, tf.int32))))
            loss = tf.reduce_sum(tf.cast(encoded, tf.float32) * direction)
        return tape.gradient(loss, encoder.trainable_variables)

    found = [
        strategy.run(tf.function(lambda encoder=encoder: gradients(encoder), autograph=False))
        for encoder in (kept, again)
    ]
    largest = max(np.linalg.norm(strategy.experimental_local_results(one)[0]) for one in found[0])
    for one, other in zip(*found, strict=True):
        locals_of = zip(*map(strategy.experimental_local_results, (one, other)), strict=True)
        for a, b in locals_of:
            assert np.linalg.norm(a - b) <= 0.02 * np.linalg.norm(a) + 0.01 * largest
    first = strategy.experimental_local_results(found[0][-1])
    assert np.abs(first[0] - first[1]).max() > 0, "the replicas draw their own dropout"


@pytest.mark.parametrize("text", ["t5_tiny", "bert_tiny", "linear"])
def test_text_towers_ignore_padding(make_model, text):
    model = make_model(preset="mbs", modalities=["text"], text=text)
    features = lambda *words: model({"text": tf.constant([[words]])})["features"]["text"].numpy()  # noqa: E731
    before = features(7, 8, 0, 0, 0, 0)
    assert np.abs(before - features(7, 8, 9, 0, 0, 0)).max() > 1e-4
    table = model.embeddings["text"].pieces.embeddings
    table.assign(tf.tensor_scatter_nd_update(table, [[0]], [tf.fill([8], 5.0)]))
    np.testing.assert_allclose(before, features(7, 8, 0, 0, 0, 0), atol=1e-6)


def test_t5_knows_the_order_of_words_and_the_linear_tower_does_not(make_model):
    for text, differs in (("t5_tiny", True), ("linear", False)):
        model = make_model(preset="mbs", modalities=["text"], text=text)
        forth, back = (
            model({"text": tf.constant([[words]])})["features"]["text"] for words in ((3, 4, 5, 0), (5, 4, 3, 0))
        )
        assert (np.abs(forth - back).max() > 1e-4) == differs


def test_linear_tower_against_numpy():
    layer = LinearEncoder(5)
    tokens, mask = np.random.default_rng(0).normal(size=[2, 3, 4]).astype("f"), np.array([[1, 1, 0], [1, 0, 0]], bool)
    found = layer(tokens, mask=mask)
    kernel, bias = layer.get_weights()
    hidden = np.maximum(tokens @ kernel + bias, 0) * mask[..., None]
    np.testing.assert_allclose(found, hidden.max(axis=1, keepdims=True), atol=1e-6)


def test_clips_of_other_sizes_run_through_a_model(make_model):
    model = make_model()
    features = model({"video": tf.zeros([2, 16, 48, 48, 3]), "waveform": tf.zeros([2, 3200])})["features"]
    assert features["video"].shape == features["audio"].shape == [2, 16]


def test_joint_head_puts_all_modalities_into_one_space(make_model, make_batch):
    model = make_model(head="joint")
    outputs = model(make_batch(2))
    assert isinstance(model.head, JointHead)
    assert {
        name: value.shape[-1] for name, value in {**outputs["video_audio"], **outputs["video_text"]}.items()
    } == dict(video=12, audio=12, text=12)
    np.testing.assert_array_equal(outputs["video_audio"]["video"], outputs["video_text"]["video"])
    features, layer = np.maximum(outputs["features"]["audio"], 0), model.head.maps["audio"]
    expected = features @ layer.kernel.numpy() / np.sqrt(1 + 1e-5)  # a fresh norm's statistics are 0 and 1
    np.testing.assert_allclose(outputs["video_audio"]["audio"], expected, rtol=1e-4, atol=1e-6)


def test_the_papers_head_normalizes_audio_and_text():
    features = {name: tf.random.stateless_normal([64, 6], [0, index]) for index, name in enumerate(("video", "audio"))}
    features["text"] = tf.random.stateless_normal([64, 2, 6], [0, 2])
    ours, papers = FineAndCoarseHead(4, 3), FineAndCoarseHead(4, 3, as_in_paper=True)
    for head, is_paper in ((ours, False), (papers, True)):
        outputs = head(features, training=True)
        spread = np.std(outputs["video_audio"]["audio"], axis=0)
        assert np.allclose(spread, 1, atol=1e-2) == is_paper
        spread = np.std(outputs["video_text"]["text"], axis=(0, 1))
        assert np.allclose(spread, 1, atol=1e-2) == is_paper
        fine = outputs["video_audio"]["video"].numpy()
        entering = fine if is_paper else np.maximum(fine, 0)
        coarse = entering @ head.video_to_text.kernel.numpy()
        coarse = (coarse - coarse.mean(axis=0)) / np.sqrt(coarse.var(axis=0) + 1e-5)
        np.testing.assert_allclose(outputs["video_text"]["video"], coarse, atol=1e-4)


def test_the_published_switches_are_set_together_and_one_by_one(make_model):
    published = make_model(release_compatible=True)
    assert published.embeddings["video"].positions.layer_norm is not None
    assert published.embeddings["video"].shared_drop and published.embeddings["video"].positions.from_edges
    assert not published.embeddings["text"].pieces.trainable
    mixed = make_model(release_compatible=True, frozen_words=False, normalize_positions=False)
    rates = [
        vatt.VATT("ut_tiny", dropout=0.3, **options).embeddings["video"].dropout
        for options in ({}, dict(release_compatible=True), dict(release_compatible=True, position_dropout=0.0))
    ]
    assert rates == [0.3, 0.1, 0.0]
    assert mixed.embeddings["text"].pieces.trainable and mixed.embeddings["video"].positions.layer_norm is None


def test_convolution_init_is_the_published_codes(make_model):
    ours, published = (make_model(convolution_init=choice).embeddings["video"].pieces for choice in (False, True))
    places, width = 4 * 16 * 16, 16
    for pieces, limit in ((ours, np.sqrt(6 / (3 * places + width))), (published, np.sqrt(6 / (places * (3 + width))))):
        values = np.abs(pieces.kernel.numpy())
        assert 0.99 * limit < values.max() <= limit


def test_recomputing_runs_every_block_again(make_model, make_batch, monkeypatch):
    """In the backward pass, once for each gradient that is taken."""
    calls, call = [], SelfAttention.call

    def counted(self, tokens, mask=None, weights_key=None, score_bias=None, queries=None):
        calls.append(1)
        return call(self, tokens, mask, weights_key, score_bias, queries)

    monkeypatch.setattr(SelfAttention, "call", counted)
    for recompute, expected in ((False, 2), (True, 2 + 2)):
        model = make_model(layers=2, recompute=recompute)
        video = make_batch(2)["video"]
        calls.clear()
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model.encode("video", video, SEED))
        tape.gradient(loss, model.trainable_variables, unconnected_gradients="zero")
        assert len(calls) == expected


@pytest.mark.parametrize("place", ["attention weights", "attention branch", "hidden layer", "feed-forward branch"])
def test_dropout_is_where_it_should_be(place):
    """With everything else out of the way, each place alone makes the result random."""
    block = EncoderBlock(vatt.Size(1, 8, 2, 16, 4), dropout=0.0)
    tokens = tf.random.stateless_normal([3, 5, 8], [0, 0])
    block(tokens)
    shapes = []

    def spy(values, rate, key):
        shapes.append(tuple(values.shape))
        return tf.fill(values.shape, True)

    block.dropout = block.attention.dropout = 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vatt.randomness.kept", spy)
        all_kept = block(tokens, keys=keys_of(SEED).block(0))
    order = ["attention weights", "attention branch", "hidden layer", "feed-forward branch"]
    assert shapes == [(3, 2, 5, 5), (3, 5, 8), (3, 5, 16), (3, 5, 8)]

    real, index, counter = randomness.kept, order.index(place), iter(range(4))
    with pytest.MonkeyPatch.context() as patch:
        chosen = lambda values, *draw: real(values, *draw) if next(counter) == index else tf.fill(values.shape, True)  # noqa: E731
        patch.setattr("vatt.randomness.kept", chosen)
        changed = block(tokens, keys=keys_of(SEED).block(0))
    assert np.abs(changed - all_kept).max() > 1e-4


def test_a_dropout_keeps_the_mean_and_zeroes_its_share():
    kept = randomness.dropout(tf.ones([10_000]), 0.3, tf.constant([7], tf.uint64)).numpy()
    assert abs((kept == 0).mean() - 0.3) < 0.02 and abs(kept.mean() - 1) < 0.03


@pytest.mark.parametrize(
    "name, raw, message",
    [
        ("video", tf.zeros([2, 3, 32, 32, 3]), r"Found the shape \(3, 32, 32, 3\), which holds no whole patch"),
        ("video", tf.zeros([2, 8, 32, 32, 4]), "video should have 3 axes of at least"),
        ("video", tf.zeros([2, 8, 32, 32]), "video should have 3 axes"),
        ("video", tf.zeros([2, 8, 3, 32, 32]), "video should have 3 axes"),
        ("video", tf.zeros([2, 8, 32, 32, 3], tf.uint8), r"should be floating point numbers in \[-1, 1\]. Found uint8"),
        ("audio", tf.zeros([2, 100]), "which holds no whole patch"),
        ("audio", tf.zeros([2, 1600, 2]), "audio should have 1 axes"),
        ("text", tf.zeros([2, 3, 6]), "text should be int32 token ids. Found float32"),
        ("text", tf.zeros([2, 6], tf.int32), r"should have the shape \[batch, candidates, words\]"),
    ],
)
def test_input_of_another_shape_is_refused(make_model, name, raw, message):
    with pytest.raises(ValueError, match=message):
        make_model().encode(name, raw)


def test_input_without_a_known_modality_is_refused(make_model):
    with pytest.raises(ValueError, match="should hold some of video, waveform, text. Found audio"):
        make_model()({"audio": tf.zeros([2, 1600])})


def test_padded_patches_round_up(make_model):
    cut, padded = (make_model(pad_patches=pad, waveform_samples=1536) for pad in (False, True))
    padded.set_weights(cut.get_weights())
    video = tf.random.stateless_uniform([2, 9, 40, 33, 3], [0, 0])
    assert cut.encode_tokens("video", video).shape[1] == 1 + 2 * 2 * 2
    assert padded.encode_tokens("video", video).shape[1] == 1 + 3 * 3 * 3
    filled = tf.pad(video, [[0, 0], [0, 3], [0, 8], [0, 15], [0, 0]])
    np.testing.assert_array_equal(padded.encode("video", video), cut.encode("video", filled))
    assert padded.encode_tokens("audio", tf.zeros([2, 1537])).shape[1] == 1 + 13


def test_published_drop_token_keeps_a_fixed_number(make_model):
    shape = (16, 32, 32, 3)  # twice as long as pre-training's
    counts = [
        make_model(kept_tokens_of_tables=fixed).embeddings["video"].tokens(shape, training=True)
        for fixed in (False, True)
    ]
    assert counts == [1 + 8, 1 + 4]
    model = make_model(kept_tokens_of_tables=True)
    assert model.embeddings["video"](tf.zeros([2, *shape]), keys=keys_of(SEED)).shape == [2, 5, 16]


def test_the_aggregation_token_starts_as_published():
    """As glorot_normal of a vector of that length."""
    model = vatt.VATT("ut_small", layers=1, modalities=["text"], vocabulary_size=9)
    model.create_variables()
    assert np.std(model.embeddings["text"].aggregation.numpy()) * np.sqrt(512) == pytest.approx(1.0, abs=0.1)


def test_no_slice_ties_the_layout_of_the_tokens_to_that_of_one():
    """On a TPU a slice of the first token, or its gradient, made the step of the paper's model copy the tokens of every block."""
    block = EncoderBlock(vatt.Size(layers=1, width=16, heads=2, feed_forward=32, head_dim=8), dropout=0.0)
    tokens = tf.ones([2, 6, 16])
    block(tokens)

    @tf.function(autograph=False)
    def step(tokens):
        with tf.GradientTape() as tape:
            tape.watch(tokens)
            loss = tf.reduce_sum(block(tokens, first_only=True) ** 2)
        return tape.gradient(loss, [tokens, *block.trainable_variables])

    operations = step.get_concrete_function(tokens).graph.get_operations()
    sliced = [op.name for op in operations if "Slice" in op.type and op.outputs[0].shape.rank == tokens.shape.rank]
    assert len(operations) > 50 and not sliced
