"""Media files that lists name by an id: where they are, and the error when none of them is."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from data.errors import DataError
from data.preparing.listing import ListedVideo
from data.source.names import composed
from data.source.tree import SourceTree

NOT_THERE = "the video is not there"
LISTED_AGAIN = "listed again"
Row = TypeVar("Row")


def files_by_name(tree: SourceTree, suffixes: Sequence[str], below: str = "") -> dict[str, str]:
    """Returns the files anywhere in a tree, or below one of its folders, with one of the suffixes: name without suffix -> path.

    The names are `composed`, as those that lists are read with.
    Of several with the same name, that with the first of the suffixes is taken, then the first path.
    """
    paths = sorted(tree.find(suffixes, below), key=lambda path: (_rank(path, suffixes), path), reverse=True)
    return {composed(posixpath.splitext(posixpath.basename(path))[0]): path for path in paths}


def pair(
    rows: Iterable[Row], name_of: Callable[[Row], str], video_of: Callable[[Row], ListedVideo | str]
) -> tuple[list[ListedVideo], list[tuple[str, str]]]:
    """Returns the videos of a list's rows, and (reason, name) of the rows that have none or come again.

    Args:
      rows: what the list says.
      name_of: Returns a row's name, that of its video.
      video_of: Returns a row's video, or the reason why there is none.
    """
    videos: dict[str, ListedVideo] = {}
    skipped = []
    for row in rows:
        name = name_of(row)
        found = LISTED_AGAIN if name in videos else video_of(row)
        if isinstance(found, str):
            skipped.append((found, name))
        else:
            videos[name] = found
    return list(videos.values()), skipped


def require_some(tree: SourceTree, videos: Sequence[ListedVideo], skipped: Sequence[object], example: str) -> None:
    """Raises `DataError` where none of the listed videos is there; `example` is a name that would be found."""
    if not videos:
        raise DataError(
            f"none of the {len(skipped)} videos that the lists of {tree.root} name can be used; they may be in any "
            f"folder below it, with names like {example}."
        )


def _rank(path: str, suffixes: Sequence[str]) -> int:
    return list(suffixes).index(posixpath.splitext(path)[1].lower())
