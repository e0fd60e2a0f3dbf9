"""Floating-point operations of a model, computed from its shapes."""

import math

import vatt
from vatt.embedding import TOKEN
from vatt.encoder import LinearEncoder
from vatt.patches import Words


def forward_flops(
    model: vatt.VATT, modality: str, raw_shape: tuple[int, ...] | None = None, training: bool = False
) -> float:
    """Returns the operations, two per multiply-add, of one modality's forward pass of one clip (or one caption).

    Counted: patches, projections, attention with both its products, feed-forward layers. Omitted because small: norms,
    activations, softmax, positions, what follows on the pooled feature.

    Args:
      model: The model.
      modality: "video", "audio" or "text".
      raw_shape: Of one clip; the shape that the model was made for by default.
      training: With DropToken.
    """
    embedding, encoder = model.embeddings[modality], model.encoders[modality]
    tokens = embedding.tokens(raw_shape or model.input_shapes[vatt.MODALITIES[modality]], training)
    entry, entered = _entry_flops(embedding)
    if isinstance(encoder, LinearEncoder):
        return float(tokens * 2 * entered * encoder.width)
    per_token = 0
    for block in encoder.blocks:
        attention = block.attention.heads * block.attention.head_dim
        projections = 8 * encoder.width * attention
        per_token += projections + 4 * tokens * attention + 4 * encoder.width * block.hidden.units
    embedded = tokens - (embedding.aggregation_joins == TOKEN)  # that AGG token comes ready
    return float(embedded * entry + tokens * per_token)


def training_flops(model: vatt.VATT, candidates: int) -> dict[str, float]:
    """Returns the operations of every modality's forward pass in training, of one clip with all its captions."""
    flops = {modality: forward_flops(model, modality, training=True) for modality in model.modalities}
    return {modality: count * (candidates if modality == "text" else 1) for modality, count in flops.items()}


def _entry_flops(embedding):
    """Operations of embedding one token, and the size of what then enters the encoder."""
    pieces, flops = embedding.pieces, 0
    size = pieces.output_dim if isinstance(pieces, Words) else pieces.width
    if not isinstance(pieces, Words):
        flops += 2 * math.prod(pieces.patch) * pieces.channels * size
    if embedding.projection is not None:
        flops += 2 * size * embedding.projection.units
        size = embedding.projection.units
    return flops, size
