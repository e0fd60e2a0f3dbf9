"""HowTo100M from a small tree of real files in the published layout."""

import dataclasses
import json
import math
import pickle

import numpy as np
import pytest

from data.errors import DataError
from data.sets.howto100m import HowTo100MConfig
from data.text.cues import Cue

MP4, WEBM, MKV, WORDLESS = "-aB_cD1eF2g", "webmWEBM_-1", "mkvMKVmkvMK", "_silentSIL-"
GONE, BROKEN = "goneGONEgon", "brokenBROKE"
RAW = {
    MP4: {
        "start": [2.2, 0.2, 1.0, math.nan, None],
        "end": [2.8, 1.5, 1.4, 2.0, 3.0],
        "text": ["three", "eins \u00fcber", "two", "lost", "lost, too"],
    },
    "notLISTEDno": {"start": [0], "end": [1], "text": ["nobody asks"]},
    WEBM: {"start": [0, 0.5], "end": [1, 0.9], "text": ["", "webm words"]},
    MKV: {"start": [0, 1], "end": [1, 2], "text": ["whose time is this"]},
    BROKEN: {"start": [0], "end": [1], "text": ["never seen"]},
}


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees):
    """Six listed videos of which one is gone and one cannot be read; a list and captions from Windows."""
    root = tmp_path_factory.mktemp("howto100m")
    rows = [
        f"{video_id},Food and Entertaining,Recipes,{rank},{100 + rank}"
        for rank, video_id in enumerate((MP4, WEBM, MKV, GONE, BROKEN, MP4, WORDLESS, "../passwd"))
    ]
    header = "video_id,category_1,category_2,rank,task_id"
    trees.write_list(root / "HowTo100M_v1.csv", [header, *rows], "\r\n", mark=True)
    (root / "raw_caption.json").write_text(json.dumps(RAW, ensure_ascii=False), encoding="utf-8-sig")
    (root / "caption.json").write_text(json.dumps({MP4: {"start": [0], "end": [1], "text": ["clean"]}}))
    trees.write_flash(root / f"videos/a/{MP4}.mp4", 3.0, 1.3, size=(24, 32))
    trees.write_flash(root / f"videos/{WEBM}.WEBM", 1.0, 0.4, size=(24, 32), sample_rate_hz=48000, channels=2)
    trees.write_flash(root / f"{MKV}.mkv", 1.0, size=(24, 32), sound=False)
    trees.write_flash(root / f"videos/{WORDLESS}.mp4", 0.8, size=(24, 32), sample_rate_hz=8000)
    trees.write_broken(root / f"videos/{BROKEN}.mp4")
    trees.write_flash(root / "videos/notLISTEDno.mp4", size=(24, 32))
    return root


@pytest.fixture(scope="module")
def data_dir(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(
        dataset="howto100m", source_dir=str(source), data_dir=str(data_dir), clip_seconds=1.0, sample_rate_hz=8000
    )
    return data_dir


def config_of(root, **options):
    return HowTo100MConfig(source_dir=str(root), **options)


def test_the_list(source):
    listed = config_of(source).listed
    assert {video.name: (video.path, video.split) for video in listed.videos} == {
        MP4: (f"videos/a/{MP4}.mp4", "train"),
        WEBM: (f"videos/{WEBM}.WEBM", "train"),
        MKV: (f"{MKV}.mkv", "train"),
        BROKEN: (f"videos/{BROKEN}.mp4", "train"),
        WORDLESS: (f"videos/{WORDLESS}.mp4", "train"),
    }
    assert listed.skipped == {"listed again": [MP4], "the video is not there": ["../passwd", GONE]}


def test_captions_come_when_they_are_needed(source):
    config = config_of(source)
    by_name = {video.name: video for video in config.listed.videos}
    assert by_name[MP4].cues == ()
    wordless, mkv, mp4 = config.complete([by_name[WORDLESS], by_name[MKV], by_name[MP4]])
    assert mp4.cues == (Cue("eins \u00fcber", 0.2, 1.5), Cue("two", 1.0, 1.4), Cue("three", 2.2, 2.8))
    assert (mp4.broken_cues, mkv.broken_cues, wordless.broken_cues) == (2, 2, 0)
    assert mkv.cues == wordless.cues == ()
    assert len(pickle.dumps(config)) < 2000  # the list and the index stay behind


def test_the_raw_captions_are_preferred_and_others_can_be_named(source):
    clean, raw = config_of(source, captions_file="caption.json"), config_of(source)
    (video,) = clean.complete([video for video in clean.listed.videos if video.name == MP4])
    assert video.cues == (Cue("clean", 0.0, 1.0),)
    assert raw.parameters()["captions_file"] == "raw_caption.json"
    assert clean.parameters()["captions_file"] == "caption.json"
    assert clean.parameters()["captions_bytes"] < raw.parameters()["captions_bytes"]
    with pytest.raises(DataError, match="captions_file names.*outside"):
        config_of(source, captions_file="../caption.json").parameters()


def test_another_folder_is_refused(tmp_path, trees):
    trees.write_list(tmp_path / "HowTo100M_v1.csv", ["id,rank", "a,1"])
    with pytest.raises(DataError, match="should have a header with video_id"):
        config_of(tmp_path)
    trees.write_list(tmp_path / "HowTo100M_v1.csv", ["video_id,rank", "a,1"])
    with pytest.raises(DataError, match="none of the 1 videos"):
        config_of(tmp_path)
    trees.write_flash(tmp_path / "a.mp4", 0.2)
    with pytest.raises(DataError, match="should hold the captions, raw_caption.json or caption.json"):
        config_of(tmp_path).parameters()


def test_clips_have_the_captions_nearest_in_time(data_dir, read_records, trees):
    train = read_records("howto100m", data_dir)["train"]
    expected = {f"{MP4}@0.00", f"{MP4}@1.00", f"{MP4}@2.00", f"{WEBM}@0.00", f"{MKV}@0.00", f"{WORDLESS}@0.00"}
    assert set(train) == expected
    captions = train[f"{MP4}@1.00"]["captions"]
    assert [text.decode() for text in captions["text"]] == ["eins \u00fcber", "two", "three"]
    np.testing.assert_allclose(captions["start_seconds"], [-0.8, 0.0, 1.2], atol=1e-6)
    np.testing.assert_allclose(captions["end_seconds"], [0.5, 0.4, 1.8], atol=1e-6)
    assert [text.decode() for text in train[f"{WEBM}@0.00"]["captions"]["text"]] == ["webm words"]
    assert all(not len(train[f"{name}@0.00"]["captions"]["text"]) for name in (MKV, WORDLESS))
    assert all(record["label"] == -1 for record in train.values())
    trees.require_in_step(train[f"{MP4}@1.00"], 0.3, 10, 8000)
    trees.require_in_step(train[f"{WEBM}@0.00"], 0.4, 10, 8000)
    assert train[f"{MKV}@0.00"]["audio"].size == 0


def test_everything_that_is_missing_is_counted(data_dir):
    report = json.loads((data_dir / "howto100m/default/1.0.0/prepare_report.json").read_text())
    skipped = report["skipped"]
    assert skipped.pop("listed again") == [MP4]
    assert skipped.pop("the video is not there") == ["../passwd", GONE]
    ((reason, names),) = skipped.items()
    assert reason.startswith("not a media file") and names == [BROKEN]
    assert report["videos_listed"] == {"train": 5} and report["videos_used"] == 4
    assert report["clips_without_captions"] == 2 and report["clips_without_audio"] == 1
    assert report["broken_cues"] == {MP4: 2, MKV: 2}


def test_clips_without_text_or_sound_are_masked(data_dir, open_prepared, evaluate, tiny_spec):
    spec = dataclasses.replace(tiny_spec, sample_rate_hz=8000)
    batches = evaluate(open_prepared("howto100m", data_dir), "train", spec)
    masks = {
        clip_id.numpy().decode(): (bool(text), bool(audio))
        for batch in batches
        for clip_id, text, audio in zip(batch["clip_id"], batch["has_text"], batch["has_audio"], strict=True)
    }
    assert masks[f"{MP4}@2.00"] == (True, True)
    assert masks[f"{MKV}@0.00"] == (False, False)
    assert masks[f"{WORDLESS}@0.00"] == (False, True)
