"""YouTube-8M from a small tree of real videos, their list and their automatic captions."""

import dataclasses
import json

import numpy as np
import pytest

from data.errors import DataError
from data.sets.youtube8m import YouTube8MConfig

JSON3, VTT, BOTH, ORIGINAL, WORDLESS = "-json3JSON3", "vtt_VTT-vtt", "bothBOTHbot", "origORIGori", "noneNONEnon"
GONE, BROKEN = "goneGONEgon", "brokenBROKE"
FIELDS = ("text", "start_seconds", "end_seconds")
NAMES = ("Game", "Vehicle, motor", "Car", "Concert")
VOCABULARY = ["Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl", '1,540026,/m/07yv9,"Vehicle, motor",https://b']
VOCABULARY += [
    "0,788288,/m/03bt1gh,Game,https://a",
    "2,415890,/m/0k4j,Car,https://c",
    "3,378135,/m/01jddz,Concert,https://d",
]
ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.100 --> 00:00:00.590 align:start position:0%
\u0020
first<00:00:00.300><c> line</c>

00:00:00.590 --> 00:00:00.600 align:start position:0%
first line
\u0020

00:00:00.600 --> 00:00:01.000 align:start position:0%
first line
second<00:00:00.800><c> line</c>
"""


def write_json3(path, words):
    first, *others = words.split(" ")
    segments = [{"utf8": first}, *({"utf8": f" {word}"} for word in others)]  # as YouTube cuts them
    events = [{"tStartMs": 1200, "dDurationMs": 600, "wWinId": 1, "segs": segments}]
    path.write_text(json.dumps({"wireMagic": "pb3", "events": events}))


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees):
    """Videos with captions in either format and in several languages, a list with splits, a vocabulary."""
    root = tmp_path_factory.mktemp("youtube8m")
    rows = [
        "video_id,labels,split",
        f"{JSON3},3 0 3,train",
        f"{VTT},1|2,train",
        f"{BOTH},2,",
        f'{ORIGINAL},"0,1",validate',
    ]
    rows += [f"{WORDLESS},,train", f"{GONE},1,test", f"{BROKEN},1,train", f"{VTT},1,train"]
    trees.write_list(root / "videos.csv", rows, "\r\n", mark=True)
    trees.write_list(root / "vocabulary.csv", VOCABULARY)
    for name, suffix in ((JSON3, ".mp4"), (VTT, ".webm"), (BOTH, ".mkv"), (ORIGINAL, ".MP4"), (WORDLESS, ".mp4")):
        seconds = 2.0 if name == JSON3 else 1.0
        trees.write_flash(root / f"{name[:2]}/{name}{suffix}", seconds, 0.4, size=(24, 32))
    trees.write_broken(root / f"{BROKEN}.mp4")
    write_json3(root / f"{JSON3[:2]}/{JSON3}.en.json3", "caf\u00e9 au lait")
    write_json3(root / f"{JSON3[:2]}/{JSON3}.de.json3", "Milchkaffee")
    (root / f"{VTT[:2]}/{VTT}.en-US.vtt").write_text(ROLLING)
    (root / f"{BOTH}.en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nas vtt\n")
    write_json3(root / f"{BOTH}.en.json3", "as json3")
    for language in ("en-GB", "en-orig", "eng", "fr"):
        write_json3(root / f"{ORIGINAL}.{language}.json3", f"in {language}")
    write_json3(root / f"{WORDLESS}.json3", "of unknown language")
    return root


@pytest.fixture(scope="module")
def data_dir(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(
        dataset="youtube8m", source_dir=str(source), data_dir=str(data_dir), clip_seconds=1.0, sample_rate_hz=8000
    )
    return data_dir


def listed(root, **options):
    return YouTube8MConfig(source_dir=str(root), **options).listed


def test_the_list(source):
    clips = listed(source)
    assert clips.class_names == NAMES
    assert {video.name: (video.split, video.labels, video.path) for video in clips.videos} == {
        JSON3: ("train", (0, 3), f"-j/{JSON3}.mp4"),
        VTT: ("train", (1, 2), f"vt/{VTT}.webm"),
        BOTH: ("train", (2,), f"bo/{BOTH}.mkv"),
        ORIGINAL: ("validation", (0, 1), f"or/{ORIGINAL}.MP4"),
        WORDLESS: ("train", (), f"no/{WORDLESS}.mp4"),
        BROKEN: ("train", (1,), f"{BROKEN}.mp4"),
    }
    assert clips.skipped == {"listed again": [VTT], "the video is not there": [GONE]}


def test_captions_are_of_the_first_language_that_there_is(source):
    def captions(*languages):
        return {video.name: video.caption_path for video in listed(source, languages=languages).videos}

    assert captions("en") == {
        JSON3: f"-j/{JSON3}.en.json3",
        VTT: f"vt/{VTT}.en-US.vtt",
        BOTH: f"{BOTH}.en.json3",
        ORIGINAL: f"{ORIGINAL}.en-orig.json3",
        WORDLESS: None,
        BROKEN: None,
    }
    assert captions("de", "fr", "en")[JSON3] == f"-j/{JSON3}.de.json3"
    assert captions("de", "fr", "en")[ORIGINAL] == f"{ORIGINAL}.fr.json3"
    assert captions("de", "fr", "en")[BOTH] == f"{BOTH}.en.json3"
    with pytest.raises(DataError, match="languages should be a list"):
        listed(source, languages="en")


def test_without_a_header_or_a_vocabulary(tmp_path, trees):
    (tmp_path / f"{VTT}.mp4").touch()
    trees.write_list(tmp_path / "mine.csv", [f"{VTT},3861 7"])
    clips = listed(tmp_path, list_file="mine.csv")
    assert [(video.split, video.labels) for video in clips.videos] == [("train", (7, 3861))]
    assert len(clips.class_names) == 3862 and clips.class_names[7] == "7"


@pytest.mark.parametrize("row", [f"{VTT},3862", f"{VTT},car", f"{VTT},-1", VTT, f"{VTT},1,someday"])
def test_rows_that_make_no_sense_are_refused(tmp_path, trees, row):
    trees.write_list(tmp_path / "videos.csv", [row])
    with pytest.raises(DataError, match=r"videos\.csv should have rows of video_id,labels,split"):
        listed(tmp_path)


@pytest.mark.parametrize("index", ["car", "1000000", "9" * 5000], ids=len)
def test_a_vocabulary_that_makes_no_sense_is_refused(tmp_path, trees, index):
    (tmp_path / f"{VTT}.mp4").touch()
    trees.write_list(tmp_path / "videos.csv", [f"{VTT},7"])
    trees.write_list(tmp_path / "vocabulary.csv", [VOCABULARY[0], f"{index},1,/m/0,Car,https://b"])
    with pytest.raises(DataError, match=r"vocabulary\.csv should have the columns Index and Name \("):
        listed(tmp_path)


def test_the_published_features_are_no_videos(tmp_path):
    with pytest.raises(DataError, match=r"should hold videos\.csv[^.]*\. Found none\.$"):
        listed(tmp_path)
    (tmp_path / "train00.tfrecord").touch()
    with pytest.raises(DataError, match="hold features.*the videos are needed"):
        listed(tmp_path)


def test_records_have_topics_and_captions(data_dir, read_records, trees):
    splits = read_records("youtube8m", data_dir)
    records = splits["train"] | splits["validation"]
    assert set(splits["validation"]) == {f"{ORIGINAL}@0.00"}
    captions = {
        name: [
            (text.decode(), *np.round(times, 3))
            for text, *times in zip(*map(record["captions"].get, FIELDS), strict=True)
        ]
        for name, record in records.items()
    }
    assert captions == {
        f"{JSON3}@0.00": [("caf\u00e9 au lait", 1.2, 1.8)],
        f"{JSON3}@1.00": [("caf\u00e9 au lait", 0.2, 0.8)],
        f"{VTT}@0.00": [("first line", 0.1, 0.59), ("second line", 0.6, 1.0)],
        f"{BOTH}@0.00": [("as json3", 1.2, 1.8)],
        f"{ORIGINAL}@0.00": [("in en-orig", 1.2, 1.8)],
        f"{WORDLESS}@0.00": [],
    }
    assert records[f"{JSON3}@1.00"]["labels"].tolist() == [0, 3] and not records[f"{WORDLESS}@0.00"]["labels"].size
    for name in (JSON3, VTT, BOTH, ORIGINAL):
        trees.require_in_step(records[f"{name}@0.00"], 0.4, 10, 8000)


def test_everything_that_is_missing_is_counted(data_dir):
    report = json.loads((data_dir / "youtube8m/default/1.0.0/prepare_report.json").read_text())
    skipped = report["skipped"]
    assert skipped.pop("listed again") == [VTT] and skipped.pop("the video is not there") == [GONE]
    ((reason, names),) = skipped.items()
    assert reason.startswith("not a media file") and names == [BROKEN]
    assert report["videos_listed"] == {"train": 5, "validation": 1} and report["clips_without_captions"] == 1
    assert report["clips_per_class"] == dict(zip(NAMES, (3, 2, 2, 2), strict=True))


def test_batches(data_dir, open_prepared, evaluate, tiny_spec):
    spec = dataclasses.replace(tiny_spec, sample_rate_hz=8000)
    (batch,) = evaluate(open_prepared("youtube8m", data_dir), "validation", spec)
    assert batch["labels"].numpy().tolist() == [[1, 1, 0, 0]]
    assert np.all(batch["has_text"]) and np.all(batch["has_audio"])
