"""The published models by name: which tower embeds which modality."""

import dataclasses
from collections.abc import Mapping

from vatt.sizes import MOST_LAYERS, MOST_UNITS, SIZES, Size, check_sizes

MODALITIES = {"video": "video", "audio": "waveform", "text": "text"}
"""The modalities, with the entry of a batch that each is read from."""

KINDS = {
    "ut": tuple(MODALITIES),  # the modality-agnostic Transformer: all towers of this kind share one encoder
    "vit": ("video",),  # raw video
    "wat": ("audio",),  # raw sound
    "spt": ("audio",),  # the sound's log-mel spectrogram
    "t5": ("text",),  # relative positions
    "bert": ("text",),  # learned absolute positions
    "linear": ("text",),  # no Transformer: the maximum over the words of a linear map
}
"""Kinds of towers under the published code's names, with the modalities that they embed."""


@dataclasses.dataclass(frozen=True)
class Tower:
    """The path of one modality, from raw input to features.

    Attributes:
      kind: A name in `KINDS`.
      size: Of its Transformer; for "linear" only the width counts.

    Raises:
      ValueError: There is no such kind, or a size is out of range.
    """

    kind: str
    size: Size

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"`Tower.kind` should be one of {', '.join(KINDS)}. Found {self.kind!r}.")
        check_sizes("Size.width", self.size.width, MOST_UNITS)
        blocks = 0 if self.kind == "linear" else 1
        check_sizes("Size.layers", self.size.layers, MOST_LAYERS, blocks)
        for name in ("heads", "feed_forward", "head_dim"):
            check_sizes(f"Size.{name}", getattr(self.size, name), MOST_UNITS, blocks)


def tower(name: str) -> Tower:
    """Returns the tower of a name such as "vit_medium" or "linear".

    Raises:
      ValueError: There is no such kind or size.
    """
    kind, _, size = name.partition("_")
    if kind == "linear" and not size:
        return Tower(kind, Size(layers=0, width=2048, heads=0, feed_forward=0))
    if kind not in KINDS or size not in SIZES:
        kinds, sizes = ", ".join(KINDS), ", ".join(SIZES)
        raise ValueError(
            f"A tower's name should be KIND_SIZE, with a kind out of {kinds} and a size out of {sizes}, or 'linear'. "
            f"Found {name!r}."
        )
    return Tower(kind, SIZES[size])


# Every size of the published code, and also "small" and "tiny".
_UNIFIED = {
    f"ut_{size}": dict.fromkeys(MODALITIES, f"ut_{size}") for size in ("tiny", "small", "base", "medium", "large")
}
_SINGLE = {
    f"{kind}_{size}": {modality: f"{kind}_{size}"}
    for kind, modality, sizes in (
        ("vit", "video", ("base", "medium", "large", "xlarge")),
        ("wat", "audio", ("base", "medium", "large")),
        ("spt", "audio", ("base", "medium", "large")),
        ("t5", "text", ("small", "base")),
        ("bert", "text", ("small", "base")),
    )
    for size in sizes
}
PRESETS: Mapping[str, Mapping[str, str]] = {
    **_UNIFIED,
    "bbs": {"video": "vit_base", "audio": "wat_base", "text": "t5_small"},
    "mbs": {"video": "vit_medium", "audio": "wat_base", "text": "t5_small"},
    "lbs": {"video": "vit_large", "audio": "wat_base", "text": "t5_small"},
    **_SINGLE,
    "linear": {"text": "linear"},
}
"""The towers of every named model: modality-agnostic (ut), modality-specific (bbs, mbs, lbs), a single tower."""

DIMENSIONS = dict(word_dim=300, feature_dim=1024, video_audio_dim=512, video_text_dim=256)
"""Sizes other than the towers', as published."""

TINY_DIMENSIONS = dict(word_dim=64, feature_dim=128, video_audio_dim=64, video_text_dim=32)
"""The same for "ut_tiny", our choice."""
