"""Folders as downloaders leave them: tar files of samples, folders of samples, and those of yt-dlp."""

import io
import json
import os
import pathlib
import pickle
import tarfile

import pytest

from data.errors import DataError
from data.preparing.prepare import prepare
from data.preparing.units import prepare_unit
from data.records.sources import SourceFacts, read_sources
from data.sets.folder import Folder, FolderConfig

SETTINGS = dict(image_size_px=16, sample_rate_hz=8000, clip_seconds=1.0)


def vtt(words):
    return f"WEBVTT\n\n00:00.100 --> 00:00.400\n{words}\n"


@pytest.fixture(scope="module")
def video(tmp_path_factory, write_video):
    path = write_video(tmp_path_factory.mktemp("video") / "plain.mp4", seconds=0.5, size=(16, 16))
    return pathlib.Path(path).read_bytes()


def write_tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            content = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_files(folder, members):
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def sample(key, **said):
    return json.dumps({"key": key, "status": "success", **said})


def samples(video):
    """What video2dataset writes: a caption alone, subtitles of a clip, subtitles in two languages, a file, a failure."""
    lines = {"en": ["chop it"], "de": ["schneiden"]}
    clip = {
        "caption": "chop it",
        "url": "https://example.org/long",
        "clips": [["00:00:07.000", "00:00:08.000"]],
        "clip_subtitles": [{"start": "00:00:07.100", "end": "00:00:07.400", "lines": lines}],
    }
    info = {"id": "QW3-5OuWn4M", "title": "How to\nchop", "language": "en", "webpage_url": "https://example.org/w"}
    subtitles = {
        "de": [{"start": 0.1, "end": 0.2, "lines": ["zwei"]}],
        "en": [{"start": 0.1, "end": 0.2, "lines": ["two"]}],
    }
    return {
        "000000000.mp4": video,
        "000000000.txt": "a whole caption",
        "000000000.json": sample("000000000", caption="a whole caption", url="https://example.org/0", title="zero"),
        "000000001_00000.mp4": video,
        "000000001_00000.txt": "chop it",
        "000000001_00000.json": sample("000000001_00000", **clip),
        "000000002.mp4": video,
        "000000002.json": sample("000000002", yt_meta_dict={"info": info, "subtitles": subtitles}),
        "000000003.mp4": video,
        "000000003.txt": "not read",
        "000000003.json": sample("000000003", caption="not read"),
        "000000003.en.vtt": vtt("in a file"),
        "000000004.mp4": video,
        "000000004.txt": "text alone",
        "000000004.json": "{broken",
        "000000005.txt": "lost",
        "000000005.json": sample("000000005", status="failed_to_download"),
    }


CAPTIONS = {
    "000000000": [("a whole caption", 0.0, 0.5)],
    "000000001_00000": [("chop it", 0.1, 0.4)],
    "000000002": [("two", 0.1, 0.2)],
    "000000003": [("in a file", 0.1, 0.4)],
    "000000004": [("text alone", 0.0, 0.5)],
}


def captions_of(record):
    columns = (record["captions"][name] for name in ("text", "start_seconds", "end_seconds"))
    return [
        (text.decode(), round(float(start), 2), round(float(end), 2)) for text, start, end in zip(*columns, strict=True)
    ]


@pytest.mark.parametrize("as_tar", [True, False])
def test_samples_of_video2dataset_are_read(tmp_path, read_records, video, as_tar):
    if as_tar:
        write_tar(tmp_path / "videos/00000.tar", samples(video))
    else:
        write_files(tmp_path / "videos/00000", samples(video))
    write_files(tmp_path / "videos", {"00000.parquet": "PAR1", "00000_stats.json": "{}"})
    config = FolderConfig(source_dir=str(tmp_path / "videos"), test_fraction=0.0, caption_languages=["en"], **SETTINGS)
    prepared = prepare(Folder, config, str(tmp_path / "data"))
    folder = "00000.tar" if as_tar else "00000"
    records = read_records("folder", tmp_path / "data")["train"]
    assert {name: captions_of(record) for name, record in records.items()} == {
        f"{folder}/{key}.mp4@0.00": captions for key, captions in CAPTIONS.items()
    }
    report = prepared.report
    assert report["skipped"] == {} and report["sources_described"] == 4
    assert report["tar_files"] == as_tar and report["samples_without_video"] == as_tar
    assert report["files_not_read"][".parquet"] == 1
    assert list(report["descriptions_not_read"]) == [f"{folder}/000000004.json"]
    sources = read_sources(prepared.directory)
    assert sources[f"{folder}/000000000.mp4"] == SourceFacts("000000000", "zero", "https://example.org/0")
    assert sources[f"{folder}/000000002.mp4"] == SourceFacts(
        "QW3-5OuWn4M", "How to chop", "https://example.org/w", "en"
    )


def test_bad_tar_files_and_members_are_named(tmp_path, video):
    link = tarfile.TarInfo("2.mp4")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    root = tmp_path / "videos"
    write_tar(root / "00000.tar", {"0.mp4": video, "../1.mp4": video, "2.mp4": link})
    write_tar(root / "00001.tar", {"3.mp4": video, "4.mp4": video})
    whole = (root / "00001.tar").read_bytes()
    (root / "00001.tar").write_bytes(whole[: 512 + len(video) + 2000])
    (root / "00002.tar").write_bytes(b"")
    (root / "00003.tar").symlink_to("gone.tar")
    (root / "00004.tar").mkdir()
    os.mkfifo(root / "00005.tar")
    write_tar(root / "backup.tar", {"5.mp4": video})
    config = FolderConfig(source_dir=str(root), test_fraction=0.0, **SETTINGS)
    report = prepare(Folder, config, str(tmp_path / "data")).report
    reasons = {name: reason for reason, names in report["skipped"].items() for name in names}
    assert report["clips"] == {"train": 2} and report["files_not_read"] == {".tar": 1}
    assert "leads out" in reasons["00000.tar/../1.mp4"] or "leads out" in reasons["1.mp4"]
    assert reasons["00000.tar/2.mp4"] == "a link in a tar file"
    assert "cut off or damaged" in reasons["00001.tar"] and "cut off" in reasons["00001.tar/4.mp4"]
    assert "cut off or damaged" in reasons["00002.tar"]
    assert "cannot be opened" in reasons["00003.tar"] and "named pipe" in reasons["00005.tar"]
    with pytest.raises(DataError, match="nor in tar files named like 00000.tar"):
        FolderConfig(source_dir=str(root / "00004.tar"))


def test_parts_of_one_video_are_in_one_split(tmp_path):
    members = {}
    for number in range(40):
        key = f"{number // 4:05d}_{number % 4:05d}"
        members |= {f"{key}.mp4": "x", f"{key}.json": sample(key, url=f"https://example.org/{number // 4}")}
    write_tar(tmp_path / "00000.tar", members)
    videos = FolderConfig(source_dir=str(tmp_path), test_fraction=0.3).listed.videos
    splits = {}
    for item in videos:
        splits.setdefault(item.name.split("/")[1].split("_")[0], set()).add(item.split)
    assert len(splits) == 10 and all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "test"}


def content_of(directory):
    return {path.name: path.read_bytes() for path in pathlib.Path(directory).glob("*.tfrecord*")}


def one_thread_elsewhere(job, units):
    for unit in units:
        prepare_unit(pickle.loads(pickle.dumps(job)), unit)


def test_a_worker_makes_the_same_bytes_from_tar_files(tmp_path, video):
    write_tar(tmp_path / "videos/00000.tar", samples(video))
    config = FolderConfig(source_dir=str(tmp_path / "videos"), **SETTINGS)
    here = prepare(Folder, config, str(tmp_path / "here"))
    there = prepare(Folder, config, str(tmp_path / "there"), run_units=one_thread_elsewhere)
    assert len(content_of(here.directory)) == 2 and content_of(there.directory) == content_of(here.directory)
    again = FolderConfig(source_dir=str(tmp_path / "videos"), **SETTINGS)
    assert prepare(Folder, again, str(tmp_path / "here")).was_there


NAME = "How to chop [dQw4w9WgXcQ]"


def yt_dlp_folder(video, info):
    return {
        f"{NAME}.mp4": video,
        f"{NAME}.info.json": json.dumps(info),
        f"{NAME}.de.vtt": vtt("schneiden"),
        f"{NAME}.en.vtt": vtt("chop"),
        f"{NAME}.fr.vtt": vtt("couper"),
        f"{NAME}.description": "how to chop",
        "Another one [abcdefghijk].webm": video,
    }


INFO = {
    "id": "dQw4w9WgXcQ",
    "title": "How to chop",
    "webpage_url": "https://example.org/w",
    "language": "en",
    "subtitles": {"en": []},
    "automatic_captions": {"de": [], "en": [], "fr": []},
}
SPOKEN_FRENCH = {"fr-orig": [], **INFO["automatic_captions"]}


@pytest.mark.parametrize(
    ("info", "wanted", "words", "automatic"),
    [
        (INFO, None, ["chop"], 0),
        (INFO, ["de"], ["schneiden"], 1),
        (INFO | {"subtitles": {}}, None, ["chop"], 1),
        (INFO | {"subtitles": {}, "language": None, "automatic_captions": SPOKEN_FRENCH}, None, ["couper"], 1),
        (INFO | {"subtitles": [], "automatic_captions": None}, None, ["schneiden"], 0),
    ],
)
def test_written_captions_go_before_automatic_ones(tmp_path, video, info, wanted, words, automatic):
    write_files(tmp_path, yt_dlp_folder(video, info))
    config = FolderConfig(source_dir=str(tmp_path), caption_languages=wanted)
    (chosen,) = (item.caption_path for item in config.listed.videos if item.caption_path)
    assert words[0] in (tmp_path / chosen).read_text()
    assert config.captions.report({})["captions_automatic"] == automatic


def test_ids_and_titles_of_yt_dlp_are_kept(tmp_path, read_records, video):
    write_files(tmp_path / "videos", yt_dlp_folder(video, INFO))
    config = FolderConfig(source_dir=str(tmp_path / "videos"), test_fraction=0.0, **SETTINGS)
    prepared = prepare(Folder, config, str(tmp_path / "data"))
    assert set(read_records("folder", tmp_path / "data")["train"]) == {
        f"{NAME}.mp4@0.00", "Another one [abcdefghijk].webm@0.00"
    }  # fmt: skip
    assert read_sources(prepared.directory) == {
        f"{NAME}.mp4": SourceFacts("dQw4w9WgXcQ", "How to chop", "https://example.org/w", "en"),
        "Another one [abcdefghijk].webm": SourceFacts("abcdefghijk", "Another one"),
    }
    assert prepared.report["files_not_read"] == {".description": 1}


def test_descriptions_of_any_content_do_no_harm(tmp_path, video):
    contents = [
        "",
        "null",
        "[]",
        "[" * 100_000,
        '{"id": {"a": 1}, "title": ["x"], "subtitles": 5, "caption": 7}',
        '{"id": 1e999}',
    ]
    for number, content in enumerate(contents):
        write_files(tmp_path, {f"{number}.mp4": video, f"{number}.info.json": content})
    config = FolderConfig(source_dir=str(tmp_path))
    assert len(config.listed.videos) == len(contents)
    assert set(config.descriptions.faults) == {"0.info.json", "1.info.json", "2.info.json", "3.info.json"}
