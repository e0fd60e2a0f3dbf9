"""A user's labels of the files of a folder, from a CSV file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

from data.errors import DataError
from data.preparing.listing import read_rows
from data.records.schema import UNKNOWN
from data.sets.folder_splits import SPLITS
from data.source.names import composed
from data.source.storage import storage_of
from data.source.tree import SourceTree

_FILE, _LABELS, _SPLIT = "file", "labels", "split"
_SEPARATOR = "|"


class FolderLabels(NamedTuple):
    """The labels and splits in a CSV file.

    Attributes:
      path: the CSV file.
      class_names: all labels in it, sorted, whether or not their files are there.
      by_file: by the `composed` name, each file's classes, as indices into `class_names`, rising.
      split_of: each file's split; empty where the CSV file has no column `split`.
      multi_label: whether any file has several labels, which makes the whole set multi-label.
    """

    path: str
    class_names: tuple[str, ...]
    by_file: dict[str, tuple[int, ...]]
    split_of: dict[str, str]
    multi_label: bool

    def names(self, name: str) -> bool:
        """Returns whether the CSV file names a file."""
        return composed(name) in self.by_file

    def of(self, name: str) -> dict[str, object]:
        """Returns what a record of a file says: `label`, and in a multi-label set `labels` as well.

        There `label` is `UNKNOWN`: no program must take one of several labels for the only one.
        """
        classes = self.by_file[composed(name)]
        if self.multi_label:
            return {"label": UNKNOWN, "labels": classes}
        return {"label": classes[0]}

    def fingerprint(self) -> str:
        """Returns a hash of the labels and splits, which the order of the rows does not change."""
        content = repr((self.class_names, sorted(self.by_file.items()), sorted(self.split_of.items())))
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def find_labels(path: str, tree: SourceTree) -> str:
    """Returns where the CSV file is: at `path`, or at that path in the source folder.

    Raises:
      DataError: if it is in neither place.
    """
    if storage_of(path).is_file(path):
        return path
    if tree.exists(path):
        return tree.path(path)
    raise DataError(
        f"--labels should be a CSV file with the columns file and labels. Found none at {path} or {tree.path(path)}"
    )


def read_labels(path: str) -> FolderLabels:
    """Reads a CSV file with the columns `file`, `labels` and, optionally, `split`, in any order.

    `file` is relative to the folder, with `/` or `\\`; `labels` holds one name, or several with `|`
    between them; `split` is train, validation or test, in any case of letters. Spreadsheets' ways of saving it are
    understood: see `data.preparing.listing.read_rows`.

    Raises:
      DataError: if the file cannot be read, or a row makes no sense: it names the row.
    """
    header, *rows = read_rows(path) or [[]]
    columns = [name.lower() for name in header]
    if sorted({*columns, _SPLIT}) != sorted({_FILE, _LABELS, _SPLIT}) or len(set(columns)) != len(columns):
        raise DataError(
            f"{path} should have the columns file, labels and, optionally, split. Found the header {header}."
        )
    if not rows:
        raise DataError(f"{path} should have a line for each labeled file. Found none.")
    names: dict[str, list[str]] = {}
    split_of: dict[str, str] = {}
    for row in rows:
        cells = _checked(path, columns, row)
        if cells[_FILE] in names:
            raise DataError(
                f"{path} names {cells[_FILE]} twice; put its labels into one row, with {_SEPARATOR} between them"
            )
        names[cells[_FILE]] = cells[_LABELS]
        if _SPLIT in columns:
            split_of[cells[_FILE]] = cells[_SPLIT]
    class_names = tuple(sorted({name for labels in names.values() for name in labels}))
    indices = {name: index for index, name in enumerate(class_names)}
    by_file = {file: tuple(sorted({indices[name] for name in labels})) for file, labels in names.items()}
    multi_label = any(len(classes) > 1 for classes in by_file.values())
    return FolderLabels(path, class_names, by_file, split_of, multi_label)


def _checked(path: str, columns: Sequence[str], row: Sequence[str]) -> dict:
    """Returns the cells of a row by column, the labels as a list."""
    if len(row) != len(columns):
        raise DataError(
            f"{path} should have {len(columns)} cells in each row. Found {row}. Put quotes around a cell with the separator in it."
        )
    cells = dict(zip(columns, row, strict=True))
    labels = [label.strip() for label in cells[_LABELS].split(_SEPARATOR)]
    if not cells[_FILE] or not all(labels):
        raise DataError(
            f"{path} should name a file and its labels in each row. Found {row}. Remove the rows of files without a "
            "label, or give them a class such as `none`."
        )
    if _SPLIT in cells and cells[_SPLIT].lower() not in SPLITS:
        raise DataError(f"{path}: split should be one of {', '.join(SPLITS)}. Found {cells[_SPLIT]!r} (in {row})")
    if _SPLIT in cells:
        cells[_SPLIT] = cells[_SPLIT].lower()
    return {**cells, _FILE: os.path.normpath(cells[_FILE].replace("\\", "/")), _LABELS: labels}
