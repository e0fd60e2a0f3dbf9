"""Tar files of samples: what is listed, and what is wrong with tar files that are broken or mean harm."""

import io
import pickle
import tarfile

import pytest

from data.source.storage import FilePart
from data.source.tars import is_shard, list_tar

pytestmark = pytest.mark.every_python


def tar_of(*members, form=tarfile.PAX_FORMAT, **changes):
    """The bytes of a tar file: members are (name, content) or a `TarInfo` with its content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for named, content in members:
            info = named if isinstance(named, tarfile.TarInfo) else tarfile.TarInfo(named)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def listed(content, path="00000.tar"):
    found = list_tar(io.BytesIO(content), len(content), path)
    return {m.path: content[m.start : m.start + m.size_bytes] for m in found.members}, dict(found.faults)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_found_where_they_are(form):
    long = "d" * 99 + "/" + "n" * 120 + ".mp4" if form != tarfile.USTAR_FORMAT else "d/n.mp4"
    files = {"a.mp4": b"x" * 700, "a.txt": b"", long: b"deep"}
    directory = special("folder", tarfile.DIRTYPE)
    members, faults = listed(tar_of(*files.items(), directory, ("./b.mp4", b"dot"), ("._a.mp4", b"mac"), form=form))
    assert members == {f"00000.tar/{name}": content for name, content in files.items()} | {"00000.tar/b.mp4": b"dot"}
    assert faults == {}


def test_what_leads_out_or_is_no_file_is_named():
    content = tar_of(
        ("good.mp4", b"good"),
        ("../out.mp4", b"x"),
        ("/abs.mp4", b"x"),
        ("a/../../up.mp4", b"x"),
        special("soft.mp4", tarfile.SYMTYPE, "/etc/passwd"),
        special("hard.mp4", tarfile.LNKTYPE, "good.mp4"),
        special("pipe.mp4", tarfile.FIFOTYPE),
        special("device.mp4", tarfile.CHRTYPE),
        ("good.mp4", b"second"),
    )
    members, faults = listed(content)
    assert members == {"00000.tar/good.mp4": b"good"}
    reasons = {path.split("/")[-1]: reason for path, reason in faults.items()}
    assert all("leads out" in reasons[name] for name in ("out.mp4", "abs.mp4", "up.mp4"))
    assert reasons["soft.mp4"] == reasons["hard.mp4"] == "a link in a tar file"
    assert "neither a file nor a folder" in reasons["pipe.mp4"] and "neither" in reasons["device.mp4"]
    assert reasons["good.mp4"] == "again: the first is used"


WHOLE = tar_of(("a.mp4", b"a" * 1000), ("b.mp4", b"b" * 1000))


@pytest.mark.parametrize(
    ("content", "names", "reason"),
    [
        (WHOLE[: 512 + 1024 + 512 + 300], {"a.mp4": 1000, "b.mp4": 300}, "cut off or damaged"),
        (WHOLE[: 512 + 1024], {"a.mp4": 1000}, "no end mark"),
        (WHOLE[: 512 + 1024 + 100], {"a.mp4": 1000}, "no end mark"),
        (WHOLE[:1536] + b"\x99" * 512 + WHOLE[2048:], {"a.mp4": 1000}, "damaged at byte 1536"),
        (b"", {}, "cut off or damaged"),
        (b"Dear Anna, this is no tar file.\n" * 40, {}, "cut off or damaged"),
        (b"\x1f\x8b" + b"x" * 1000, {}, "cut off or damaged"),
    ],
)
def test_a_damaged_tar_file_gives_what_is_there_and_is_named(content, names, reason):
    members, faults = listed(content)
    assert {path.removeprefix("00000.tar/"): len(found) for path, found in members.items()} == names
    assert list(faults) == ["00000.tar"] and reason in faults["00000.tar"]


def test_what_a_header_claims_does_not_fill_the_memory():
    huge = tarfile.TarInfo("huge.mp4")
    huge.size = 2**40
    claims = huge.tobuf(tarfile.GNU_FORMAT) + b"x" * 600
    members, faults = listed(claims)
    assert members == {"00000.tar/huge.mp4": b"x" * 600} and "cut off" in faults["00000.tar"]
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**33
    members, faults = listed(tar_of(("a.mp4", b"a"))[:1024] + header.tobuf(tarfile.GNU_FORMAT) + b"x" * 2000)
    assert members == {"00000.tar/a.mp4": b"a"} and "a header of" in faults["00000.tar"]


def test_only_numbered_tar_files_are_shards():
    yes = ["00000.tar", "a/00012.tar", "train-000001.tar", "shard_0001.TAR", "x.3.tar"]
    no = ["backup.tar", "00000.tar.gz", "00000.tgz", "videos2.tar", "00000.zip", ".tar"]
    assert all(map(is_shard, yes)) and not any(map(is_shard, no))


def test_a_part_of_a_file_is_read_like_a_file(tmp_path):
    (tmp_path / "whole").write_bytes(bytes(range(200)))
    part = pickle.loads(pickle.dumps(FilePart(str(tmp_path / "whole"), 50, 100)))
    with part.open() as file, part.open() as other:
        assert file.read(3) == bytes([50, 51, 52])
        assert other.seek(-2, io.SEEK_END) == 98 and other.read() == bytes([148, 149])
        assert file.read() == bytes(range(53, 150)) and file.read(1) == b""
        file.seek(200)
        assert file.read() == b""
