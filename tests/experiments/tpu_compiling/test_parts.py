"""Which part and modality an operation belongs to."""

import pytest

from experiments.tpu_compiling.parts import PARTS, Attribution, modality_of, part_of


@pytest.mark.parametrize(
    "name, part, modality",
    [
        ("vatt/video/encoder/block_0/self_attention/MatMul_1", "attention products", "video"),
        ("gradient_tape/vatt/text/encoder/block_11/self_attention/MatMul/MatMul_1", "attention products", "text"),
        ("vatt/audio/encoder/block_0/self_attention/transpose_3", "attention products", "audio"),
        ("vatt/audio/encoder/block_0/self_attention_1/Softmax", "softmax", "audio"),
        ("vatt/audio_1/encoder/block_0/self_attention/Cast", "softmax", "audio"),
        ("vatt/video/encoder/block_0/self_attention/dense_4/Tensordot/MatMul", "attention projections", "video"),
        ("vatt/video/encoder/block_0/dense_8/Tensordot/MatMul", "feed-forward", "video"),
        ("vatt/video/encoder/block_0/layer_normalization_1/batchnorm/mul", "norms", "video"),
        ("vatt/fine_and_coarse_head/batch_normalization/batchnorm/Rsqrt", "norms", "all"),
        ("vatt/video/encoder/block_0/stateless_dropout/Mul", "random numbers", "video"),
        ("vatt/audio_embedding/stateless_random_uniform/StatelessRandomUniformV2", "random numbers", "audio"),
        ("finish_clips/mul_3", "frame finishing", "all"),
        ("vatt/video_embedding/GatherV2", "patching", "video"),
        ("vatt/text_embedding/word_vectors/embedding_lookup", "patching", "text"),
        ("vatt/text_features/MatMul", "head and losses", "text"),
        ("gram/L2Loss_7", "Gram", "all"),
        ("weighted_sum/MulNoNan_3", "update", "all"),
        ("cond/Adam/Sqrt_5", "optimizer", "all"),
        ("cond", "optimizer", "all"),
        ("XlaAllReduce_8", "collectives", "all"),
        ("AddN_26", "rest", "all"),
        ("", "rest", "all"),
    ],
)
def test_a_name_tells_part_and_modality(name, part, modality):
    assert (part_of(name), modality_of(name)) == (part, modality)
    assert part in PARTS


def test_instructions_belong_where_their_time_is_spent(program):
    belongs_to = Attribution(program)
    found = {each.name: belongs_to(each) for each, _ in program.executed()}
    assert found["fusion.1"] == ("attention products", "video"), "its product decides, not its result"
    assert found["fusion.2"] == ("random numbers", "audio"), "it draws bits"
    assert found["copy.2"] == ("attention products", "video") or found["copy.2"] == ("softmax", "video")
    assert found["copy.1"] == ("optimizer", "all"), "it is made for the optimizer"
    assert found["fusion.3"] == ("norms", "text")
    assert found["all-reduce.1"] == ("collectives", "all")


def test_names_of_a_traced_model_are_known(make_model, make_batch):
    """The patterns follow the model's names; a renamed layer would end among the rest."""
    import tensorflow as tf

    model = make_model(dropout=0.1, drop_token_rate=0.5)
    seed = tf.constant([0, 0])
    graph = tf.function(lambda: model(make_batch(2), training=True, seed=seed)).get_concrete_function().graph
    products = [each.name for each in graph.get_operations() if "MatMul" in each.type or each.type == "Einsum"]
    places = {(part_of(name), modality_of(name)) for name in products}
    assert {part for part, _ in places} == {
        "attention projections", "attention products", "feed-forward", "patching", "head and losses"
    }  # fmt: skip
    assert all(("attention products", modality) in places for modality in ("video", "audio", "text"))
    draws = [each.name for each in graph.get_operations() if each.type.startswith("StatelessRandomUniform")]
    assert draws and {part_of(name) for name in draws} == {"random numbers"}
