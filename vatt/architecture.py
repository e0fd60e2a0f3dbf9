"""Derives a model's parts from its options."""

import dataclasses

from vatt.heads import FineAndCoarseHead, JointHead
from vatt.options import ModelOptions
from vatt.presets import DIMENSIONS, KINDS, MODALITIES, PRESETS, TINY_DIMENSIONS, Tower
from vatt.presets import tower as named_tower
from vatt.sizes import Size
from vatt.towers import TowerOptions

HEADS = ("fine_and_coarse", "joint")


def choose_towers(options: ModelOptions) -> dict[str, Tower]:
    """Returns the towers, by modality.

    Raises:
      ValueError: For an unknown name, or a combination that makes no model.
    """
    preset = options.preset
    if preset not in PRESETS:
        raise ValueError(f"`preset` should be one of {', '.join(PRESETS)}. Found `preset = {preset!r}`.")
    chosen = {modality: getattr(options, modality) or PRESETS[preset].get(modality) for modality in MODALITIES}
    towers = {
        modality: _resized(named_tower(name) if isinstance(name, str) else name, options)
        for modality, name in chosen.items()
        if name is not None and (options.modalities is None or modality in options.modalities)
    }
    missing = set(options.modalities or ()) - set(towers)
    wrong = [modality for modality, tower in towers.items() if modality not in KINDS[tower.kind]]
    if missing or not towers:
        raise ValueError(f"`modalities` should be some of those of {preset!r}. Found {list(options.modalities or ())}.")
    if wrong:
        raise ValueError(f"`{wrong[0]}` should be a tower for it. Found one of the kind {towers[wrong[0]].kind!r}.")
    if len({tower.size for tower in towers.values() if tower.kind == "ut"}) > 1:
        raise ValueError("All towers of the kind 'ut' should have one size, as they share one encoder. Found several.")
    return towers


def _resized(tower: Tower, options: ModelOptions) -> Tower:
    names = [field.name for field in dataclasses.fields(Size)]
    overrides = {name: value for name in names if (value := getattr(options, name)) is not None}
    return dataclasses.replace(tower, size=dataclasses.replace(tower.size, **overrides))


def dimensions(options: ModelOptions) -> dict[str, int]:
    """Returns the sizes other than the towers', under the names of `vatt.presets.DIMENSIONS`."""
    published = TINY_DIMENSIONS if options.preset == "ut_tiny" else DIMENSIONS
    return {name: value if (own := getattr(options, name)) is None else own for name, value in published.items()}


def tower_options(options: ModelOptions, word_dim: int) -> TowerOptions:
    """Returns what all towers have in common; a switch that is `None` is as `release_compatible` says.

    Raises:
      ValueError: A rate is no share.
    """
    for name in ("drop_token_rate", "dropout", "position_dropout"):
        if (rate := getattr(options, name)) is not None and not 0 <= rate < 1:
            raise ValueError(f"`{name}` should be at least 0 and less than 1. Found {rate}.")

    def switch(name: str) -> bool:
        return options.release_compatible if (own := getattr(options, name)) is None else own

    switches = ("shared_drop", "normalize_positions", "positions_from_edges", "transposed_spectrogram_positions",
                "convolution_init", "kept_tokens_of_tables")  # fmt: skip
    plain = ("sample_rate_hz", "mel_bands", "vocabulary_size", "video_patch", "waveform_patch", "spectrogram_patch",
             "drop_token_rate", "dropout", "recompute", "pad_patches")  # fmt: skip
    position_dropout = options.position_dropout
    if position_dropout is None:
        position_dropout = 0.1 if options.release_compatible else options.dropout
    return TowerOptions(
        word_dim=word_dim,
        position_dropout=position_dropout,
        trainable_words=not switch("frozen_words"),
        **{name: switch(name) for name in switches},
        **{name: getattr(options, name) for name in plain},
    )


def build_head(
    options: ModelOptions, dims: dict[str, int], modalities: tuple[str, ...]
) -> FineAndCoarseHead | JointHead | None:
    """Builds the head; `None` for a single tower.

    Raises:
      ValueError: There is no such head.
    """
    if options.head not in HEADS:
        raise ValueError(f"`head` should be one of {', '.join(HEADS)}. Found {options.head!r}.")
    if len(modalities) < 2:
        return None
    if options.head == "joint":
        return JointHead(dims["video_audio_dim"], modalities)
    return FineAndCoarseHead(dims["video_audio_dim"], dims["video_text_dim"], options.paper_head)
