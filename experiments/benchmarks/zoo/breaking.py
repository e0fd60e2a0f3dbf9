"""Breaks media files, as copies and disks do, and writes a specimen with all its files."""

from __future__ import annotations

import os
import pathlib
import unicodedata

import numpy as np

from experiments.benchmarks.zoo.caption_forms import FORMS, cues_of
from experiments.benchmarks.zoo.media import write_media
from experiments.benchmarks.zoo.specimens import Specimen

_KEPT_SHARE = 0.4
_DAMAGED_FROM, _DAMAGED_SHARE = 0.6, 0.03
_NAMES_OF_H264 = {b"avc1": b"zqc1", b"V_MPEG4/ISO/AVC": b"V_ZQEG4/ISO/AVC", b"H264": b"ZQ64", b"h264": b"zq64"}


def write_specimen(specimen: Specimen, folder: str | os.PathLike) -> None:
    """Writes the media file of a specimen and what lies next to it."""
    folder = pathlib.Path(folder)
    path = folder / specimen.file_name
    if specimen.oddity not in ("empty", "a text"):
        write_media(specimen, path)
    else:
        path.write_text("" if specimen.oddity == "empty" else "Dear Anna, this is not a video.\n" * 20)
    if specimen.oddity in ("cut off", "damaged", "unknown codec"):
        path.write_bytes(_broken(path.read_bytes(), specimen))
    cues = cues_of(specimen.captions, specimen.caption_seconds)
    for ending, content in FORMS[specimen.captions].endings.items():
        (folder / f"{unicodedata.normalize('NFC', specimen.stem)}.{ending}").write_bytes(content(cues))


def _broken(content: bytes, specimen: Specimen) -> bytes:
    if specimen.oddity == "cut off":
        return content[: round(_KEPT_SHARE * len(content))]
    if specimen.oddity == "unknown codec":
        for name, unknown in _NAMES_OF_H264.items():
            content = content.replace(name, unknown)
        return content
    start, length = round(_DAMAGED_FROM * len(content)), round(_DAMAGED_SHARE * len(content))
    noise = np.random.default_rng(int(specimen.stem[:3])).bytes(length)
    return content[:start] + noise + content[start + length :]
