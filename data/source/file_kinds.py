"""What the names of media files end with, and the caption file that belongs to each."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from data.source.names import composed

VIDEO_SUFFIXES = (
    *(".mp4", ".mkv", ".webm", ".avi", ".mov", ".flv"),
    *(".m4v", ".mpg", ".mpeg", ".ogv", ".wmv", ".asf", ".3gp", ".3g2", ".ts", ".mts", ".m2ts", ".vob", ".divx", ".f4v"),
)
SOUND_SUFFIXES = (
    *(".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus"),
    *(".oga", ".aac", ".aif", ".aiff", ".wma", ".mka"),
)
CAPTION_SUFFIXES = (".vtt", ".srt")
_LANGUAGE = re.compile(r"\.[a-z]{2,3}([-_][a-z0-9]+)*", re.IGNORECASE)


def find_captions(file_name: str, neighbors: Sequence[str]) -> str | None:
    """Chooses the caption file of a video among the names in its directory.

    The same stem comes first, .vtt before .srt; then the same stem with a language, such as
    `clip.en.vtt`, in the order of the names.
    """
    stem = os.path.splitext(composed(file_name))[0]
    exact, with_language = [], []
    for neighbor in sorted(neighbors):
        root, suffix = os.path.splitext(composed(neighbor))
        if suffix.lower() not in CAPTION_SUFFIXES or not root.startswith(stem):
            continue
        if root == stem:
            exact.append(neighbor)
        elif _LANGUAGE.fullmatch(root[len(stem) :]):
            with_language.append(neighbor)
    exact.sort(key=lambda name: CAPTION_SUFFIXES.index(os.path.splitext(name)[1].lower()))
    return next(iter(exact + with_language), None)
