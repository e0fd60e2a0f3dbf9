"""MSR-VTT from a small tree of real files in the published layout, with and without the list 1k-A."""

import dataclasses
import json

import numpy as np
import pytest

from data.errors import DataError
from data.sets.msrvtt import CLASS_NAMES, MSRVTTConfig

SPLITS = {"video0": "train", "video1": "train", "video6513": "validate", "video7010": "test", "video7020": "test"}
SPLITS |= {"video9770": "test", "video2": "train", "video9": "train"}
LISTED = {"video9770": "a person is connecting something to syst\u00e8m", "video7020": "caption 3 of video7020"}


def described(*names):
    videos = [
        {
            "category": 9 if name == "video0" else 1,
            "url": "https://www.youtube.com/watch?v=9lZi22qLlEo",
            "video_id": name,
            "start time": 137.72,
            "end time": 138.72,
            "split": SPLITS[name],
            "id": int(name[5:]),
        }
        for name in names
    ]
    captions = [(name, number) for number in range(20) for name in reversed(names)]
    sentences = [
        {"caption": f"caption {number} of {name}", "video_id": name, "sen_id": index}
        for index, (name, number) in enumerate(captions)
    ]
    return {"info": {"year": "2016"}, "videos": videos, "sentences": sentences}


def write_lists(trees, root):
    train, test = [name for name, split in SPLITS.items() if split != "test"], ["video7010", "video7020", "video9770"]
    (root / "train_val_videodatainfo.json").write_text(json.dumps(described(*train)), encoding="utf-8-sig")
    (root / "test_videodatainfo.json").write_text(json.dumps(described(*test)))


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees):
    """Three training clips of which one is gone and one cannot be read, one of validation, three of test."""
    root = tmp_path_factory.mktemp("msrvtt")
    write_lists(trees, root)
    rows = [f"ret{i},msr{name[5:]},{name},{text}" for i, (name, text) in enumerate(LISTED.items())]
    trees.write_list(root / "MSRVTT_JSFUSION_test.csv", ["key,vid_key,video_id,sentence", *rows], "\r\n", mark=True)
    for name in ("video0", "video1", "video6513"):
        trees.write_flash(root / f"TrainValVideo/{name}.mp4", 1.0, 0.3, size=(24, 32), sound=name != "video1")
    for name in ("video7010", "video7020", "video9770"):
        trees.write_flash(root / f"TestVideo/{name}.MP4", 1.0, 0.6, size=(24, 32), sample_rate_hz=48000, channels=2)
    trees.write_broken(root / "TrainValVideo/video2.mp4")
    trees.write_flash(root / "TestVideo/video12345.mp4", size=(24, 32))
    return root


@pytest.fixture(scope="module")
def data_dir(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(dataset="msrvtt", source_dir=str(source), data_dir=str(data_dir), sample_rate_hz=8000)
    return data_dir


def listed(root):
    return MSRVTTConfig(source_dir=str(root)).listed


def test_the_lists(source):
    clips = listed(source)
    assert {video.name: video.split for video in clips.videos} == {
        "video0": "train",
        "video1": "train",
        "video2": "train",
        "video6513": "validation",
        "video7010": "test_rest",
        "video7020": "test_1k_a",
        "video9770": "test_1k_a",
    }
    assert clips.unions == {
        "train_7k": ("train", "validation"),
        "train_9k": ("train", "validation", "test_rest"),
        "test": ("test_1k_a", "test_rest"),
    }
    assert clips.skipped == {"the video is not there": ["video9"]}
    assert {CLASS_NAMES[video.label] for video in clips.videos} == {"people", "vehicles/autos"} and len(
        CLASS_NAMES
    ) == 20


def test_the_sentence_of_1k_a_is_the_first(source):
    captions = {video.name: [cue.text for cue in video.segments[0].cues] for video in listed(source).videos}
    own = [f"caption {number} of {{}}" for number in range(20)]
    assert captions["video0"] == [text.format("video0") for text in own]
    assert captions["video9770"] == [LISTED["video9770"], *(text.format("video9770") for text in own)]
    again = [text.format("video7020") for text in own]
    assert captions["video7020"] == [again[3], *again[:3], *again[4:]]


def test_without_1k_a_there_is_one_test_split(trees, tmp_path):
    write_lists(trees, tmp_path)
    (tmp_path / "video7020.mp4").touch()
    (tmp_path / "video0.mp4").touch()
    clips = listed(tmp_path)
    assert {video.name: video.split for video in clips.videos} == {"video0": "train", "video7020": "test"}
    assert clips.unions == {"train_7k": ("train",)}


def test_lists_of_the_same_videos_count_once(trees, tmp_path):
    write_lists(trees, tmp_path)
    everything = described("video0", "video7020")
    (tmp_path / "videodatainfo_2017.json").write_text(json.dumps(everything))
    (tmp_path / "test_videodatainfo_nosen.json").write_text(json.dumps({**described("video7020"), "sentences": []}))
    (tmp_path / "video7020.mp4").touch()
    (video,) = listed(tmp_path).videos
    assert len(video.segments[0].cues) == 20


def test_a_sentence_without_words_is_none(tmp_path):
    lists = described("video0")
    lists["sentences"][3]["caption"] = " \n"
    (tmp_path / "train_val_videodatainfo.json").write_text(json.dumps(lists))
    (tmp_path / "video0.mp4").touch()
    (video,) = listed(tmp_path).videos
    assert len(video.segments[0].cues) == 19 and all(cue.text for cue in video.segments[0].cues)


def endless(end):
    return json.dumps(described("video0")).replace("138.72", end)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("MSRVTT_JSFUSION_test.csv", "key,video_id,sentence\nret0,video0,a car", "names video0, which no"),
        ("MSRVTT_JSFUSION_test.csv", "key,video\nret0,video0", "columns video_id and sentence"),
        ("MSRVTT_JSFUSION_test.csv", "video_id,sentence\nvideo9770,", "has no sentence for video9770"),
        ("a_videodatainfo.json", '{"videos": [{"video_id": "video3"}]}', "should hold videos with video_id"),
        ("a_videodatainfo.json", endless("1e400"), "should hold videos with video_id"),
        ("a_videodatainfo.json", endless("9" * 400), "should hold videos with video_id"),
        ("a_videodatainfo.json", "[" * 100_000, "cannot be read as JSON"),
        ("a_videodatainfo.json", "{", "cannot be read as JSON"),
    ],
)
def test_other_lists_are_refused(trees, tmp_path, name, content, message):
    with pytest.raises(DataError, match="should hold train_val_videodatainfo.json"):
        listed(tmp_path)
    write_lists(trees, tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        listed(tmp_path)


def test_records_have_all_sentences_for_as_long_as_they_last(data_dir, read_records, trees):
    splits = read_records("msrvtt", data_dir)
    assert {split: set(found) for split, found in splits.items()} == {
        "train": {"video0", "video1"},
        "validation": {"video6513"},
        "test_1k_a": {"video7020", "video9770"},
        "test_rest": {"video7010"},
    }
    captions = splits["test_1k_a"]["video9770"]["captions"]
    assert len(captions["text"]) == 21 and captions["text"][0].decode() == LISTED["video9770"]
    np.testing.assert_allclose(captions["end_seconds"], 1.0, atol=1e-5)
    assert not captions["start_seconds"].any()
    trees.require_in_step(splits["train"]["video0"], 0.3, 10, 8000)
    trees.require_in_step(splits["test_rest"]["video7010"], 0.6, 10, 8000)
    assert not splits["train"]["video1"]["audio"].size


def test_everything_that_is_missing_is_counted(data_dir):
    report = json.loads((data_dir / "msrvtt/default/1.0.0/prepare_report.json").read_text())
    skipped = report["skipped"]
    assert skipped.pop("the video is not there") == ["video9"]
    assert list(skipped.values()) == [["video2"]]
    assert report["clips_per_class"]["vehicles/autos"] == 1 and report["clips_without_audio"] == 1


def test_the_query_of_1k_a_is_the_only_single_candidate(data_dir, open_prepared, evaluate, tiny_spec, words_of):
    opened = open_prepared("msrvtt", data_dir)
    sizes = {"train_7k": 3, "train_9k": 4, "test": 3, "test_1k_a": 2}
    assert {split: opened[0].split_sizes[split] for split in sizes} == sizes
    spec = dataclasses.replace(tiny_spec, sample_rate_hz=8000, candidates=1, words=16)
    tokenizer = type(opened[1])(opened[0].wordpiece_vocabulary_path, 16)
    (batch,) = evaluate((opened[0], tokenizer), "test", spec)
    tokens = dict(zip(batch["clip_id"].numpy(), batch["text"].numpy()[:, 0], strict=True))
    for name, text in {**LISTED, "video7010": "caption 0 of video7010"}.items():
        np.testing.assert_array_equal(tokens[name.encode()], tokenizer([text])[0])
