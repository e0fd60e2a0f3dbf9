import json

import fsspec
import pytest

from data.errors import DataError
from data.preparing.listing import (
    ListedVideo,
    Segment,
    fingerprint,
    printable,
    printable_names,
    read_rows,
    source_of,
    video_from_json,
)
from data.source.tree import SourceTree
from data.text.cues import Cue

VIDEOS = [
    ListedVideo("a", "train", "a.mp4"),
    ListedVideo(
        "caf\udce9", "test", None, sound_path="caf\udce9.wav", label=3, caption_path="x.vtt", cues=(Cue("é", 0.5, 1.0),)
    ),
    ListedVideo(
        "b",
        "fold1",
        "b/b.mkv",
        labels=(),
        segments=(Segment("s"), Segment("t", 0.1, 2.0, (Cue("hi", 0.1, 0.3), Cue("", 1, 2)))),
    ),
    ListedVideo("c", "train", "c.mp4", labels=(4, 1)),
]


@pytest.mark.parametrize("video", VIDEOS)
def test_what_is_listed_comes_back_from_json(video):
    again = video_from_json(json.loads(json.dumps(video)))
    assert again == video and repr(again) == repr(video)


def test_fingerprint_follows_the_content_and_not_the_place(tmp_path):
    videos = [ListedVideo("a", "train", "a.mp4", caption_path="a.vtt"), ListedVideo("b", "train", "b.mp4")]
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        for name in ("a.mp4", "a.vtt", "b.mp4"):
            (tmp_path / folder / name).write_text(name)

    def now(folder, listed=videos):
        return fingerprint(SourceTree(tmp_path / folder), listed)

    before = now("here")
    assert now("there") == before
    (tmp_path / "there" / "a.vtt").write_text("other captions")
    assert now("there") != before
    (tmp_path / "here" / "b.mp4").unlink()
    assert now("here") != before
    different = [videos[:1], [videos[0]._replace(label=1), videos[1]], [videos[0], videos[1]._replace(split="test")]]
    assert len({now("here", listed) for listed in [videos, *different]}) == 4


def test_what_decides_no_record_is_not_in_the_fingerprint(tmp_path):
    (tmp_path / "a.mp4").touch()
    plain, marked = (
        ListedVideo("a", "train", "a.mp4", segments=(Segment("s", fills_file=it),)) for it in (False, True)
    )
    tree = SourceTree(tmp_path)
    assert (
        fingerprint(tree, [plain]) == fingerprint(tree, [marked]) == "94f75a838f1d37df"
    )  # as of before there was such a field
    again = video_from_json(json.loads(json.dumps(marked)))
    assert again == marked
    older = [*marked[:6], [marked.segments[0][:4]], *marked[7:]]  # from a plan of before there was such a field
    assert video_from_json(older) == plain


def test_the_fingerprint_of_a_remote_folder_asks_for_no_file(monkeypatch):
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe({f"/listed/{name}": b"x" for name in ("a.mp4", "b.mp4")})
    tree = SourceTree("memory://listed")
    for question in ("size", "exists", "open_binary"):
        monkeypatch.setattr(tree, question, lambda path: pytest.fail(f"a request for {path}"))
    videos = [ListedVideo(name, "train", f"{name}.mp4") for name in "ab"]
    assert fingerprint(tree, videos) != fingerprint(tree, videos[:1])


def test_names_that_are_not_text_can_be_printed():
    assert printable("folder/caf\udce9.mp4") == "folder/caf\ufffd.mp4" and printable("é.mp4") == "é.mp4"


def test_names_that_are_not_text_stay_different():
    paths = ["caf\udce9.mp4", "caf\udce8.mp4", "t\udce9.mp4", "é.mp4"]
    names = ["caf\\xe9.mp4", "caf\\xe8.mp4", "t\ufffd.mp4", "é.mp4"]
    assert printable_names(paths) == dict(zip(paths, names, strict=True))
    assert [source_of(ListedVideo(name, "train", path)) for path, name in zip(paths, names, strict=True)] == names
    assert source_of(ListedVideo("id", "train", "caf\udce9/id.mp4")) == "caf\ufffd/id.mp4"


def test_a_users_own_list_is_read_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_bytes(b"\xef\xbb\xbfa, b\r\n\r\nc,d\r\n")
    assert read_rows("mine.csv") == read_rows(str(tmp_path / "mine.csv")) == [["a", "b"], ["c", "d"]]
    for path in ("nowhere.csv", "no/where.csv"):
        with pytest.raises(DataError, match=path):
            read_rows(path)
