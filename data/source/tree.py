"""A data set's source folder: which files there are, and what their lists say."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, TextIO

from data.errors import DataError
from data.source.names import composed, leaves
from data.source.regular_files import require_regular
from data.source.storage import FilePart, RemoteFile, join, scheme_of, storage_of
from data.source.tars import Member


class SourceTree:
    """The files below a folder, on this machine or in any storage of `data.source.storage`.

    Attributes:
      root: The folder.
    """

    def __init__(self, root: str | os.PathLike | None):
        """Takes the folder, such as `/data/ESC-50` or `gs://bucket/ESC-50`.

        Raises:
          DataError: There is no such folder.
        """
        self.root = os.fspath(root or "")
        self._storage = storage_of(self.root)
        if not root or not self._storage.is_folder(self.root):
            raise DataError(f"--source_dir should be the data set's folder. Found {root!r}")
        self._members: dict[str, Member] = {}

    def with_members(self, members: Iterable[Member]) -> SourceTree:
        """Returns the tree with files that lie in its tar files; `find` does not list them."""
        tree = copy.copy(self)
        tree._members = {member.path: member for member in members}
        return tree

    def find(self, suffixes: Sequence[str], below: str = "") -> Iterator[str]:
        """Yields the files anywhere below a folder of the tree with one of the suffixes, in any case of letters.

        They come sorted, relative to the root and with `/`; hidden files and folders are skipped. A
        folder that is not there holds nothing.
        """
        folders, files = self._storage.entries(self.path(below))
        for name in sorted(files):
            if name.lower().endswith(tuple(suffixes)) and not name.startswith("."):
                yield posixpath.join(below, name)
        for name in sorted(folders):
            if not name.startswith("."):
                yield from self.find(suffixes, posixpath.join(below, name))

    def path(self, relative: str) -> str:
        """Returns where a file of the tree is."""
        return join(self.root, relative) if relative else self.root

    def exists(self, relative: str) -> bool:
        """Returns whether the tree has this file."""
        return relative in self._members or self._storage.is_file(self.path(relative))

    def unusual(self, relative: str) -> str:
        """Says what there is that is neither a file nor a folder, such as a named pipe; empty for all else."""
        if scheme_of(self.root):
            return ""
        try:
            require_regular(self.path(relative))
        except FileNotFoundError:
            return ""
        except OSError as error:  # a link to itself is one of "too many levels"
            return error.strerror or str(error)
        return ""

    def size(self, relative: str) -> int:
        """Returns a file's size in bytes."""
        if relative in self._members:
            return self._members[relative].size_bytes
        return self._storage.size(self.path(relative))

    def media(self, relative: str) -> str | RemoteFile | FilePart:
        """Returns what `data.media.reader.MediaReader` takes to open a file of the tree; can be pickled."""
        if relative in self._members:
            return self._part(relative)
        path = self.path(relative)
        return RemoteFile(path) if scheme_of(path) else path

    def _part(self, relative: str) -> FilePart:
        member = self._members[relative]
        return FilePart(self.path(member.tar), member.start, member.size_bytes)

    def inside(self, listed: str, named_in: str) -> str:
        """Returns a path that a list names, as one relative to the root.

        Args:
          listed: The path, as listed; `/` or `\\` between its parts.
          named_in: The list, for the error.

        Raises:
          DataError: The path is absolute, or leaves the tree by `..`.
        """
        path = posixpath.normpath(listed.replace("\\", "/"))
        if leaves(path):
            raise DataError(
                f"{named_in} names {listed!r}, which lies outside of {self.root}; paths should be relative to it"
            )
        return path

    def open_binary(self, relative: str) -> BinaryIO:
        """Opens a file to read its bytes; it can be sought in.

        Raises:
          DataError: The file cannot be opened.
        """
        try:
            if relative in self._members:
                return self._part(relative).open()
            return self._storage.open(self.path(relative))
        except OSError as error:
            raise DataError(f"{self.path(relative)} cannot be opened ({error})") from error

    @contextlib.contextmanager
    def open_text(self, relative: str) -> Iterator[TextIO]:
        """Opens a UTF-8 text file for a `with` statement, to read it piece by piece.

        A byte order mark and the line ends of any system are taken as they come.

        Raises:
          DataError: The file cannot be opened or read, or is not UTF-8 text.
        """
        try:
            with io.TextIOWrapper(self.open_binary(relative), encoding="utf-8-sig") as text:
                yield text
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path(relative)} cannot be read as text ({error})") from error

    def read_text(self, relative: str) -> str:
        """Reads a whole text file; errors as in `open_text`."""
        with self.open_text(relative) as text:
            return text.read()

    def read_lines(self, relative: str) -> Iterator[str]:
        """Yields the lines of a text file, `composed`, without their ends, one at a time; errors as in `open_text`."""
        with self.open_text(relative) as text:
            for line in text:
                yield composed(line.rstrip("\n"))

    def read_json(self, relative: str) -> Any:
        """Reads a whole JSON file; raises `DataError` if it is not JSON, and as `open_text`."""
        text = self.read_text(relative)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:  # also of numbers with too many digits
            raise DataError(f"{self.path(relative)} cannot be read as JSON ({error})") from error

    def read_rows(self, relative: str, delimiter: str = ",") -> list[list[str]]:
        """Reads a CSV file: cells `composed` and without surrounding space, empty lines skipped.

        Raises:
          DataError: As `open_text`, or the file is not CSV.
        """
        return list(self.stream_rows(relative, delimiter))

    def stream_rows(self, relative: str, delimiter: str = ",") -> Iterator[list[str]]:
        """Yields the rows of `read_rows` one at a time, for files that are too large for memory."""
        with self.open_text(relative) as text:
            try:
                for row in csv.reader(text, delimiter=delimiter, skipinitialspace=True):
                    if cells := [composed(cell.strip()) for cell in row]:
                        if any(cells):
                            yield cells
            except csv.Error as error:
                raise DataError(f"{self.path(relative)} cannot be read as a CSV file ({error})") from error
