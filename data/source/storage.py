"""Where source files are: on this machine, where TensorFlow can read, or where fsspec can."""

from __future__ import annotations

import dataclasses
import io
import os
import posixpath
import re
from collections.abc import Callable
from typing import BinaryIO, Protocol

import fsspec
import tensorflow as tf

from data.errors import DataError
from data.source.regular_files import require_regular
from data.source.written_files import as_os_errors

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# Our choice: what one request to a remote store asks for at least.
_BLOCK_BYTES = 2**20
_PART_BLOCK = 2**16


class Storage(Protocol):
    """What is asked of a place that holds files; paths are whole, with their scheme.

    What cannot be reached or read raises `OSError`.
    """

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        """Returns the names of the folders and of the files in a folder; none where it is missing."""

    def is_folder(self, path: str) -> bool:
        """Returns whether there is such a folder."""

    def is_file(self, path: str) -> bool:
        """Returns whether there is such a file."""

    def size(self, path: str) -> int:
        """Returns a file's size in bytes."""

    def open(self, path: str) -> BinaryIO:
        """Opens a file to read it; it can be sought in, and two readers do not disturb each other."""


def storage_of(path: str) -> Storage:
    """Returns the storage that a path is in, by its scheme.

    A path without one is of this machine. TensorFlow reads `gs://` and `ram://`; all others (`s3://`,
    `az://`, `memory://`, ...) are those of fsspec, many of which need one more package.

    Raises:
      DataError: The scheme is unknown, or the package for it is not installed.
    """
    scheme = scheme_of(path)
    if not scheme:
        return _Disk()
    if scheme in tf.io.gfile.get_registered_schemes():
        return _TensorFlow()
    try:
        return _Fsspec(fsspec.filesystem(scheme))
    except (ValueError, ImportError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def scheme_of(path: str) -> str:
    """Returns the scheme of a remote path, such as `gs`; empty for a path of this machine."""
    match = _SCHEME.match(path)
    return match[1].lower() if match else ""


def join(folder: str, name: str) -> str:
    """Returns the path of what is below a folder, here or remote."""
    return posixpath.join(folder, name) if scheme_of(folder) else os.path.join(folder, name)


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file that is not on this machine; can be pickled, and opened as often as is needed.

    Attributes:
      path: Where it is, with its scheme.
    """

    path: str

    def open(self) -> BinaryIO:
        """Opens the file to read it; raises `OSError` where that cannot be done."""
        return storage_of(self.path).open(self.path)


@dataclasses.dataclass(frozen=True)
class FilePart:
    """A range of a file's bytes that is read like a file of its own; can be pickled, and opened as often as is needed.

    Attributes:
      path: The file, here or remote.
      start: Where in it the part begins.
      size_bytes: How long the part is.
    """

    path: str
    start: int
    size_bytes: int

    def open(self) -> BinaryIO:
        """Opens the part to read it; raises `OSError` where that cannot be done."""
        return io.BufferedReader(_Part(storage_of(self.path).open(self.path), self.start, self.size_bytes), _PART_BLOCK)


class _Disk:
    """The files of this machine. Links to folders are followed, but for those that lead back up."""

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        if not os.path.isdir(folder):
            return [], []
        folders, files = [], []
        with os.scandir(folder) as found:
            for entry in found:
                if not _is_folder(entry):
                    files.append(entry.name)
                elif not (entry.is_symlink() and _leads_back(entry.path)):
                    folders.append(entry.name)
        return folders, files

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)

    def is_file(self, path: str) -> bool:
        return os.path.isfile(path)

    def size(self, path: str) -> int:
        return os.path.getsize(path)

    def open(self, path: str) -> BinaryIO:
        require_regular(path)
        return open(path, "rb")


class _TensorFlow:
    """What TensorFlow's file systems hold, such as Google Cloud Storage."""

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        if not self.is_folder(folder):
            return [], []
        folders, files = [], []
        with as_os_errors(folder):
            for name in tf.io.gfile.listdir(folder):
                is_folder = name.endswith("/")
                if scheme_of(folder) != "gs":  # Cloud Storage marks its folders: one request less per file.
                    is_folder = is_folder or self.is_folder(posixpath.join(folder, name))
                (folders if is_folder else files).append(name.rstrip("/"))
        return folders, files

    def is_folder(self, path: str) -> bool:
        with as_os_errors(path):
            return tf.io.gfile.isdir(path)

    def is_file(self, path: str) -> bool:
        with as_os_errors(path):
            return tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path)

    def size(self, path: str) -> int:
        with as_os_errors(path):
            return tf.io.gfile.stat(path).length

    def open(self, path: str) -> BinaryIO:
        file, size = tf.io.gfile.GFile(path, "rb"), self.size(path)

        def read(start: int, end: int) -> bytes:
            with as_os_errors(path):
                file.seek(start)
                return file.read(end - start)

        return io.BufferedReader(_Ranges(size, read), _BLOCK_BYTES)


class _Fsspec:
    """What a file system of fsspec holds."""

    def __init__(self, system: fsspec.AbstractFileSystem):
        self._system = system

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        try:
            _, folders, files = next(self._system.walk(folder, maxdepth=1, on_error="raise"))
        except FileNotFoundError:
            return [], []
        return folders, [name for name in files if name]  # nameless: the folder's own marker

    def is_folder(self, path: str) -> bool:
        return self._system.isdir(path)

    def is_file(self, path: str) -> bool:
        return self._system.isfile(path)

    def size(self, path: str) -> int:
        return self._system.size(path)

    def open(self, path: str) -> BinaryIO:
        # Not the file system's own `open`: two readers of a file in memory would share their place in it.
        read = lambda start, end: self._system.cat_file(path, start=start, end=end)  # noqa: E731
        return io.BufferedReader(_Ranges(self.size(path), read), _BLOCK_BYTES)


class _Ranges(io.RawIOBase):
    """A file that is read by asking for ranges of its bytes."""

    def __init__(self, size_bytes: int, read_range: Callable[[int, int], bytes]):
        self._size, self._read_range, self._place = size_bytes, read_range, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = max(0, offset + (0, self._place, self._size)[whence])
        return self._place

    def readinto(self, buffer: memoryview) -> int:
        end = min(self._place + len(buffer), self._size)
        if end <= self._place:
            return 0
        found = self._read_range(self._place, end)
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)


class _Part(_Ranges):
    """A range of an open file, which it closes in the end."""

    def __init__(self, file: BinaryIO, start: int, size_bytes: int):
        super().__init__(size_bytes, self._read)
        self._file, self._start = file, start

    def _read(self, start: int, end: int) -> bytes:
        self._file.seek(self._start + start)
        return self._file.read(end - start)

    def close(self) -> None:
        self._file.close()
        super().close()


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; whoever opens it learns that it cannot be
        return False


def _leads_back(link: str) -> bool:
    target, here = os.path.realpath(link), os.path.realpath(os.path.dirname(link))
    return here == target or here.startswith(os.path.join(target, ""))
