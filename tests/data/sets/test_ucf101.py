"""UCF101 from a small tree of real files in the published layout."""

import json

import numpy as np
import pytest

import data
from data.sets.ucf101 import UCF101Config

CLASSES = ("ApplyEyeMakeup", "HandstandPushups", "PlayingGuitar")
EYES, STAND, GUITAR = "v_ApplyEyeMakeup_g{:02d}_c01", "v_HandStandPushups_g{:02d}_c01", "v_PlayingGuitar_g{:02d}_c01"
# As published: groups 1 ... 7 are tested on by the first split, 8 ... 14 by the second, 15 ... 21 by the third.
GROUPS = {1: "test_train_train", 8: "train_test_train", 15: "train_train_test", 22: "train_train_train"}
RED, GREEN, BLUE = (200, 40, 30), (40, 180, 60), (50, 60, 210)


def listed(name):
    return f"{'HandstandPushups' if 'Hand' in name else name.split('_')[1]}/{name}.avi"


def write_lists(trees, root):
    """The official lists of four groups of the three classes, as copies from Windows have them."""
    lists = root / "ucfTrainTestlist"
    trees.write_list(lists / "classInd.txt", [f"{i + 1} {name}" for i, name in enumerate(CLASSES)], "\r\n", mark=True)
    for split in (1, 2, 3):
        for part in ("train", "test"):
            groups = [group for group, parts in GROUPS.items() if parts.split("_")[split - 1] == part]
            rows = [
                f"{listed(name.format(group))}{f' {label + 1}' if part == 'train' else ''}"
                for label, name in enumerate((EYES, STAND, GUITAR))
                for group in groups
            ]
            trees.write_list(lists / f"{part}list0{split}.txt", rows, "\r\n")


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees):
    """Four groups of three classes, each class of one color, with what real copies have wrong."""
    root = tmp_path_factory.mktemp("ucf101")
    write_lists(trees, root)
    videos = root / "UCF-101"
    small = dict(size=(24, 32), seconds=0.6, at=0.3)
    for group in GROUPS:
        trees.write_flash(videos / f"ApplyEyeMakeup/{EYES.format(group)}.avi", color=RED, sound=group == 8, **small)
    for group in (1, 8, 15):
        trees.write_flash(videos / f"HandstandPushups/{STAND.format(group)}.avi", color=GREEN, sound=False, **small)
    trees.write_flash(videos / f"HandstandPushups/{STAND.format(22).lower()}.AVI", color=GREEN, sound=False, **small)
    trees.write_flash(videos / f"PlayingGuitar/{GUITAR.format(1)}.mp4", color=BLUE, **small)
    trees.write_broken(videos / f"PlayingGuitar/{GUITAR.format(8)}.avi")
    trees.write_flash(videos / f"PlayingGuitar/{GUITAR.format(15)}.avi", seconds=0.1, at=9, color=BLUE, size=(24, 32))
    trees.write_flash(videos / "PlayingGuitar/v_PlayingGuitar_g26_c01.avi", **small)
    return root


@pytest.fixture(scope="module")
def prepared(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(dataset="ucf101", source_dir=str(source), data_dir=str(data_dir), sample_rate_hz=16000)
    return data.open_dataset("ucf101", str(data_dir))


def test_every_video_is_in_the_partition_that_the_lists_say(source):
    clips = UCF101Config(source_dir=str(source)).listed
    assert clips.class_names == CLASSES
    assert {video.name: (video.split, CLASSES[video.label]) for video in clips.videos} == {
        name.format(group): (partition, class_name)
        for name, class_name in zip((EYES, STAND, GUITAR), CLASSES, strict=True)
        for group, partition in GROUPS.items()
        if (name, group) != (GUITAR, 22)
    }
    assert clips.skipped == {
        "in no list": ["UCF-101/PlayingGuitar/v_PlayingGuitar_g26_c01.avi"],
        "the video is not there": [GUITAR.format(22)],
    }
    assert dict(clips.unions) == {
        "train": ("train_test_train", "train_train_test", "train_train_train"),
        "test": ("test_train_train",),
        "train1": ("train_test_train", "train_train_test", "train_train_train"),
        "test1": ("test_train_train",),
        "train2": ("test_train_train", "train_train_test", "train_train_train"),
        "test2": ("train_test_train",),
        "train3": ("test_train_train", "train_test_train", "train_train_train"),
        "test3": ("train_train_test",),
    }


def test_the_official_splits_are_read_back(prepared):
    sizes = {"train1": 7, "test1": 3, "train2": 8, "test2": 2, "train3": 7, "test3": 3, "train": 7, "test": 3}
    assert {split: prepared.split_sizes[split] for split in sizes} == sizes
    assert prepared.class_names == CLASSES
    spec = data.ClipSpec(frames=6, frames_per_second=10.0, image_size=16, sample_rate_hz=16000)
    (batch,) = data.eval_batches(prepared, "test2", spec, batch_size=4)
    assert dict(zip(batch["clip_id"].numpy().tolist(), batch["label"].numpy().tolist(), strict=True)) == {
        EYES.format(8).encode(): 0,
        STAND.format(8).encode(): 1,
    }
    assert (np.argmax(batch["video"].numpy().mean(axis=(2, 3, 4)), axis=1) == 3).all()
    assert batch["has_audio"].numpy().sum() == 1


def test_colors_times_and_faults(prepared, trees, read_records):
    records = {}
    for found in read_records("ucf101", prepared.directory.split("/ucf101/")[0]).values():
        records |= found
    colors = {EYES.format(22): RED, STAND.format(22): GREEN, GUITAR.format(1): BLUE, GUITAR.format(15): BLUE}
    for name, color in colors.items():
        np.testing.assert_allclose(trees.middle_color(records[name]), color, atol=12)
    trees.require_in_step(records[EYES.format(8)], 0.3, 10, 16000)
    trees.require_in_step(records[GUITAR.format(1)], 0.3, 10, 16000)
    assert records[EYES.format(1)]["audio"].size == 0 and len(records[GUITAR.format(15)]["video"]) == 1
    with open(f"{prepared.directory}/prepare_report.json") as file:
        skipped = json.load(file)["skipped"]
    assert [GUITAR.format(8)] in skipped.values() and len(skipped) == 3


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        (
            "trainlist02.txt",
            "../outside/v_ApplyEyeMakeup_g01_c01.avi 1",
            "trainlist02.txt names '../outside/.*lies outside",
        ),
        ("testlist01.txt", "/etc/v_ApplyEyeMakeup_g01_c01.avi", "testlist01.txt names '/etc/.*lies outside"),
        ("testlist01.txt", "Juggling/v_Juggling_g01_c01.avi", "testlist01.txt should have rows like .*Found 'Juggling"),
        ("trainlist01.txt", "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 2", "trainlist01.txt should have rows like"),
        ("classInd.txt", "2 ApplyEyeMakeup", "classInd.txt should number its classes from 1 on"),
    ],
)
def test_lists_that_are_not_the_official_ones_are_refused(tmp_path, trees, name, line, message):
    write_lists(trees, tmp_path)
    trees.write_list(tmp_path / "ucfTrainTestlist" / name, [line])
    with pytest.raises(data.DataError, match=message):
        UCF101Config(source_dir=str(tmp_path))


def test_a_folder_without_the_lists_or_without_the_videos_is_refused(tmp_path, trees):
    with pytest.raises(data.DataError, match="should hold the lists of UCF101, ucfTrainTestlist/classInd.txt"):
        UCF101Config(source_dir=str(tmp_path))
    write_lists(trees, tmp_path)
    with pytest.raises(data.DataError, match="none of the 12 videos .*v_ApplyEyeMakeup_g01_c01.avi"):
        UCF101Config(source_dir=str(tmp_path))
