"""Builds the embeddings and encoders of a model's towers."""

import dataclasses
from collections.abc import Mapping

from vatt.embedding import PIECE, TOKEN, ModalityEmbedding
from vatt.encoder import Encoder, LinearEncoder
from vatt.keras import keras
from vatt.layers.gelu import gelu
from vatt.log_mel import LogMel
from vatt.patches import Patches, Words
from vatt.positions import AxialPositions
from vatt.presets import Tower


@dataclasses.dataclass(frozen=True)
class TowerOptions:
    """What all towers of a model have in common; see the fields of `ModelOptions` with these names."""

    sample_rate_hz: int
    mel_bands: int
    vocabulary_size: int
    word_dim: int
    video_patch: tuple[int, int, int]
    waveform_patch: int
    spectrogram_patch: tuple[int, int]
    drop_token_rate: float
    shared_drop: bool
    normalize_positions: bool
    positions_from_edges: bool
    transposed_spectrogram_positions: bool
    convolution_init: bool
    pad_patches: bool
    kept_tokens_of_tables: bool
    dropout: float
    position_dropout: float
    trainable_words: bool
    recompute: bool


def build_embedding(
    modality: str, tower: Tower, raw_shape: tuple[int, ...], options: TowerOptions
) -> ModalityEmbedding:
    """Builds the embedding of one modality.

    Args:
      modality: "video", "audio" or "text".
      tower: The modality's tower.
      raw_shape: Of one clip's raw input; decides the size of the position tables.
      options: The model's.

    Raises:
      ValueError: The raw input holds no whole patch.
    """
    kind, width = tower.kind, tower.size.width
    spectrogram = LogMel(options.sample_rate_hz, options.mel_bands) if kind == "spt" else None
    pieces = _pieces(modality, tower, options)
    cut_shape = raw_shape if spectrogram is None else spectrogram.shape(*raw_shape)
    grid = pieces.grid(cut_shape)
    if min(grid) < 1:
        raise ValueError(
            f"A clip's {modality} has the shape {cut_shape}, which holds no whole patch: token grid {grid}. "
            "Use larger clips or smaller patches."
        )
    return ModalityEmbedding(
        pieces,
        _projection(kind, width),
        None if kind in ("t5", "linear") else _positions(kind, width, grid, options),
        {"t5": PIECE, "linear": None}.get(kind, TOKEN),
        spectrogram,
        # As published: words are few, and so are the patches of a spectrogram.
        0.0 if modality == "text" or kind == "spt" else options.drop_token_rate,
        options.shared_drop,
        options.kept_tokens_of_tables,
        {"linear": 0.0, "t5": options.dropout}.get(kind, options.position_dropout),
        name=f"{modality}_embedding",
    )


def build_encoders(towers: Mapping[str, Tower], options: TowerOptions) -> dict[str, Encoder | LinearEncoder]:
    """Builds the encoder of each modality; all whose towers are of the kind "ut" share one."""
    unified = [modality for modality, tower in towers.items() if tower.kind == "ut"]
    encoders = {
        modality: _build_encoder(modality, tower, options)
        for modality, tower in towers.items()
        if modality not in unified[1:]
    }
    return {modality: encoders[unified[0] if modality in unified else modality] for modality in towers}


def _build_encoder(modality, tower, options):
    name = "encoder" if tower.kind == "ut" else f"{modality}_encoder"
    if tower.kind == "linear":
        return LinearEncoder(tower.size.width, name=name)
    t5 = tower.kind == "t5"
    use_bias = tower.kind not in ("t5", "spt")
    return Encoder(tower.size, options.dropout, use_bias, t5, options.recompute, name=name)


def _pieces(modality, tower, options):
    if modality == "text":
        return Words(options.vocabulary_size, options.word_dim, options.trainable_words, name="word_vectors")
    name, patch, channels = {
        "video": ("video_patches", options.video_patch, 3),
        "audio": ("waveform_patches", (options.waveform_patch,), 1),
    }[modality]
    if tower.kind == "spt":
        name, patch = "spectrogram_patches", options.spectrogram_patch
    return Patches(tower.size.width, patch, channels, options.convolution_init, options.pad_patches, name=name)


def _projection(kind, width):
    if kind not in ("ut", "t5", "bert"):
        return None
    return keras.layers.Dense(width, gelu, use_bias=kind == "ut")


def _positions(kind, width, grid, options):
    transposed = kind == "spt" and options.transposed_spectrogram_positions
    return AxialPositions(width, grid, options.normalize_positions, options.positions_from_edges, transposed)
