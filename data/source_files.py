"""Finds the videos of a folder and the caption file that belongs to each."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".flv")
CAPTION_SUFFIXES = (".vtt", ".srt")
_LANGUAGE = re.compile(r"\.[a-z]{2,3}([-_][a-z0-9]+)*", re.IGNORECASE)


class SourceVideo(NamedTuple):
    """A video file and its captions.

    Attributes:
      name: path relative to the folder, with `/`; what reports and records call the file.
      path: where the file is.
      size_bytes: its size.
      caption_path: the caption file beside it, or None.
    """

    name: str
    path: str
    size_bytes: int
    caption_path: str | None


def find_videos(source_dir: str) -> list[SourceVideo]:
    """Returns the videos anywhere below `source_dir`, sorted by name; hidden files are left out."""
    return sorted(_walk(source_dir))


def fingerprint(videos: Sequence[SourceVideo]) -> str:
    """Returns a hash of the names and sizes of videos and captions.

    It tells whether a folder still holds what it held, wherever it has been moved to.
    """
    digest = hashlib.sha256()
    for video in videos:
        caption_bytes = os.path.getsize(video.caption_path) if video.caption_path else -1
        digest.update(f"{video.name}\0{video.size_bytes}\0{caption_bytes}\n".encode())
    return digest.hexdigest()[:16]


def find_captions(file_name: str, neighbors: Sequence[str]) -> str | None:
    """Chooses the caption file of a video among the names in its directory.

    The same stem comes first, .vtt before .srt; then the same stem with a language, such as
    `clip.en.vtt`, in the order of the names.
    """
    stem = os.path.splitext(file_name)[0]
    exact, with_language = [], []
    for neighbor in sorted(neighbors):
        root, suffix = os.path.splitext(neighbor)
        if suffix.lower() not in CAPTION_SUFFIXES or not root.startswith(stem):
            continue
        if root == stem:
            exact.append(neighbor)
        elif _LANGUAGE.fullmatch(root[len(stem) :]):
            with_language.append(neighbor)
    exact.sort(key=lambda name: CAPTION_SUFFIXES.index(os.path.splitext(name)[1].lower()))
    return next(iter(exact + with_language), None)


def _walk(source_dir: str) -> Iterator[SourceVideo]:
    for directory, subdirectories, file_names in os.walk(source_dir):
        subdirectories[:] = [name for name in subdirectories if not name.startswith(".")]
        for file_name in file_names:
            suffix = os.path.splitext(file_name)[1].lower()
            if suffix not in VIDEO_SUFFIXES or file_name.startswith("."):
                continue
            path = os.path.join(directory, file_name)
            captions = find_captions(file_name, file_names)
            yield SourceVideo(
                name=_printable(os.path.relpath(path, source_dir)),
                path=path,
                size_bytes=os.path.getsize(path) if os.path.exists(path) else 0,
                caption_path=os.path.join(directory, captions) if captions else None,
            )


def _printable(path: str) -> str:
    """Returns the path with `/`, and with a mark for bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", errors="replace").replace(os.sep, "/")
