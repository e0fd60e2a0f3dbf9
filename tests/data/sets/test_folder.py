import json
import math
import os
import socket

import av
import numpy as np
import pytest
import tensorflow_datasets as tfds

from data.errors import DataError, PreparationError
from data.preparing.prepare import prepare
from data.sets.folder import Folder, FolderConfig
from data.source.file_kinds import VIDEO_SUFFIXES

pytestmark = pytest.mark.every_python

SETTINGS = dict(image_size_px=32, sample_rate_hz=8000)
CAPTIONS = (
    "WEBVTT\r\n\r\n00:01.000 --> 00:02.000\r\nstart here\r\n\r\n"
    "00:12.500 --> 00:13.500\r\nin the second clip\r\n\r\n00:5x.000 --> 00:06.000\r\nbroken\r\n"
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory, write_video):
    """Good and bad files side by side."""
    root = tmp_path_factory.mktemp("videos")
    write_video(root / "long.mp4", seconds=21.0)
    (root / "long.en.vtt").write_bytes(b"\xef\xbb\xbf" + CAPTIONS.encode())
    write_video(root / "deep" / "SHORT.MP4", seconds=0.5)
    (root / "deep" / "SHORT.srt").write_text("1\n00:00:00,100 --> 00:00:00,400\nshort\n")
    write_video(root / "mute.mp4", seconds=3.0, sound=False)
    (root / "mute.srt").write_text("no captions in here\n")
    (root / "empty.mp4").touch()
    (root / "letter.mp4").write_text("Dear Anna, this is not a video.\n" * 20)
    whole = (root / "long.mp4").read_bytes()
    (root / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    return root


@pytest.fixture(scope="module")
def prepared(videos, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("folder")
    config = FolderConfig(source_dir=str(videos), test_fraction=0.0, **SETTINGS)
    return prepare(Folder, config, str(data_dir))


@pytest.fixture(scope="module")
def records(prepared):
    builder = tfds.builder_from_directory(prepared.directory)
    found = tfds.as_numpy(builder.as_dataset(split="train"))
    return {record["clip_id"].decode(): record for record in found}


def texts(record):
    return [text.decode() for text in record["captions"]["text"]]


def test_long_videos_are_cut_and_short_ones_kept(records):
    # The last second of long.mp4 is shorter than minimum_seconds.
    assert set(records) == {
        "long.mp4@0.00",
        "long.mp4@10.00",
        "mute.mp4@0.00",
        "deep/SHORT.MP4@0.00",
    }
    assert records["long.mp4@10.00"]["start_seconds"] == 10.0
    assert records["long.mp4@10.00"]["video"].shape == (100, 32, 48, 3)
    assert records["long.mp4@10.00"]["audio"].shape == (80000,)
    assert records["deep/SHORT.MP4@0.00"]["video"].shape == (5, 32, 48, 3)
    assert records["deep/SHORT.MP4@0.00"]["source"] == b"deep/SHORT.MP4"


def test_clips_hold_their_own_part_of_the_video(records):
    # The gray level rises by 20 a second.
    for clip_id, level in (("long.mp4@0.00", 20), ("long.mp4@10.00", 220)):
        assert records[clip_id]["video"][0].mean() == pytest.approx(level, abs=4)


def test_captions_go_to_the_clips_they_are_near(records):
    assert texts(records["long.mp4@0.00"]) == ["start here", "in the second clip"]
    second = records["long.mp4@10.00"]
    assert texts(second) == ["start here", "in the second clip"]
    np.testing.assert_allclose(second["captions"]["start_seconds"], [-9.0, 2.5], atol=1e-5)
    assert texts(records["deep/SHORT.MP4@0.00"]) == ["short"]


def test_what_is_missing_is_empty(records):
    assert records["mute.mp4@0.00"]["audio"].shape == (0,)
    assert texts(records["mute.mp4@0.00"]) == []
    assert {record["label"] for record in records.values()} == {-1}
    assert {record["text_aligned"] for record in records.values()} == {-1}


def test_report_counts_and_names_everything(prepared):
    with open(f"{prepared.directory}/prepare_report.json") as file:
        report = json.load(file)
    assert report == prepared.report
    assert report["clips"] == {"train": 4}
    counts = {name: value for name, value in report.items() if name.startswith(("videos", "clips_"))}
    assert counts == {
        "videos_listed": {"train": 6},
        "videos_used": 3,
        "videos_skipped": 3,
        "videos_without_audio_track": 1,
        "videos_without_captions": 1,
        "clips_skipped": 0,
        "clips_without_audio": 1,
        "clips_without_captions": 1,
        "clips_per_class": {},
    }
    skipped = {name: reason for reason, names in report["skipped"].items() for name in names}
    assert set(skipped) == {"empty.mp4", "letter.mp4", "cut.mp4"}
    assert "0 bytes" in skipped["empty.mp4"]
    assert "not a media file" in skipped["letter.mp4"]
    assert "cut off" in skipped["cut.mp4"]
    assert report["broken_cues"] == {"long.mp4": 1}
    assert list(report["unreadable_captions"]) == ["mute.mp4"]
    assert report["video_seconds"] == pytest.approx(23.5)
    assert report["seconds"] > 0


OTHER_ENDINGS = {
    "mp4": ("libx264", [".m4v", ".f4v", ".3gp", ".3g2"]),
    "mpeg": ("mpeg2video", [".mpg", ".mpeg"]),
    "vob": ("mpeg2video", [".vob"]),
    "asf": ("wmv2", [".wmv", ".asf"]),
    "mpegts": ("libx264", [".ts", ".mts", ".m2ts"]),
    "avi": ("mpeg4", [".divx"]),
    "ogg": ("libvpx", [".ogv"]),
}


def test_all_videos_are_read_and_what_is_not_is_named(tmp_path, write_flash):
    source = tmp_path / "source"
    source.mkdir()
    files = [(ending, form, codec) for form, (codec, endings) in OTHER_ENDINGS.items() for ending in endings]
    for ending, form, codec in files:
        with av.open(str(source / f"clip{ending.upper()}"), "w", format=form) as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
            for level in range(10, 250, 24):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8))))
            container.mux(stream.encode(None))
    (source / "letter.ts").write_text("const anna = 'Dear Anna';\n" * 20)
    for name in ("clip.en.vtt", "Clip2.vtt", "other.vtt", "notes.txt", "a.jpg", "b.JPG"):
        (source / name).write_text("WEBVTT\n\n00:00.100 --> 00:00.200\nhello\n")
    decomposed = "Sen\u0303al.mp4"
    write_flash(source / decomposed, seconds=0.5, at=0.2)
    (source / "Se\u00f1al.srt").write_text("1\n00:00:00,100 --> 00:00:00,400\nnamed alike\n")
    report = prepare(Folder, FolderConfig(source_dir=str(source), **SETTINGS), str(tmp_path / "data")).report
    assert {ending for ending, *_ in files} < set(VIDEO_SUFFIXES)
    assert report["videos_used"] == len(files) + 1
    assert report["skipped"] == {"a text file, not a media file": ["letter.ts"]} or "letter.ts" in str(
        report["skipped"]
    )
    assert report["captions_without_video"] == ["Clip2.vtt", "other.vtt"]
    assert report["files_not_read"] == {".jpg": 2, ".txt": 1}


COUNTS = {"videos_skipped", "videos_used", "videos_without_audio_track", "videos_without_captions", "clips_skipped"}
COUNTS |= {"clips_without_audio", "clips_without_captions", "captions_before_their_clip"}
SPLIT_COUNTS = {"clips", "videos_listed", "clips_per_class", "files_not_read"}


def test_the_report_has_a_schema(prepared, tmp_path, write_flash):
    write_flash(tmp_path / "source/one.mp4", seconds=0.5, at=0.2, sound=False)
    config = FolderConfig(source_dir=str(tmp_path / "source"), **SETTINGS)
    single = prepare(Folder, config, str(tmp_path / "data"))
    for directory in (prepared.directory, single.directory):
        with open(f"{directory}/prepare_report.json") as file:
            report = json.load(file)
        assert set(report) >= COUNTS | SPLIT_COUNTS | set(Folder.NOTES)
        for name in COUNTS:
            assert type(report[name]) is int, name
        for name in SPLIT_COUNTS:
            assert all(type(key) is str and type(count) is int for key, count in report[name].items()), name
        for kind in Folder.NOTES:
            assert all(type(name) is str and type(what) in (str, int) for name, what in report[kind].items()), kind
        assert all(type(names) is list for names in report["skipped"].values())
        assert type(report["captions_without_video"]) is list
        for name in ("video_seconds", "audio_seconds", "seconds"):
            assert type(report[name]) is float, name
    assert single.report["clips_without_captions"] == single.report["clips_without_audio"] == 1


def test_captions_out_of_reach_leave_a_clip_without(videos, tmp_path):
    config = FolderConfig(source_dir=str(videos), test_fraction=0, caption_reach_seconds=0.4, **SETTINGS)
    report = prepare(Folder, config, str(tmp_path)).report
    assert report["clips_without_captions"] == 1
    config = FolderConfig(source_dir=str(videos), test_fraction=0, caption_reach_seconds=0, clip_seconds=5, **SETTINGS)
    report = prepare(Folder, config, str(tmp_path), overwrite=True).report
    # long.mp4: 5-10 s and 15-20 s have none; mute.mp4 neither.
    assert report["clips"] == {"train": 6} and report["clips_without_captions"] == 3


def test_a_file_that_breaks_off_is_used_and_named(tmp_path, write_video):
    source, root = tmp_path / "source", tmp_path / "broken"
    write_video(source / "whole.mp4", seconds=12.0)
    root.mkdir()
    with av.open(str(source / "whole.mp4")) as old, av.open(str(source / "w.mkv"), "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                new.mux(packet)
    content = (source / "w.mkv").read_bytes()
    (root / "part.mkv").write_bytes(content[: len(content) // 2])
    config = FolderConfig(source_dir=str(root), clip_seconds=1.0, **SETTINGS)
    report = prepare(Folder, config, str(tmp_path / "data")).report
    assert report["videos_used"] == 1
    assert "of 12.0 s decoded" in report["incomplete"]["part.mkv"]
    assert 3 <= report["clips"]["train"] < 12


@pytest.mark.parametrize(("max_bad_fraction", "fails"), [(0.5, False), (0.49, True)])
def test_too_many_bad_files_fail(videos, tmp_path, max_bad_fraction, fails):
    config = FolderConfig(
        source_dir=str(videos), max_bad_fraction=max_bad_fraction, clip_seconds=30, test_fraction=0, **SETTINGS
    )
    if not fails:
        assert prepare(Folder, config, str(tmp_path)).report["videos_skipped"] == 3
        return
    with pytest.raises(PreparationError, match="3 of 6 files cannot be used, more of split 'train' than"):
        prepare(Folder, config, str(tmp_path))
    report = json.loads((tmp_path / "folder" / "prepare_report.json").read_text())
    assert report["videos_skipped"] == 3
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["incomplete", "prepare_report.json"]


def test_nothing_usable_fails_whatever_share_is_allowed(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "empty.mkv").touch()
    config = FolderConfig(source_dir=str(tmp_path / "videos"), max_bad_fraction=1.0)
    with pytest.raises(PreparationError, match=r"nothing is left .*empty.mkv: the file is empty"):
        prepare(Folder, config, str(tmp_path))


def test_a_changed_folder_is_not_taken_for_prepared(tmp_path, write_video):
    root = tmp_path / "videos"
    write_video(root / "one.mp4")
    data_dir = str(tmp_path / "data")
    prepare(Folder, FolderConfig(source_dir=str(root), **SETTINGS), data_dir)
    again = prepare(Folder, FolderConfig(source_dir=str(root), **SETTINGS), data_dir)
    assert again.was_there
    write_video(root / "two.mp4")
    config = FolderConfig(source_dir=str(root), **SETTINGS)
    with pytest.raises(DataError, match="source_fingerprint is"):
        prepare(Folder, config, data_dir)
    report = prepare(Folder, config, data_dir, overwrite=True).report
    assert report["clips"] == {"train": 1, "test": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(source_dir="/nowhere"), "should be the data set's folder"),
        (dict(test_fraction=2.0), "test_fraction should be a share"),
        (dict(max_bad_fraction=-1), "max_bad_fraction should be a share"),
        (dict(clip_seconds=0.0), "hold at least one frame"),
        (dict(clip_seconds=math.inf), "should be finite and hold at least one frame"),
        (dict(frames_per_second=math.nan), "frames_per_second should be at least 1"),
        (dict(minimum_seconds=math.nan), "minimum_seconds should be at least 0"),
        (dict(max_captions=-1), "max_captions should be at least 0"),
        (dict(image_size_px=0), "image_size_px should be at least 1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        FolderConfig(**dict(source_dir=".") | settings)


def test_a_folder_without_videos_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DataError, match="no video file"):
        FolderConfig(source_dir=str(tmp_path))


def listed(root):
    return {video.name: video for video in FolderConfig(source_dir=str(root)).listed.videos}


def test_videos_are_found_with_the_captions_of_their_folder(tmp_path):
    videos = ["a.MKV", "c.Avi", "d.mov", "deep/er/b.webm", "e.flv", "one/clip.mp4", "two/clip.mp4", "z.mp4"]
    others = ["notes.txt", "z.vtt", "._z.mp4", ".trash/f.mp4", "mp4", "one/clip.en.vtt", "deep/b.srt"]
    for name in [*videos, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = listed(tmp_path)
    assert sorted(found) == videos and all(video.path == name for name, video in found.items())
    captions = {name: video.caption_path for name, video in found.items() if video.caption_path}
    assert captions == {"one/clip.mp4": "one/clip.en.vtt", "z.mp4": "z.vtt"}


def test_broken_links_and_undecodable_names_are_reported(tmp_path, write_video):
    write_video(tmp_path / "videos/good.mp4", seconds=0.5)
    (tmp_path / "videos/gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    with open(bytes(tmp_path) + b"/videos/caf\xe9.mp4", "wb") as file:
        file.write(b"x")
    config = FolderConfig(source_dir=str(tmp_path / "videos"), max_bad_fraction=1.0, **SETTINGS)
    report = prepare(Folder, config, str(tmp_path / "data")).report
    reasons = {name: reason for reason, names in report["skipped"].items() for name in names}
    assert set(reasons) == {"gone.mp4", "caf\ufffd.mp4"} and "a broken link" in reasons["gone.mp4"]


def test_names_that_are_not_utf_8_are_told_apart(tmp_path, write_video, read_records):
    content = open(write_video(tmp_path / "one.mp4", seconds=0.5), "rb").read()
    (tmp_path / "videos").mkdir()
    for name in (b"caf\xe9.mp4", b"caf\xe8.mp4"):
        with open(bytes(tmp_path) + b"/videos/" + name, "wb") as file:
            file.write(content)
    config = FolderConfig(source_dir=str(tmp_path / "videos"), test_fraction=0.0, minimum_seconds=0.5, **SETTINGS)
    prepare(Folder, config, str(tmp_path / "data"))
    records = read_records("folder", tmp_path / "data")["train"]
    sources = {clip_id: record["source"].decode() for clip_id, record in records.items()}
    assert sources == {f"{name}@0.00": name for name in ("caf\\xe9.mp4", "caf\\xe8.mp4")}


def test_what_is_no_regular_file_is_named_and_does_not_hold_up_the_rest(tmp_path, write_video):
    root = tmp_path / "videos"
    write_video(root / "good.mp4", seconds=3.0)
    os.mkfifo(root / "good.vtt")
    os.mkfifo(root / "pipe.mp4")
    os.symlink("loop.mp4", root / "loop.mp4")
    os.symlink("nowhere", root / "gone.mp4")
    os.symlink("/dev/zero", root / "device.mp4")
    (root / "folder.mp4").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(root / "socket.mp4"))
    config = FolderConfig(source_dir=str(root), test_fraction=0.0, max_bad_fraction=1.0, **SETTINGS)
    found = prepare(Folder, config, str(tmp_path / "data"))
    listener.close()
    assert found.report["clips"] == {"train": 1}
    told = json.dumps(found.report)
    for name, reason in (("pipe", "a named pipe, not a regular file"), ("device", "a device"), ("socket", "a socket")):
        assert f"{name}.mp4" in told and reason in told
    assert "loop.mp4" in told and "gone.mp4" in told and "good.vtt" in told, told
