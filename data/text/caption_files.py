"""The caption files that lie next to a video: which there are, in which languages, and which one is read."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from data.source.names import composed
from data.text.languages import language_of, looks_like_language, preference

CAPTION_SUFFIXES = (".vtt", ".srt", ".ttml", ".dfxp", ".ass", ".ssa", ".sbv", ".json3", ".lrc", ".json")
"""What can be read; of several files that fit alike the first of these is."""
CERTAIN_SUFFIXES = tuple(suffix for suffix in CAPTION_SUFFIXES if suffix != ".json")
"""Those that only captions have."""
UNREAD_SUFFIXES = (".sub", ".idx", ".sup", ".smi", ".sami", ".stl", ".scc", ".mcc", ".usf", ".srv1", ".srv2", ".srv3")
"""Captions in forms that are not read, to be counted."""
_AUTOMATIC, _PARTIAL = ("auto", "asr"), ("forced",)
_FLAGS = (*_AUTOMATIC, *_PARTIAL, "sdh", "cc", "hi", "default")


class CaptionFile(NamedTuple):
    """A caption file next to a video.

    Attributes:
      name: its name in its folder.
      language: a standard tag such as "en"; None if its name says none.
      tagged: whether its name holds more than the video's and a suffix.
      automatic: whether a machine has written it, as far as the name (`en-orig`, `en.auto`) or a description tells.
      partial: whether it holds only what is foreign to most (`en.forced`).
      original: whether it is known to be in the language that is spoken (`en-orig`).
    """

    name: str
    language: str | None
    tagged: bool
    automatic: bool
    partial: bool
    original: bool = False


def caption_files(
    file_name: str, neighbors: Iterable[str], automatic: Container[str] = (), spoken: str | None = None
) -> list[CaptionFile]:
    """Returns the caption files of a video among the names in its folder, those to prefer first.

    They have the video's name without its suffix, then possibly a language and flags as in `clip.en.sdh.srt`. The
    order: no language in the name, then by language; written before automatic, whole before partial; by suffix.

    Args:
      file_name: the video's name.
      neighbors: the names of the files among which its captions are.
      automatic: tags of languages, as they are in the names, in which a machine has written the captions.
      spoken: the language that is spoken in the video, if it is known.
    """
    stem = composed(os.path.splitext(file_name)[0])
    found = [_caption_file(stem, name, automatic, spoken) for name in sorted(neighbors)]
    return sorted((file for file in found if file), key=_rank)


def choose(files: Sequence[CaptionFile], wanted: Sequence[str]) -> CaptionFile | None:
    """Returns the file to read: the first in the most wanted language; None if there is none in a wanted one.

    One that people have written goes before automatic ones in other kinds of the same language or, if any is wanted, in others.
    """
    ranked = [
        ((fit[0], file.automatic, file.automatic and not file.original, fit[1]), file)
        for file in files
        if (fit := preference(file.language, wanted)) is not None
    ]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def language_in_name(video_path: str, caption_path: str) -> str | None:
    """Returns the language that a caption file's name says; None if it says none."""
    found = _caption_file(composed(os.path.splitext(os.path.basename(video_path))[0]), os.path.basename(caption_path))
    return found.language if found else None


def _caption_file(
    stem: str, name: str, automatic_tags: Container[str] = (), spoken: str | None = None
) -> CaptionFile | None:
    root, suffix = os.path.splitext(composed(name))
    if suffix.lower() not in CAPTION_SUFFIXES or not root.startswith(stem):
        return None
    if root == stem:
        return CaptionFile(name, None, tagged=False, automatic=False, partial=False)
    tag, *flags = root[len(stem) + 1 :].split(".")
    flags = [flag.lower() for flag in flags]
    if root[len(stem)] != "." or not looks_like_language(tag) or not set(flags) <= set(_FLAGS):
        return None
    language, from_speech = language_of(tag), tag.lower().endswith("-orig")
    automatic = from_speech or tag in automatic_tags or not set(flags).isdisjoint(_AUTOMATIC)
    original = from_speech or bool(language and spoken and language.split("-")[0] == spoken.split("-")[0])
    return CaptionFile(name, language, True, automatic, not set(flags).isdisjoint(_PARTIAL), original)


def _rank(file: CaptionFile) -> tuple:
    suffix = os.path.splitext(file.name)[1].lower()
    return (
        file.tagged,
        file.language or file.name if file.tagged else "",
        file.partial,
        file.automatic,
        CAPTION_SUFFIXES.index(suffix),
        file.name,
    )
