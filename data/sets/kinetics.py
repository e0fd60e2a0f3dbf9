"""Reads a copy of Kinetics as CVDF hands it out: CSV files, and videos named by id and time."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from data.errors import DataError
from data.preparing.listing import ClipList, ListedVideo, Segment, by_reason
from data.preparing.named_files import NOT_THERE, pair, require_some
from data.source.file_kinds import VIDEO_SUFFIXES
from data.source.names import composed
from data.source.tree import SourceTree

_OTHERS = ("youtube_id", "time_start", "time_end", "split")
_COLUMNS = ("label", *_OTHERS)
_SPLITS = {"train": "train", "val": "validation", "validate": "validation", "test": "test"}
_LIST_FOLDERS = ("", "annotations")
_NAME = re.compile(r".+_\d{6}_\d{6}")
_REPLACEMENTS = "replacement"
_EXAMPLE = "-0IErS_cisg_000017_000027.mp4"


class _Row(NamedTuple):
    name: str
    label: str
    split: str


def list_kinetics(tree: SourceTree, class_names: Sequence[str] | None = None) -> ClipList:
    """Looks up the videos of the rows of the CSV files; each is one clip.

    Args:
      tree: the source folder.
      class_names: the classes to take; None for all that the CSV files name, sorted.

    Raises:
      DataError: There is no CSV file with rows of these classes, one has a bad row, or none of the videos is there.
    """
    paths = list(tree.find((".csv", *VIDEO_SUFFIXES)))
    rows = _rows_of_classes(tree, paths, class_names)
    labels = {name: label for label, name in enumerate(class_names or sorted({row.label for row in rows} - {""}))}
    files = _files_by_name(paths)

    def video_of(row: _Row) -> ListedVideo | str:
        if not row.label:
            return "its list has no labels"
        if row.name not in files:
            return NOT_THERE
        return ListedVideo(row.name, row.split, files[row.name], label=labels[row.label], segments=(Segment(row.name),))

    videos, skipped = pair(rows, lambda row: row.name, video_of)
    require_some(tree, videos, skipped, _EXAMPLE)
    return ClipList(videos, tuple(labels), by_reason(skipped))


def _rows_of_classes(tree: SourceTree, paths: Iterable[str], class_names: Sequence[str] | None) -> list[_Row]:
    rows = [
        row
        for path in paths
        if path.lower().endswith(".csv") and posixpath.dirname(path) in _LIST_FOLDERS
        for row in _rows(tree, path)
        if class_names is None or row.label in class_names
    ]
    if not rows:
        wanted = "any class" if class_names is None else f"one of {len(class_names)} classes"
        raise DataError(
            f"{tree.root} should hold CSV files, in it or in its folder annotations, with a header that has "
            f"{', '.join(_COLUMNS)} and rows of {wanted}. Found none."
        )
    return rows


def _files_by_name(paths: Iterable[str]) -> dict[str, str]:
    """Returns name -> path; where there are two, the replacement of the broken one."""
    ordered = sorted(paths, key=lambda path: _REPLACEMENTS in posixpath.dirname(path))
    names = (composed(posixpath.splitext(posixpath.basename(path))[0]) for path in ordered)
    return {name: path for name, path in zip(names, ordered, strict=True) if _NAME.fullmatch(name)}


def _rows(tree: SourceTree, path: str) -> Iterator[_Row]:
    """Yields the rows; a CSV file without the columns is not one of Kinetics'.

    The labels alone may be missing: they were held back from the test list while it was a challenge.
    """
    rows = tree.stream_rows(path)
    header = next(rows, [])
    if not set(_OTHERS) <= set(header):
        return
    places = [header.index(column) for column in _OTHERS]
    label_place = header.index("label") if "label" in header else None
    for row in rows:
        try:
            youtube_id, start, end, split = (row[place] for place in places)
            label = "" if label_place is None else row[label_place]
            name, split = f"{youtube_id}_{int(float(start)):06d}_{int(float(end)):06d}", _SPLITS[split]
        except (IndexError, ValueError, KeyError, OverflowError) as error:
            raise DataError(
                f"{tree.path(path)} should have rows of {', '.join(_COLUMNS)} (split one of {', '.join(_SPLITS)}). "
                f"Found {','.join(row)!r}"
            ) from error
        yield _Row(tree.inside(name, path), label, split)
