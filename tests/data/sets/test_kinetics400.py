"""Kinetics-400 from a small tree of real files as CVDF hands them out."""

import numpy as np
import pytest

import data
from data.sets.kinetics400 import Kinetics400Config

HEADER = "label,youtube_id,time_start,time_end,split,is_cc"
# Id and time as in the names -> class, folder of the video, suffix and what is odd about it.
CLIPS = {
    "-0IErS_cisg_000017_000027": ("playing violin", "train", ".mp4", {}),
    "_a-bC_dEf12_000000_000010": ("abseiling", "train/abseiling", ".webm", {"sample_rate_hz": 48000, "size": (35, 41)}),
    "flashFLASH1_000005_000015": ("zumba", "train/zumba", ".flv", {"sample_rate_hz": 44100}),
    "muteMUTEmut_000100_000110": ("zumba", "val", ".MP4", {"sound": False}),
    "mkvMKVmkvMK_001200_001210": ("abseiling", "val", ".mkv", {"times": [0.0, 0.05, 0.2, 0.35, 0.5, 0.6, 0.7]}),
    "phonePHONEp_000001_000011": ("playing violin", "val/playing violin", ".mp4", {"rotation": 270, "channels": 2}),
    "aviAVIaviAV_000020_000030": ("riding or walking with horse", "test", ".avi", {"sample_rate_hz": 8000}),
}
GONE, MENDED = "goneGONEgon_000003_000013", "mendedMENDE_000120_000130"
MENDING, UNLABELED = "replacement/replacement_for_corrupted_k400", "secretSECRE_000002_000012"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
SMALL = dict(seconds=0.8, at=0.5, size=(32, 40))


def row(name, label, split):
    youtube_id, start, end = name[:11], int(name[12:18]), int(name[19:])
    return f'"{label}",{youtube_id},{start},{end},{split},0'


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees):
    root = tmp_path_factory.mktemp("k400")
    rows = {"train": [row(GONE, "air drumming", "train"), row(MENDED, "zumba", "train")], "val": [], "test": []}
    for name, (label, folder, suffix, oddity) in CLIPS.items():
        split = folder.split("/")[0]
        rows[split].append(row(name, label, split))
        trees.write_flash(root / folder / f"{name}{suffix}", **SMALL | oddity)
    trees.write_broken(root / f"train/zumba/{MENDED}.mp4")
    trees.write_flash(root / f"k400/{MENDING}/{MENDED}.mp4", **SMALL)
    for split, lines in rows.items():
        trees.write_list(root / f"annotations/{split}.csv", [HEADER, *lines], "\r\n", mark=split == "val")
    unlabeled = ["youtube_id,time_start,time_end,split", f"{UNLABELED[:11]},2,12,test"]  # as for the challenge of 2017
    trees.write_list(root / "annotations/kinetics_test.csv", unlabeled)
    trees.write_list(root / "annotations/notes.csv", ["who,what", "me,nothing"])
    return root


@pytest.fixture(scope="module")
def prepared(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(dataset="kinetics400", source_dir=str(source), data_dir=str(data_dir), sample_rate_hz=16000)
    return data.open_dataset("kinetics400", str(data_dir))


def test_the_rows_of_all_classes_are_listed(source):
    clips = Kinetics400Config(source_dir=str(source)).listed
    names = ("abseiling", "air drumming", "playing violin", "riding or walking with horse", "zumba")
    assert clips.class_names == names
    expected = {
        name: (SPLITS[folder.split("/")[0]], label, f"{folder}/{name}{suffix}")
        for name, (label, folder, suffix, _) in CLIPS.items()
    }
    expected[MENDED] = ("train", "zumba", f"k400/{MENDING}/{MENDED}.mp4")
    assert {video.name: (video.split, names[video.label], video.path) for video in clips.videos} == expected
    assert (
        clips.skipped == {"the video is not there": [GONE], "its list has no labels": [UNLABELED]} and not clips.unions
    )


def test_flash_and_click_are_in_step_in_every_container(prepared, trees, read_records):
    assert prepared.split_sizes == {"train": 4, "validation": 3, "test": 1}
    splits = read_records("kinetics400", prepared.directory.split("/kinetics400/")[0])
    for name, (label, folder, _, oddity) in CLIPS.items():
        record = splits[SPLITS[folder.split("/")[0]]][name]
        assert prepared.class_names[record["label"]] == label
        if "sound" in oddity:
            assert record["audio"].size == 0 and trees.flash_frame(record) == 5
        else:
            trees.require_in_step(record, 0.5, 10, 16000)
    assert splits["validation"]["phonePHONEp_000001_000011"]["video"].shape[1:3] == (40, 32)
    assert splits["train"]["_a-bC_dEf12_000000_000010"]["video"].shape[1:3] == (35, 41)


def test_validation_is_read_back(prepared):
    spec = data.ClipSpec(frames=8, frames_per_second=10.0, image_size=16, sample_rate_hz=16000)
    (batch,) = data.eval_batches(prepared, "validation", spec, batch_size=4)
    assert (np.argmax(batch["video"].numpy().mean(axis=(2, 3, 4)), axis=1) == 5).all()
    assert batch["has_audio"].numpy().sum() == 2
    labels = {prepared.class_names[label] for label in batch["label"].numpy()}
    assert labels == {"zumba", "abseiling", "playing violin"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "should hold CSV files, in it or in its folder annotations, .* rows of any class"),
        (
            [HEADER, row(GONE, "zumba", "later")],
            "train.csv should have rows of label,.* Found 'zumba,goneGONEgon,3,13,later,0'",
        ),
        ([HEADER, "zumba,goneGONEgon,3,inf,train,0"], "train.csv should have rows of label"),
        ([HEADER, "zumba,goneGONEgon"], "train.csv should have rows of label"),
        (
            [HEADER, "zumba,../outside/goneGONEgon,3,13,train"],
            r"train.csv names '../outside/goneGONEgon_000003_000013', which",
        ),
        (
            [HEADER, "zumba,/goneGONEgon,3,13,train"],
            r"train.csv names '/goneGONEgon_000003_000013', which lies outside",
        ),
        ([HEADER, row(GONE, "zumba", "train")], "none of the 1 videos .*-0IErS_cisg_000017_000027.mp4"),
    ],
)
def test_a_folder_that_is_not_kinetics_is_refused(tmp_path, trees, lines, message):
    if lines is not None:
        trees.write_list(tmp_path / "train.csv", lines)
    with pytest.raises(data.DataError, match=message):
        Kinetics400Config(source_dir=str(tmp_path))
