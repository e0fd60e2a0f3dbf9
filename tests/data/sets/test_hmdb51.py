"""HMDB51 from a small tree of real files in the published layout."""

import json
import os
import pathlib

import pytest

import data
from data.sets.hmdb51 import HMDB51Config

HAIR, WAVE = "April_09_brush_hair_u_nm_np1_ba_goo_{}", "#122_(HQ)_50%; Amélie & Tom![v2]_wave_u_cm_np1_fr_med_{}"
# What each video is to the three splits, as the lists have it: 1 for training, 2 for testing, 0 for neither.
CODES = {
    "brush_hair": {HAIR.format(0): "122", HAIR.format(1): "210", HAIR.format(2): "111", HAIR.format(3): "000"},
    "wave": {WAVE.format(0): "122", WAVE.format(1): "201", WAVE.format(2): "121", WAVE.format(3): "112"},
}
PARTS = {"0": "unused", "1": "train", "2": "test"}


def write_lists(trees, root, newline="\n"):
    for class_name, videos in CODES.items():
        for split in range(3):
            rows = [f"{name}.avi {codes[split]} " for name, codes in videos.items()]  # Published rows end in a space.
            path = root / f"testTrainMulti_7030_splits/{class_name}_test_split{split + 1}.txt"
            trees.write_list(path, rows, newline)


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees):
    root = tmp_path_factory.mktemp("hmdb51")
    write_lists(trees, root, "\r\n")
    videos = root / "hmdb51_org"
    for number in (0, 1, 2, 3):
        trees.write_flash(videos / f"brush_hair/{HAIR.format(number)}.avi", 0.6, 0.2, size=(24, 36), sound=False)
    trees.write_flash(videos / f"wave/{WAVE.format(0)}.avi", 0.6, 0.4, size=(24, 36), sample_rate_hz=8000)
    trees.write_flash(videos / f"wave/{WAVE.format(1)}.AVI", 0.6, 0.4, size=(24, 36), frames_per_second=30)
    trees.write_broken(videos / "wave" / os.fsdecode(b"caf\xe9_wave.avi"))  # In no list, and its name is no text.
    trees.write_broken(videos / f"wave/{WAVE.format(2)}.avi")  # Alone in its partition, but not in a split.
    return root


@pytest.fixture(scope="module")
def prepared(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(dataset="hmdb51", source_dir=str(source), data_dir=str(data_dir), sample_rate_hz=16000)
    return data.open_dataset("hmdb51", str(data_dir))


def test_codes_become_partitions_and_partitions_splits(source):
    clips = HMDB51Config(source_dir=str(source)).listed
    assert clips.class_names == ("brush_hair", "wave")
    found = {video.name: (video.split, clips.class_names[video.label]) for video in clips.videos}
    assert found == {
        f"{class_name}/{name}": ("_".join(PARTS[code] for code in codes), class_name)
        for class_name, videos in CODES.items()
        for name, codes in videos.items()
        if name not in (HAIR.format(3), WAVE.format(3))
    }
    assert clips.skipped == {
        "in no list": [os.fsdecode(b"hmdb51_org/wave/caf\xe9_wave.avi")],
        "used by no split": [f"brush_hair/{HAIR.format(3)}"],
        "the video is not there": [f"wave/{WAVE.format(3)}"],
    }
    assert (
        clips.unions["train1"] == clips.unions["train"] == ("train_test_test", "train_test_train", "train_train_train")
    )
    assert clips.unions["test1"] == clips.unions["test"] == ("test_train_unused", "test_unused_train")
    assert clips.unions["test3"] == ("train_test_test",)


def test_official_splits_and_sound_in_step(prepared, trees, read_records):
    report = json.loads(pathlib.Path(prepared.directory, "prepare_report.json").read_text())
    assert report["skipped"]["in no list"] == ["hmdb51_org/wave/caf\ufffd_wave.avi"]
    sizes = {"train1": 3, "test1": 2, "train2": 2, "test2": 2, "train3": 2, "test3": 2, "train": 3, "test": 2}
    assert {split: prepared.split_sizes[split] for split in sizes} == sizes
    spec = data.ClipSpec(frames=4, frames_per_second=10.0, image_size=16, sample_rate_hz=16000)
    (batch,) = data.eval_batches(prepared, "test3", spec, batch_size=4, video=False)
    assert dict(zip(batch["clip_id"].numpy(), batch["label"].numpy(), strict=True)) == {
        f"brush_hair/{HAIR.format(0)}".encode(): 0,
        f"wave/{WAVE.format(0)}".encode(): 1,
    }
    splits = read_records("hmdb51", prepared.directory.split("/hmdb51/")[0])
    for partition, number in (("train_test_test", 0), ("test_unused_train", 1)):
        trees.require_in_step(splits[partition][f"wave/{WAVE.format(number)}"], 0.4, 10, 16000)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../../outside.avi 1", r"wave_test_split2.txt names '../../outside.avi', which lies outside"),
        ("/outside.avi 2", r"wave_test_split2.txt names '/outside.avi', which lies outside"),
        ("a_wave.avi 3", "wave_test_split2.txt should have rows of a video and 0, 1 or 2.* Found 'a_wave.avi 3'"),
        ("a_wave.avi", "should have rows of a video and 0, 1 or 2"),
    ],
)
def test_lists_that_are_not_the_official_ones_are_refused(tmp_path, trees, line, message):
    write_lists(trees, tmp_path)
    trees.write_list(tmp_path / "testTrainMulti_7030_splits/wave_test_split2.txt", [line])
    with pytest.raises(data.DataError, match=message):
        HMDB51Config(source_dir=str(tmp_path))


def test_a_folder_without_the_lists_or_without_the_videos_is_refused(tmp_path, trees):
    with pytest.raises(
        data.DataError, match="should hold the lists testTrainMulti_7030_splits/brush_hair_test_split1.txt"
    ):
        HMDB51Config(source_dir=str(tmp_path))
    write_lists(trees, tmp_path)
    with pytest.raises(data.DataError, match="none of the 8 videos .*brush_hair/April"):
        HMDB51Config(source_dir=str(tmp_path))
