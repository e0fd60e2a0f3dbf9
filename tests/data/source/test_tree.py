import os
import pathlib
import pickle
import runpy
import uuid

import fsspec
import numpy as np
import pytest
import tensorflow as tf

from data.errors import DataError
from data.media.reader import MediaFormat, MediaReader
from data.source.tree import SourceTree

MEDIA = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "media_files.py"))


@pytest.fixture(params=["disk", "ram", "memory"])
def write_tree(request, tmp_path):
    """A function (name -> content) -> SourceTree over a folder of that kind that holds these files."""
    root = {"disk": str(tmp_path)}.get(request.param, f"{request.param}://tree{uuid.uuid4().hex}")

    def write(files):
        for name, content in files.items():
            path = f"{root}/{name}"
            if request.param == "memory":
                fsspec.filesystem("memory").pipe_file(path, content)
                continue
            tf.io.gfile.makedirs(os.path.dirname(path))
            with tf.io.gfile.GFile(path, "wb") as file:
                file.write(content)
        return SourceTree(root)

    return write


def test_files_are_found_anywhere_and_sorted(write_tree):
    names = ["z.mp4", "a.MKV", "deep/er/b.webm", "deep/a.mp4", "notes.txt", "._z.mp4", ".trash/f.mp4", "mp4"]
    tree = write_tree({name: b"content" for name in names})
    assert list(tree.find((".mp4", ".mkv", ".webm"))) == ["a.MKV", "z.mp4", "deep/a.mp4", "deep/er/b.webm"]
    assert list(tree.find((".webm", ".mp4"), below="deep")) == ["deep/a.mp4", "deep/er/b.webm"]
    assert list(tree.find((".mp4",), below="missing")) == []


def test_files_are_looked_up(write_tree):
    tree = write_tree({"deep/a.bin": b"12345"})
    assert tree.exists("deep/a.bin")
    assert not tree.exists("deep") and not tree.exists("deep/b.bin") and not tree.exists("a.bin")
    assert tree.size("deep/a.bin") == 5


def test_bytes_are_read_from_anywhere_in_a_file(write_tree):
    content = np.arange(700_000, dtype=np.uint32).tobytes()  # more than two blocks
    tree = write_tree({"a.bin": content})
    with tree.open_binary("a.bin") as one, tree.open_binary("a.bin") as other:
        assert one.read(10) == content[:10]
        assert other.seek(2_000_000) == 2_000_000
        assert other.read(7) == content[2_000_000:2_000_007]
        assert one.read(5) == content[10:15]  # readers do not disturb each other
        assert other.seek(-3, os.SEEK_END) == len(content) - 3
        assert other.read() == content[-3:] and other.read() == b""
        other.seek(-10, os.SEEK_CUR)
        assert other.read(3) == content[-10:-7]
        one.seek(0)
        assert one.read() == content


def test_text_is_read_as_any_system_writes_it(write_tree):
    tree = write_tree({"a.txt": "\ufeffeins\r\nzwei\rdrei ä\u2028!\n\n".encode(), "empty.txt": b""})
    assert tree.read_text("a.txt") == "eins\nzwei\ndrei ä\u2028!\n\n"
    assert list(tree.read_lines("a.txt")) == ["eins", "zwei", "drei ä\u2028!", ""]
    assert tree.read_text("empty.txt") == "" and list(tree.read_lines("empty.txt")) == []
    with tree.open_text("a.txt") as text:
        assert text.read(3) == "ein"


def test_rows_are_read(write_tree):
    content = '\ufeffid, name \r\n\r\n1, "a, b"\r\n2,"two\r\nlines"\r\n,\r\n'.encode()
    tree = write_tree({"a.csv": content, "b.tsv": b"x\ty z\n"})
    assert tree.read_rows("a.csv") == [["id", "name"], ["1", "a, b"], ["2", "two\nlines"]]
    assert tree.read_rows("b.tsv", delimiter="\t") == [["x", "y z"]]
    assert next(tree.stream_rows("a.csv")) == ["id", "name"]


@pytest.mark.parametrize("read", ["read_text", "read_rows"])
def test_what_cannot_be_read_as_text_is_named(read, write_tree):
    tree = write_tree({"latin.csv": "a,ä\n".encode("latin-1")})
    with pytest.raises(DataError, match=r"latin\.csv cannot be read as text"):
        getattr(tree, read)("latin.csv")
    with pytest.raises(DataError, match=r"missing\.csv cannot be opened"):
        getattr(tree, read)("missing.csv")


@pytest.mark.parametrize("content", ["{", "[" * 100_000, "9" * 5000], ids=["half", "nested", "digits"])
def test_what_cannot_be_read_as_json_is_named(content, write_tree):
    with pytest.raises(DataError, match=r"list\.json cannot be read as JSON"):
        write_tree({"list.json": content.encode()}).read_json("list.json")


def test_a_line_that_is_no_csv_is_named(write_tree):
    tree = write_tree({"a.csv": b'"' + b"x" * 200_000 + b'"\n'})
    with pytest.raises(DataError, match=r"a\.csv cannot be read as a CSV file \(field larger"):
        tree.read_rows("a.csv")


@pytest.mark.parametrize(
    "listed", ["/etc/passwd", "../b.mp4", "a/../../b.mp4", "..", "C:\\b.mp4", "..\\b.mp4", "c:b.mp4"]
)
def test_listed_paths_that_leave_are_refused(listed, write_tree):
    tree = write_tree({"a.csv": b""})
    with pytest.raises(DataError) as error:
        tree.inside(listed, "a.csv")
    assert repr(listed) in str(error.value) and "a.csv" in str(error.value) and tree.root in str(error.value)


def test_listed_paths_are_brought_into_one_form(write_tree):
    tree = write_tree({"a.csv": b""})
    assert tree.inside("./b\\c/../d..e.mp4", "a.csv") == "b/d..e.mp4"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_media_are_read_from_any_storage(suffix, write_tree, tmp_path):
    local = MEDIA["write_media"](tmp_path / f"local{suffix}", MEDIA["moving_square"](12), MEDIA["tone"](1.2, 48000))
    tree = write_tree({f"videos/clip{suffix}": local.read_bytes()})
    source = pickle.loads(pickle.dumps(tree.media(f"videos/clip{suffix}")))
    (expected,), (found,) = (list(MediaReader(file, MediaFormat()).clips(2.0)) for file in (local, source))
    np.testing.assert_array_equal(found.frames, expected.frames)
    np.testing.assert_array_equal(found.audio, expected.audio)
    assert len(found.frames) == 12 and found.audio.size
    other = MediaReader(local, MediaFormat(), sound_source=source)
    np.testing.assert_array_equal(next(other.clips(2.0)).audio, expected.audio)


def test_media_that_are_not_there_are_named(write_tree):
    tree = write_tree({"a.txt": b""})
    with pytest.raises(DataError, match="cannot be opened"):
        next(MediaReader(tree.media("gone.mp4"), MediaFormat()).clips(1.0))


def test_failing_storage_is_not_taken_for_the_end_of_the_video(tmp_path, monkeypatch):
    path = MEDIA["write_media"](tmp_path / "a.avi", MEDIA["moving_square"](40, 96, 128))
    memory = fsspec.filesystem("memory")
    memory.put_file(str(path), "/failing/a.avi")
    read, asked = memory.cat_file, []

    def failing(path, start, end):
        asked.append(start)
        if len(asked) > 1:
            raise OSError("the network is down")
        return read(path, start, min(end, start + 50_000))

    monkeypatch.setattr(memory, "cat_file", failing)
    with pytest.raises(DataError, match="the network is down"):
        list(MediaReader(SourceTree("memory://failing").media("a.avi"), MediaFormat()).clips(1.0))


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        (None, "should be the data set's folder"),
        ("/nowhere", "should be the data set's folder"),
        ("ram://nowhere", "should be the data set's folder"),
        ("memory://nowhere", "should be the data set's folder"),
        ("nosuch://bucket/a", "Protocol not known: nosuch"),
    ],
)
def test_a_root_that_is_no_folder_is_refused(root, reason):
    with pytest.raises(DataError, match=reason):
        SourceTree(root)


def test_links_are_followed_but_not_in_circles(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.mp4").write_bytes(b"")
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "a.mp4").write_bytes(b"")
    (tree / "disk2").symlink_to(tmp_path / "elsewhere")
    (tree / "sub" / "back").symlink_to(tree)
    (tree / "same").symlink_to(".")
    (tree / "gone").symlink_to(tmp_path / "nowhere")
    assert list(SourceTree(tree).find((".mp4",))) == ["a.mp4", "disk2/b.mp4"]
