"""A data set's source folder: which files there are, and what their lists say."""

from __future__ import annotations

import csv
import os
import posixpath
from collections.abc import Iterator, Sequence

from data.errors import DataError


class SourceTree:
    """The files below a folder.

    Attributes:
      root: The folder.
    """

    def __init__(self, root: str | os.PathLike | None):
        """Takes the folder.

        Raises:
          DataError: There is no such folder.
        """
        if not root or not os.path.isdir(root):
            raise DataError(f"--source_dir must be the data set's folder, not {root!r}")
        self.root = os.fspath(root)

    def find(self, suffixes: Sequence[str], below: str = "") -> Iterator[str]:
        """Yields the files anywhere below a folder of the tree with one of the suffixes, in any case of letters.

        They come sorted, relative to the root and with `/`; hidden files and folders are left out. A
        folder that is not there holds nothing.
        """
        for directory, subdirectories, names in os.walk(self.path(below), followlinks=True):
            subdirectories[:] = sorted(name for name in subdirectories if not name.startswith("."))
            for name in sorted(names):
                if name.lower().endswith(tuple(suffixes)) and not name.startswith("."):
                    path = os.path.relpath(os.path.join(directory, name), self.root)
                    yield path.replace(os.sep, "/")

    def path(self, relative: str) -> str:
        """Returns where a file of the tree is."""
        return os.path.join(self.root, relative)

    def exists(self, relative: str) -> bool:
        """Returns whether the tree has this file."""
        return os.path.isfile(self.path(relative))

    def size(self, relative: str) -> int:
        """Returns a file's size in bytes."""
        return os.path.getsize(self.path(relative))

    def inside(self, listed: str, named_in: str) -> str:
        """Returns a path that a list names, as one relative to the root.

        Args:
          listed: The path, as listed; `/` or `\\` between its parts.
          named_in: The list, for the error.

        Raises:
          DataError: The path is absolute, or leaves the tree by `..`.
        """
        path = posixpath.normpath(listed.replace("\\", "/"))
        if posixpath.isabs(path) or path.split("/")[0] == ".." or path[1:2] == ":":
            raise DataError(f"{named_in} names {listed!r}, which lies outside of {self.root}; paths must be relative to it")
        return path

    def read_text(self, relative: str) -> str:
        """Reads a UTF-8 text file; a byte order mark and the line ends of any system are taken as they come.

        Raises:
          DataError: The file cannot be read or is not UTF-8 text.
        """
        try:
            with open(self.path(relative), encoding="utf-8-sig") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path(relative)} cannot be read as text ({error})") from error

    def read_rows(self, relative: str, delimiter: str = ",") -> list[list[str]]:
        """Reads a CSV file: cells without surrounding space, empty lines left out.

        Raises:
          DataError: As `read_text`, or the file is not CSV.
        """
        try:
            lines = csv.reader(self.read_text(relative).splitlines(), delimiter=delimiter, skipinitialspace=True)
            rows = [[cell.strip() for cell in row] for row in lines]
        except csv.Error as error:
            raise DataError(f"{self.path(relative)} cannot be read as a CSV file ({error})") from error
        return [row for row in rows if any(row)]
