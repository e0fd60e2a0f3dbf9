"""Floating-point operations of a model, computed from its shapes."""

import math

import vatt
from vatt.embedding import TOKEN
from vatt.encoder import LinearEncoder
from vatt.patches import Words


def forward_flops(
    model: vatt.VATT,
    modality: str,
    raw_shape: tuple[int, ...] | None = None,
    training: bool = False,
    pooled: bool = False,
) -> float:
    """Returns the operations, two per multiply-add, of one modality's forward pass of one clip (or one caption).

    Counted: patches, projections, attention with both its products, feed-forward layers. Omitted because small: norms,
    activations, softmax, positions, what follows on the pooled feature.

    Args:
      model: The model.
      modality: "video", "audio" or "text".
      raw_shape: Of one clip; the shape that the model was made for by default.
      training: With DropToken.
      pooled: Only for the pooled feature, for which the last block computes only the AGG token.
    """
    embedding, encoder = model.embeddings[modality], model.encoders[modality]
    tokens = embedding.tokens(raw_shape or model.input_shapes[vatt.MODALITIES[modality]], training)
    entry, entered = _entry_flops(embedding)
    if isinstance(encoder, LinearEncoder):
        return float(tokens * 2 * entered * encoder.width)
    embedded = tokens - (embedding.aggregation_joins == TOKEN)  # that AGG token comes ready
    blocks = [
        _block_flops(encoder.width, block, tokens, 1 if pooled and block is encoder.blocks[-1] else tokens)
        for block in encoder.blocks
    ]
    return float(embedded * entry + sum(blocks))


def _block_flops(width, block, tokens, queries):
    """Operations of a block in which `queries` of the tokens are computed, and the others are keys and values alone."""
    attention = block.attention.query.units
    per_query = 4 * width * attention + 4 * tokens * attention + 4 * width * block.hidden.units
    return queries * per_query + tokens * 4 * width * attention


def training_flops(model: vatt.VATT, candidates: int) -> dict[str, float]:
    """Returns the operations of every modality's forward pass in training, of one clip with all its captions."""
    flops = {modality: forward_flops(model, modality, training=True, pooled=True) for modality in model.modalities}
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
