"""Which of VATT's variables make up which layer."""

from collections.abc import Sequence

import tensorflow as tf

import harmonization
import vatt


def layers_of(model: vatt.VATT, variables: Sequence[tf.Variable]) -> dict[str, list[int]]:
    """Sorts variables into layers, from the input to the output.

    Goes by what the model is made of, not by the variables' names: Keras numbers those through the whole process.

    Args:
      model: Its variables exist.
      variables: The trainable ones, in the order of the gradients.

    Returns:
      Names of the layers, such as `video_patches`, `block_0` or `head_video_to_text`, with the indices of the variables in
      each. Every trainable variable of the model is in exactly one layer.
    """
    encoder, head = model.encoder, model.head
    parts = {
        **_inputs(model),
        **{f"block_{index}": block for index, block in enumerate(encoder.blocks)},
        "encoder_norm": encoder.layer_norm,
        **{f"{name}_features": projection for name, projection in model.feature_projections.items()},
        "head_video_hidden": [head.video_hidden, head.video_hidden_norm],
        "head_video_to_audio": [head.video_to_audio, head.video_to_audio_norm],
        "head_video_to_text": [head.video_to_text, head.video_to_text_norm],
        "head_audio_to_video": head.audio_to_video,
        "head_text_to_video": head.text_to_video,
    }
    return harmonization.indices_of(variables, parts)


def _inputs(model):
    """What comes before the encoder: per modality the patches (or words) with their AGG token, and the positions."""
    parts = {}
    for name, embedding in model.embeddings.items():
        kind, pieces = ("patches", embedding.patches) if embedding.patches else ("words", model.word_vectors)
        parts[f"{name}_{kind}"] = [pieces, embedding.projection, embedding.aggregation]
        parts[f"{name}_positions"] = embedding.positions
    return parts
