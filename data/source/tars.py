"""Tar files of samples, as webdataset, img2dataset and video2dataset write them: listed, and never unpacked."""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from data.source.names import leaves

# Our choice: the description of a member (a long name, extended attributes) is never this long.
_LONGEST_HEADER_BYTES = 2**20
_SHARD = re.compile(r"(?:.*[-_.])?\d+\.tar", re.IGNORECASE)


class Member(NamedTuple):
    """A file in a tar file.

    Attributes:
      path: The path of the tar file and the name in it, with `/` between them.
      tar: The path of the tar file, relative to the source folder.
      start: The byte of the tar file at which its content starts.
      size_bytes: How long the content is.
    """

    path: str
    tar: str
    start: int
    size_bytes: int


class TarContent(NamedTuple):
    """What is in a tar file.

    Attributes:
      members: The files, in order, hidden ones aside.
      faults: (path, reason) of what is not read: members, or the tar file from some byte on.
    """

    members: list[Member]
    faults: list[tuple[str, str]]


def is_shard(path: str) -> bool:
    """Returns whether a file is called like a shard of samples: `00000.tar`, `train-000012.tar`."""
    return _SHARD.fullmatch(posixpath.basename(path)) is not None


def list_tar(file: BinaryIO, size_bytes: int, path: str) -> TarContent:
    """Lists the files in an uncompressed tar file; reads the headers alone.

    Links, devices, sparse files and names that lead out of the tar file are not listed, of several members with one name only
    the first is. A tar file that is cut off or damaged gives the members before that, and what there is of the last.

    Args:
      file: The tar file, which can be sought in.
      size_bytes: Its size.
      path: Its path, relative to the source folder.
    """
    found: dict[str, Member] = {}
    faults = []
    try:
        with tarfile.open(fileobj=_Headers(file), mode="r:") as archive:
            while (info := archive.next()) is not None:
                archive.members.clear()  # Else it keeps all of them.
                if archive.offset <= info.offset:
                    raise tarfile.ReadError(f"{info.name!r} has a negative size")
                name = posixpath.join(path, posixpath.normpath(info.name))
                if fault := "again: the first is used" if name in found else _fault(info):
                    faults.append((name, fault))
                elif info.isfile() and not _is_hidden(info.name):
                    there = max(0, min(info.size, size_bytes - info.offset_data))
                    found[name] = Member(name, path, info.offset_data, there)
            faults += [(path, fault) for fault in _faults_at_end(file, archive.offset, size_bytes)]
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:
        faults.append((path, f"the tar file is cut off or damaged ({error}); {len(found)} files in it are read"))
    return TarContent(list(found.values()), faults)


def _faults_at_end(file: BinaryIO, offset: int, size_bytes: int) -> Iterator[str]:
    """Says what is wrong where the last header was found: there should be zeros."""
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        yield "the tar file has no end mark: it may be cut off"
    elif any(block):
        yield f"the tar file is damaged at byte {offset} of {size_bytes}; what follows is not read"


def _fault(info: tarfile.TarInfo) -> str:
    name = info.name.replace("\\", "/")
    if leaves(posixpath.normpath(name)) or ".." in name.split("/"):
        return "its name leads out of the tar file"
    if info.issym() or info.islnk():
        return "a link in a tar file"
    if info.issparse():
        return "a sparse file in a tar file"
    return "" if info.isfile() or info.isdir() else "neither a file nor a folder in a tar file"


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in posixpath.normpath(name).split("/"))


class _Headers:
    """A tar file of which only headers are read: what one claims to be does not fill the memory."""

    def __init__(self, file: BinaryIO):
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _LONGEST_HEADER_BYTES:
            raise OSError(f"a header of {size} bytes")
        return self._file.read(size)
