import io
import os
import stat
import tarfile
import types
import zipfile

import fsspec
import pytest

from data.errors import DataError
from data.source.archives import open_source

pytestmark = pytest.mark.every_python

FILES = {"meta/list.csv": b"a.mp4,1\n", "videos/a.mp4": b"A" * 3000, "videos/sub/b.mp4": bytes(range(256)) * 9}


def write_zip(path, files, mode=0o644):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return str(path)


def write_tar(path, files, **member):
    mode = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(path.suffix[1:], "w")
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in member.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return str(path)


def write(path, files):
    return write_zip(path, files) if path.suffix == ".zip" else write_tar(path, files)


def content(folder):
    paths = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return {os.path.relpath(path, folder): open(path, "rb").read() for path in paths}


@pytest.mark.parametrize("name", ["a.zip", "A.ZIP", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_an_archive_is_unpacked_once(name, tmp_path):
    archive = write(tmp_path / name.lower(), FILES)
    os.rename(archive, tmp_path / name)
    folder = open_source(str(tmp_path / name), str(tmp_path / "work"))
    assert content(folder) == FILES
    assert os.path.dirname(folder) == str(tmp_path / "work" / "extracted")
    before = os.stat(os.path.join(folder, "videos/a.mp4")).st_ino
    assert open_source(str(tmp_path / name), str(tmp_path / "work")) == folder
    assert os.stat(os.path.join(folder, "videos/a.mp4")).st_ino == before
    assert os.listdir(tmp_path / "work" / "extracted") == [os.path.basename(folder)]


def test_another_archive_of_the_same_name_is_another_folder(tmp_path):
    first = open_source(write(tmp_path / "a.tar", FILES), str(tmp_path / "work"))
    second = open_source(write(tmp_path / "a.tar", FILES | {"videos/a.mp4": b"B" * 3000}), str(tmp_path / "work"))
    assert content(first) == FILES
    assert content(second) == FILES | {"videos/a.mp4": b"B" * 3000}


def test_the_lone_folder_of_an_archive_is_the_source(tmp_path):
    wrapped = {f"ESC-50-master/{name}": file for name, file in FILES.items()} | {"__MACOSX/x": b"", ".DS_Store": b""}
    folder = open_source(write(tmp_path / "a.zip", wrapped), str(tmp_path / "work"))
    assert os.path.basename(folder) == "ESC-50-master"
    assert content(folder) == FILES


def test_an_archive_may_be_remote(tmp_path):
    archive = write(tmp_path / "a.tar.gz", FILES)
    fsspec.filesystem("memory").put_file(archive, "/archives/a.tar.gz")
    assert content(open_source("memory://archives/a.tar.gz", str(tmp_path / "work"))) == FILES


def test_folders_and_other_files_are_left_alone(tmp_path):
    folder = tmp_path / "unpacked.zip"
    folder.mkdir()
    for source in (str(tmp_path), str(folder), str(tmp_path / "missing.zip"), "gs.txt", None):
        assert open_source(source, str(tmp_path / "work")) == source
    assert not (tmp_path / "work").exists()


LEAVING = [
    "../evil.txt",
    "videos/../../evil.txt",
    "videos/..",
    "/evil.txt",
    "C:/evil.txt",
    "c:evil.txt",
    "..\\evil.txt",
    "\\evil",
]


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize("name", LEAVING)
def test_members_that_leave_are_refused(suffix, name, tmp_path):
    archive = write(tmp_path / f"bad{suffix}", FILES | {name: b"evil"})
    assert_refused(archive, tmp_path, repr(name)[1:-1], "lies outside")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "videos/a.mp4"])
def test_symbolic_links_are_refused(target, tmp_path):
    in_zip = write_zip(tmp_path / "bad.zip", {"link": target.encode()}, mode=stat.S_IFLNK | 0o777)
    assert_refused(in_zip, tmp_path, "link", "a link")
    in_tar = write_tar(tmp_path / "bad.tar", {"link": b""}, type=tarfile.SYMTYPE, linkname=target)
    assert_refused(in_tar, tmp_path, "link", "a link")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(kind, tmp_path):
    assert_refused(
        write_tar(tmp_path / "bad.tar", {"null": b""}, type=kind), tmp_path, "null", "neither file nor folder"
    )


def test_a_device_in_a_zip_file_is_refused(tmp_path):
    archive = write_zip(tmp_path / "bad.zip", {"null": b""}, mode=stat.S_IFCHR | 0o666)
    assert_refused(archive, tmp_path, "null", "neither file nor folder")


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret"])
def test_hard_links_that_leave_are_refused(target, tmp_path):
    archive = write_tar(tmp_path / "bad.tar", {"twin": b""}, type=tarfile.LNKTYPE, linkname=target)
    assert_refused(archive, tmp_path, "twin", "a link to")


def test_another_name_of_a_member_is_unpacked(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("videos/a.mp4")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"same"))
        twin = tarfile.TarInfo("twins/b.mp4")
        twin.type, twin.linkname = tarfile.LNKTYPE, "videos/a.mp4"
        archive.addfile(twin)
    assert content(open_source(str(tmp_path / "a.tar"), str(tmp_path / "work"))) == {
        "videos/a.mp4": b"same",
        "twins/b.mp4": b"same",
    }


def assert_refused(archive, tmp_path, *words):
    with pytest.raises(DataError) as error:
        open_source(archive, str(tmp_path / "work"))
    for word in (archive, *words):
        assert word in str(error.value)
    assert content(tmp_path / "work") == {}
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_an_archive_that_breaks_off_is_refused_and_leaves_nothing(name, share, tmp_path):
    path = tmp_path / name
    write(path, {f"{index}.bin": os.urandom(3000) for index in range(5)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match="cannot be unpacked; is it complete"):
        open_source(str(path), str(tmp_path / "work"))
    assert content(tmp_path / "work") == {}


def test_a_flipped_byte_in_a_zip_file_is_found(tmp_path):
    path = tmp_path / "a.zip"
    write(path, {"a.bin": os.urandom(3000)})
    damaged = bytearray(path.read_bytes())
    damaged[1500] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="CRC|decompressing"):
        open_source(str(path), str(tmp_path / "work"))
    assert content(tmp_path / "work") == {}


def test_an_archive_larger_than_the_disk_is_refused(tmp_path, monkeypatch):
    archive = write(tmp_path / "a.zip", FILES)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: types.SimpleNamespace(free=5000))
    with pytest.raises(DataError, match="make room"):
        open_source(archive, str(tmp_path / "work"))
    assert content(tmp_path / "work") == {}


@pytest.mark.parametrize("name", ["hmdb51_org.rar", "a.7z"])
def test_what_python_cannot_unpack_is_said(name, tmp_path):
    (tmp_path / name).write_bytes(b"Rar!")
    with pytest.raises(DataError, match="unpack it"):
        open_source(str(tmp_path / name), str(tmp_path / "work"))


def test_a_remote_work_directory_is_refused(tmp_path):
    with pytest.raises(DataError, match="this machine"):
        open_source(write(tmp_path / "a.zip", FILES), "gs://bucket/data")


def test_what_a_killed_run_left_is_removed(tmp_path):
    archive = write(tmp_path / "a.zip", FILES)
    folder = open_source(archive, str(tmp_path / "work"))
    os.rename(folder, f"{folder}.incomplete")
    (tmp_path / "work" / "extracted" / f"{os.path.basename(folder)}.incomplete" / "half").write_bytes(b"x")
    assert content(open_source(archive, str(tmp_path / "work"))) == FILES


def test_a_data_set_is_prepared_from_an_archive(write_video, run_prepare, read_records, tmp_path, capsys):
    video = write_video(tmp_path / "one.mp4")
    with open(video, "rb") as file:
        archive = write(tmp_path / "videos.tar.gz", {"videos/deep/one.mp4": file.read()})
    options = dict(dataset="folder", source_dir=archive, data_dir=str(tmp_path / "data"), test_fraction=0.0)
    assert run_prepare(**options) == 0
    assert run_prepare(**options) == 0
    assert "already prepared" in capsys.readouterr().out
    (record,) = read_records("folder", tmp_path / "data")["train"].values()
    assert record["source"] == b"deep/one.mp4" and len(record["video"]) == 10
