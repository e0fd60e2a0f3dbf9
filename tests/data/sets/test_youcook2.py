"""YouCook2 from a small tree of real files in the published layout."""

import dataclasses
import json

import numpy as np
import pytest

from data.errors import DataError
from data.sets.youcook2 import YouCook2Config

TRAIN, VALID, ODD = "xHr8X2Wpmno", "-vAL_idVALi", "webmWEBM_-1"
GONE, BROKEN, TEST = "goneGONEgon", "brokenBROKE", "testTESTtes"


def annotated(subset, recipe, *steps):
    annotations = [{"id": i, "segment": [start, end], "sentence": text} for i, (start, end, text) in enumerate(steps)]
    return {
        "duration": 3.21,
        "subset": subset,
        "recipe_type": recipe,
        "annotations": annotations,
        "video_url": "https://www.youtube.com/watch?v=xHr8X2Wpmno",
    }


DATABASE = {
    TRAIN: annotated("training", "405", (2, 3, "spread the p\u00e2t\u00e9\n on bread \ud83c"), (0, 1, "cut the bread")),
    VALID: annotated(
        "validation",
        "101",
        (1, 2, "boil the pasta"),
        (1, 9, "add cheese"),
        (7, 9, "serve"),
        (1, 1, "?"),
        (1, 2, None),
        (1, 10**400, "?"),
    ),
    ODD: annotated("validation", "405", (0, 1, "whisk")),
    GONE: annotated("training", "101", (0, 1, "gone")),
    BROKEN: annotated("training", "101", (0, 1, "broken")),
    TEST: annotated("testing", "101", (0, 1, "secret")),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees):
    """Videos in the folders of their recipes; segments out of order, past the end and without length."""
    root = tmp_path_factory.mktemp("youcook2")
    (root / "annotations").mkdir()
    content = json.dumps({"database": DATABASE}, ensure_ascii=False).replace("\ud83c", "\\ud83c")  # half a character
    (root / "annotations/youcookii_annotations_trainval.json").write_text(content, encoding="utf-8-sig")
    recipes = ["405,p\u00e2t\u00e9 on bread", "101,macaroni and cheese", "1001,never filmed"]
    trees.write_list(root / "annotations/label_foodtype.csv", recipes, "\r\n", mark=True)
    videos = root / "raw_videos"
    trees.write_flash(videos / f"training/405/{TRAIN}.mp4", 3.0, 2.3, size=(24, 32))
    trees.write_flash(videos / f"validation/101/{VALID}.mkv", 3.0, 1.4, size=(24, 32))
    trees.write_flash(videos / f"validation/405/{ODD}.WEBM", 1.0, 0.5, size=(24, 32), sample_rate_hz=48000, channels=2)
    trees.write_flash(videos / f"training/101/{TEST}.mp4", size=(24, 32))
    trees.write_broken(videos / f"training/101/{BROKEN}.mp4")
    return root


@pytest.fixture(scope="module")
def data_dir(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(dataset="youcook2", source_dir=str(source), data_dir=str(data_dir), sample_rate_hz=8000)
    return data_dir


def test_the_annotations(source):
    listed = YouCook2Config(source_dir=str(source)).listed
    assert listed.class_names == ("macaroni and cheese", "p\u00e2t\u00e9 on bread", "never filmed")
    assert {video.name: (video.split, video.label, len(video.segments)) for video in listed.videos} == {
        TRAIN: ("train", 1, 2),
        VALID: ("validation", 0, 3),
        ODD: ("validation", 1, 1),
        BROKEN: ("train", 0, 1),
    }
    assert listed.skipped == {
        "the video is not there": [GONE],
        "of the subset 'testing'": [TEST],
        "the step has no time or no sentence": [f"{VALID}_3", f"{VALID}_4", f"{VALID}_5"],
    }


def test_without_names_recipes_are_called_by_their_numbers(source, tmp_path):
    annotations = (source / "annotations/youcookii_annotations_trainval.json").read_bytes()
    (tmp_path / "youcookii_annotations_trainval.json").write_bytes(annotations)
    (tmp_path / f"{TRAIN}.mp4").touch()
    listed = YouCook2Config(source_dir=str(tmp_path)).listed
    assert listed.class_names == ("101", "405") and listed.videos[0].label == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "should hold a database of videos"),
        ('{"database": {"a": {"subset": "training"}}}', "should hold a database of videos"),
        (
            json.dumps({"database": {"a": annotated("training", "1")}}).replace("[]", '[{"segment": [3]}]'),
            "should hold a database",
        ),
        ('{"database": {}}', "none of the 0 videos"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    (tmp_path / "youcookii_annotations_trainval.json").write_text(content)
    with pytest.raises(DataError, match=message):
        YouCook2Config(source_dir=str(tmp_path))


def test_a_record_is_a_step_with_its_sentence(data_dir, read_records, trees):
    splits = read_records("youcook2", data_dir)
    assert {split: set(found) for split, found in splits.items()} == {
        "train": {f"{TRAIN}_0", f"{TRAIN}_1"},
        "validation": {f"{VALID}_0", f"{VALID}_1", f"{ODD}_0"},
    }
    records = splits["train"] | splits["validation"]
    sentences = {name: [text.decode() for text in record["captions"]["text"]] for name, record in records.items()}
    assert sentences == {
        f"{TRAIN}_0": ["spread the p\u00e2t\u00e9 on bread ?"],
        f"{TRAIN}_1": ["cut the bread"],
        f"{VALID}_0": ["boil the pasta"],
        f"{VALID}_1": ["add cheese"],
        f"{ODD}_0": ["whisk"],
    }
    starts = {
        name: (record["start_seconds"], len(record["video"]), record["label"]) for name, record in records.items()
    }
    assert starts == {
        f"{TRAIN}_0": (2.0, 10, 1),
        f"{TRAIN}_1": (0.0, 10, 1),
        f"{VALID}_0": (1.0, 10, 0),
        f"{VALID}_1": (1.0, 20, 0),  # listed until second 9, of a video of 3
        f"{ODD}_0": (0.0, 10, 1),
    }
    for name, at in ((f"{TRAIN}_0", 0.3), (f"{VALID}_0", 0.4), (f"{VALID}_1", 0.4), (f"{ODD}_0", 0.5)):
        trees.require_in_step(records[name], at, 10, 8000)
    captions = records[f"{TRAIN}_0"]["captions"]
    assert (captions["start_seconds"].tolist(), captions["end_seconds"].tolist()) == ([0.0], [1.0])


def test_everything_that_is_missing_is_counted(data_dir):
    report = json.loads((data_dir / "youcook2/default/1.0.0/prepare_report.json").read_text())
    skipped = report["skipped"]
    assert skipped["the clip starts after the end of its file"] == [f"{VALID}_2"]
    assert skipped["the video is not there"] == [GONE] and skipped["of the subset 'testing'"] == [TEST]
    assert [names for reason, names in skipped.items() if reason.startswith("not a media file")] == [[BROKEN]]
    assert report["incomplete"] == {f"{VALID}_1": "2.0 of 8.0 s decoded"}
    assert report["clips_per_class"] == {"macaroni and cheese": 2, "p\u00e2t\u00e9 on bread": 3, "never filmed": 0}


def test_every_step_can_be_asked_for(data_dir, open_prepared, evaluate, tiny_spec, words_of):
    opened = open_prepared("youcook2", data_dir)
    (batch,) = evaluate(opened, "validation", dataclasses.replace(tiny_spec, sample_rate_hz=8000))
    assert np.all(batch["has_text"])
    assert [len(words_of(text, opened)) for text in batch["text"]] == [1, 1, 1]
