"""A data set's source as one zip or tar file: checked, unpacked once, and then a folder like any other."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

import tqdm

from data.errors import DataError
from data.source.names import leaves
from data.source.storage import scheme_of, storage_of

_ZIP, _TAR = (".zip",), (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_OTHERS = (".rar", ".7z")
_UNPACKED = "extracted"
# Our choice: an archive is known again by this much of its start and end, where the checksums are.
_FINGERPRINT_BYTES = 2**20
_COPIED_BYTES = 2**20
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


class _Member(NamedTuple):
    """A file of an archive: where it goes, its size, what it is, and the archive's own entry for it."""

    name: str
    size_bytes: int
    fault: str
    entry: zipfile.ZipInfo | tarfile.TarInfo


def open_source(source_dir: str | None, work_dir: str) -> str | None:
    """Returns the folder that a data set is read from; an archive is unpacked first.

    It is unpacked once, into `<work_dir>/extracted/<fingerprint>`, and may be deleted when the data are
    prepared. Where all its files lie in one folder, as in what GitHub hands out, that folder is returned.

    Args:
      source_dir: A folder, which is returned as it is, or a `.zip`, `.tar`, `.tar.gz`, `.tar.bz2` or
        `.tar.xz` file, here or in any storage of `data.source.storage`.
      work_dir: A folder on this machine; made if missing.

    Raises:
      DataError: A member would be written elsewhere, or is neither file nor folder; nothing is written
        then. Links are refused wherever they lead (our choice). Or the archive cannot be read, is of a
        kind that Python cannot unpack, or needs more space than is free.
    """
    name = (source_dir or "").lower()
    if not name.endswith(_ZIP + _TAR + _OTHERS) or not storage_of(source_dir).is_file(source_dir):
        return source_dir
    if name.endswith(_OTHERS):
        raise DataError(f"{source_dir} cannot be unpacked by Python; unpack it (unrar x, 7z x) and give its folder")
    if scheme_of(work_dir):
        raise DataError(
            f"{source_dir} is unpacked on this machine, but {work_dir} is not; unpack it and give its folder"
        )
    folder = os.path.join(work_dir, _UNPACKED)
    os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, _fingerprint(source_dir))
    with _only_one(folder):
        if not os.path.isdir(target):
            _unpack(source_dir, target)
    return _below_a_lone_folder(target)


def _fingerprint(path: str) -> str:
    storage = storage_of(path)
    size = storage.size(path)
    with storage.open(path) as file:
        digest = hashlib.sha256(f"{size}\n".encode() + file.read(_FINGERPRINT_BYTES))
        file.seek(max(0, size - _FINGERPRINT_BYTES))
        digest.update(file.read())
    if not scheme_of(path):
        digest.update(str(os.stat(path).st_mtime_ns).encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _only_one(folder: str) -> Iterator[None]:
    """Waits until no other process unpacks into the folder; the system lets go of it when one dies."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unpack(path: str, target: str) -> None:
    temporary = f"{target}.incomplete"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with storage_of(path).open(path) as file, _opened(path, file) as archive:
            members = list(_members(archive))
            _check(path, members, os.path.dirname(target))
            os.makedirs(temporary)
            for member in tqdm.tqdm(members, f"unpacking {posixpath.basename(path)}", unit=" files", mininterval=1):
                _write(archive, member, temporary)
    except _BROKEN as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.errno:  # of the system: no space left, no permission
            raise
        raise DataError(f"{path} cannot be unpacked; is it complete? ({error})") from error
    os.rename(temporary, target)


def _opened(path: str, file: BinaryIO) -> zipfile.ZipFile | tarfile.TarFile:
    return zipfile.ZipFile(file) if path.lower().endswith(_ZIP) else tarfile.open(fileobj=file)


def _members(archive: zipfile.ZipFile | tarfile.TarFile) -> Iterator[_Member]:
    """Yields all members but folders, which need not be written: files bring their own."""
    if isinstance(archive, zipfile.ZipFile):
        for info in archive.infolist():
            fault = _fault_in_name(info.filename) or _fault_in_zip(info)
            if fault or not info.is_dir():
                yield _Member(info.filename, info.file_size, fault, info)
        return
    for info in archive:
        fault = _fault_in_name(info.name) or _fault_in_tar(info)
        if fault or not info.isdir():
            yield _Member(info.name, info.size, fault, info)


def _fault_in_name(name: str) -> str:
    path = name.replace("\\", "/")
    if leaves(path) or ".." in path.split("/"):
        return "which lies outside of it"
    return ""


def _fault_in_zip(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.flag_bits & 1:
        return "which is encrypted"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "which is a link" if stat.S_ISLNK(mode) else "which is neither file nor folder"
    return ""


def _fault_in_tar(info: tarfile.TarInfo) -> str:
    if info.issym():
        return "which is a link"
    if info.islnk():  # to a member that comes before: another name of the same file
        return _fault_in_name(info.linkname) and f"which is a link to {info.linkname!r}"
    return "" if info.isfile() or info.isdir() else "which is neither file nor folder"


def _check(path: str, members: Iterable[_Member], folder: str) -> None:
    for member in members:
        if member.fault:
            raise DataError(
                f"{path} is not unpacked: it holds {member.name!r}, {member.fault}. If you trust it, unpack it "
                "yourself and give its folder."
            )
    needed, free = sum(member.size_bytes for member in members), shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{path} holds {needed / 1e9:.1f} GB, but {folder} has {free / 1e9:.1f} GB left; make room, or unpack it "
            "elsewhere and give its folder"
        )


def _write(archive: zipfile.ZipFile | tarfile.TarFile, member: _Member, folder: str) -> None:
    path = _place(folder, member.name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if isinstance(archive, zipfile.ZipFile):
        content = archive.open(member.entry)
    elif member.entry.islnk():
        os.link(_place(folder, member.entry.linkname), path)
        return
    else:
        content = archive.extractfile(member.entry)
    with content, open(path, "wb") as file:
        shutil.copyfileobj(content, file, _COPIED_BYTES)


def _place(folder: str, name: str) -> str:
    return os.path.join(folder, name.replace("\\", "/"))


def _below_a_lone_folder(folder: str) -> str:
    """Returns the only folder in a folder, if there is nothing else but what systems leave behind."""
    names = [name for name in os.listdir(folder) if not name.startswith((".", "__MACOSX"))]
    inner = os.path.join(folder, names[0]) if len(names) == 1 else ""
    return inner if os.path.isdir(inner) else folder
