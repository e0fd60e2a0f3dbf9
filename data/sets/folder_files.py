"""What is in a folder of videos and is not read."""

from __future__ import annotations

import collections
import posixpath
from collections.abc import Iterable, Sequence
from typing import Any

from data.preparing.listing import printable
from data.source.names import composed
from data.source.tree import SourceTree


def unread_files(tree: SourceTree, video_suffixes: Sequence[str], caption_suffixes: Sequence[str]) -> dict[str, Any]:
    """Returns what a report says of files that are not read.

    `captions_without_video` are caption files whose name begins with that of no video in their folder;
    `files_not_read` counts all files that are neither by what their names end with.
    """
    videos, captions, others = [], [], collections.Counter()
    for path in tree.find(("",)):
        suffix = posixpath.splitext(path)[1].lower()
        if suffix in video_suffixes:
            videos.append(path)
        elif suffix in caption_suffixes:
            captions.append(path)
        else:
            others[suffix] += 1
    return {
        "captions_without_video": _without_video(captions, videos),
        "files_not_read": dict(sorted(others.items())),
    }


def _without_video(captions: Iterable[str], videos: Iterable[str]) -> list[str]:
    stems = {posixpath.splitext(composed(path))[0] for path in videos}
    return [printable(path) for path in captions if stems.isdisjoint(_possible_stems(composed(path)))]


def _possible_stems(path: str) -> list[str]:
    """Returns what the video of `talk.en.auto.vtt` may be called: talk, talk.en and talk.en.auto."""
    folder, name = posixpath.split(path)
    parts = name.split(".")
    return [posixpath.join(folder, ".".join(parts[:count])) for count in range(1, len(parts))]
