"""The variables of each of VATT's layers."""

from collections.abc import Sequence

import tensorflow as tf

import harmonization
import vatt
from vatt.encoder import LinearEncoder


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
    heads = {} if model.head is None else {f"head_{name}": layers for name, layers in model.head.parts().items()}
    features = {f"{name}_features": projection for name, projection in model.feature_projections.items()}
    return harmonization.indices_of(variables, {**_inputs(model), **_encoders(model), **features, **heads})


def _inputs(model):
    """What comes before the encoders: per modality the patches (or words) with their AGG token, and the positions."""
    parts = {}
    for name, embedding in model.embeddings.items():
        own = [embedding.pieces, embedding.projection, getattr(embedding, "aggregation", None)]
        parts[f"{name}_{'words' if name == 'text' else 'patches'}"] = [part for part in own if part is not None]
        if embedding.positions is not None:
            parts[f"{name}_positions"] = embedding.positions
    return parts


def _encoders(model):
    """The blocks of every encoder; the name of one that serves a single modality begins with the modality."""
    parts, seen = {}, []
    for name, encoder in model.encoders.items():
        if any(encoder is one for one in seen):
            continue
        seen.append(encoder)
        prefix = "" if model.kinds[name] == "ut" else f"{name}_"
        if isinstance(encoder, LinearEncoder):
            parts[f"{prefix}encoder"] = encoder
            continue
        parts |= {f"{prefix}block_{index}": block for index, block in enumerate(encoder.blocks)}
        relative = [] if encoder.relative_positions is None else [encoder.relative_positions]
        parts[f"{prefix}encoder_norm"] = [encoder.norm, *relative]
    return parts
