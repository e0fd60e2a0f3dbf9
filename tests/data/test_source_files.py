import pytest

from data.source_files import find_captions, find_videos, fingerprint


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"content of " + name.encode())


def test_videos_are_found_anywhere_and_sorted(tmp_path):
    touch(tmp_path, "z.mp4", "a.MKV", "deep/er/b.webm", "c.Avi", "d.mov", "e.flv")
    touch(tmp_path, "notes.txt", "z.vtt", "._z.mp4", ".trash/f.mp4", "mp4")
    names = [video.name for video in find_videos(str(tmp_path))]
    assert names == ["a.MKV", "c.Avi", "d.mov", "deep/er/b.webm", "e.flv", "z.mp4"]


def test_a_dangling_link_counts_as_an_empty_file(tmp_path):
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (video,) = find_videos(str(tmp_path))
    assert video.size_bytes == 0


@pytest.mark.parametrize(
    ("neighbors", "chosen"),
    [
        (["clip.srt", "clip.vtt", "clip.en.vtt"], "clip.vtt"),
        (["clip.en.vtt", "clip.srt"], "clip.srt"),
        (["clip.en.vtt", "clip.de.srt"], "clip.de.srt"),
        (["clip.pt-BR.VTT"], "clip.pt-BR.VTT"),
        (["clip.zh-Hans.vtt"], "clip.zh-Hans.vtt"),
        (["clip2.vtt", "other.vtt", "clip.part2.vtt", "clip.txt", "clip.vtt.bak"], None),
        ([], None),
    ],
)
def test_captions_beside_a_video(neighbors, chosen):
    assert find_captions("clip.mp4", ["clip.mp4", *neighbors]) == chosen


def test_captions_are_sought_in_the_same_directory(tmp_path):
    touch(tmp_path, "one/clip.mp4", "one/clip.en.vtt", "two/clip.mp4")
    first, second = find_videos(str(tmp_path))
    assert first.caption_path == str(tmp_path / "one" / "clip.en.vtt")
    assert second.caption_path is None


def test_fingerprint_follows_the_content_and_not_the_place(tmp_path):
    for root in ("here", "there"):
        touch(tmp_path / root, "a.mp4", "a.vtt", "b.mp4")

    def now(root):
        return fingerprint(find_videos(str(tmp_path / root)))

    before = now("here")
    assert now("there") == before
    (tmp_path / "there" / "a.vtt").write_text("other captions")
    assert now("there") != before
    touch(tmp_path / "here", "c.mp4")
    assert now("here") != before


def test_names_that_are_not_text_can_be_printed(tmp_path):
    with open(bytes(tmp_path) + b"/caf\xe9.mp4", "wb") as file:
        file.write(b"x")
    (video,) = find_videos(str(tmp_path))
    assert video.name == "caf\ufffd.mp4" and video.name.encode()
