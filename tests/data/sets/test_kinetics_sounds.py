"""Kinetics-Sounds from a small tree of real files in the published layout, through the command line."""

import json

import numpy as np
import pytest

from data.records.prepared_dataset import open_dataset
from data.sets.kinetics_sounds import CLASS_NAMES
from experiments.running.command_line import BadInput, RunFailed

HEADER = "label,youtube_id,time_start,time_end,split,is_cc"
FLAGS = dict(dataset="kinetics_sounds", image_size_px=32, sample_rate_hz=8000)
VIOLIN, MUTE, LONG, MENDED, TICKLING, SINGING, ABSEILING = (
    "-0IErS_cisg_000017_000027",
    "muteMUTEmut_000000_000010",
    "longLONGlon_000005_000015",
    "mendedMENDE_000120_000130",
    "a_b-cD_eF12_000100_000110",
    "singSINGsin_000003_000013",
    "abseilABSEI_000001_000011",
)


def row(name, label, split):
    youtube_id, start, end = name[:11], int(name[12:18]), int(name[19:])
    return f"{label},{youtube_id},{start},{end},{split},0"


@pytest.fixture(scope="module")
def source(tmp_path_factory, write_flash):
    """A copy of Kinetics-400 in small."""
    root = tmp_path_factory.mktemp("k400")
    train = [
        row(VIOLIN, "playing violin", "train"),
        row("goneGONEgon_000001_000011", "playing violin", "train"),
        row(ABSEILING, "abseiling", "train"),
        row(MUTE, "bowling", "train"),
        row("brokenBROKE_000007_000017", "bowling", "train"),
        row(LONG, "tickling", "train"),
        row(MENDED, '"tapping pen"', "train"),
        row(VIOLIN, "playing violin", "train"),
    ]
    (root / "annotations").mkdir()
    (root / "annotations/train.csv").write_bytes("\ufeff".encode() + "\r\n".join([HEADER, *train]).encode())
    (root / "annotations/val.csv").write_text(f"{HEADER}\n{row(TICKLING, 'tickling', 'val')}\n")
    (root / "annotations/test.csv").write_text(f"{HEADER}\n{row(SINGING, 'singing', 'test')}\n\n")
    (root / "annotations/notes.csv").write_text("who,what\nme,nothing\n")
    write_flash(root / f"train/{VIOLIN}.mp4", at=0.4)
    write_flash(root / f"train/{ABSEILING}.mp4")
    write_flash(root / f"train/{MUTE}.mp4", sound=False)
    write_flash(root / f"train/{LONG}.mp4", seconds=2.6, at=1.9)
    (root / "train/brokenBROKE_000007_000017.mp4").write_text("not a video")
    (root / f"train/{MENDED}.mp4").write_text("not a video")
    write_flash(root / f"replacement/for_corrupted/{MENDED}.mp4")
    write_flash(root / f"val/tickling/{TICKLING}.MP4", at=0.7)
    write_flash(root / f"test/{SINGING}.mp4")
    write_flash(root / "test/holiday.mp4")
    return root


@pytest.fixture(scope="module")
def prepared(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(source_dir=str(source), data_dir=str(data_dir), clip_seconds=2.0, **FLAGS)
    return data_dir


def test_thirty_one_classes_each_once():
    assert len(CLASS_NAMES) == len(set(CLASS_NAMES)) == 31 and list(CLASS_NAMES) == sorted(CLASS_NAMES)


def test_the_rows_of_the_classes_are_prepared(prepared, read_records):
    splits = read_records("kinetics_sounds", prepared)
    assert {split: set(found) for split, found in splits.items()} == {
        "train": {VIOLIN, MUTE, LONG, MENDED},
        "validation": {TICKLING},
        "test": {SINGING},
    }
    labels = {name: CLASS_NAMES[r["label"]] for found in splits.values() for name, r in found.items()}
    assert labels == {
        VIOLIN: "playing violin",
        MUTE: "bowling",
        LONG: "tickling",
        MENDED: "tapping pen",
        TICKLING: "tickling",
        SINGING: "singing",
    }
    assert open_dataset("kinetics_sounds", str(prepared)).class_names == CLASS_NAMES
    assert splits["validation"][TICKLING]["source"].decode() == f"val/tickling/{TICKLING}.MP4"
    assert splits["train"][MENDED]["source"].decode().startswith("replacement/")


def test_sound_is_in_step_and_long_clips_are_cut(prepared, read_records):
    train = read_records("kinetics_sounds", prepared)["train"]
    for name, at, frames in ((VIOLIN, 0.4, 10), (LONG, 1.9, 20)):
        record = train[name]
        assert record["video"].shape == (frames, 32, 43, 3) and record["audio"].shape == (frames * 800,)
        assert record["video"].mean(axis=(1, 2, 3)).argmax() == round(10 * at)
        loud = np.flatnonzero(np.abs(record["audio"].astype(int)) > 10000) / 8000
        assert at - 0.02 < loud.min() < at + 0.02
    assert train[MUTE]["audio"].shape == (0,)


def test_what_is_missing_is_counted(prepared):
    report = json.loads((prepared / "kinetics_sounds/default/1.0.0/prepare_report.json").read_text())
    assert report["videos_listed"] == {"train": 5, "validation": 1, "test": 1}
    assert report["skipped"].pop("listed again") == [VIOLIN]
    assert report["skipped"].pop("the video is not there") == ["goneGONEgon_000001_000011"]
    ((reason, names),) = report["skipped"].items()
    assert reason.startswith("not a media file") and names == ["brokenBROKE_000007_000017"]
    assert report["videos_skipped"] == 3 and report["clips_without_audio"] == 1
    assert report["clips_per_class"]["tickling"] == 2 and report["clips_per_class"]["laughing"] == 0


def test_other_classes_can_be_listed(source, tmp_path, run_prepare, capsys):
    (tmp_path / "my-two.txt").write_text("abseiling\ntickling\n")
    flags = dict(source_dir=str(source), data_dir=str(tmp_path), class_list=str(tmp_path / "my-two.txt"))
    run_prepare(**flags, **FLAGS)
    prepared = open_dataset("kinetics_sounds/my_two", str(tmp_path))
    assert prepared.class_names == ("abseiling", "tickling")
    assert prepared.split_sizes == {"train": 2, "validation": 1}
    assert '"abseiling": 1' in capsys.readouterr().out
    run_prepare(**flags, **FLAGS)
    assert "already prepared" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        (None, "should hold CSV files"),
        (f"{HEADER}\n{row(ABSEILING, 'abseiling', 'train')}\n", "should hold CSV files"),
        (f"{HEADER}\n{row(VIOLIN, 'tickling', 'train')}\n", "none of the 1 videos .* can be used"),
        (f"{HEADER}\n{row(VIOLIN, 'tickling', 'later')}\n", "train.csv should have rows of label,.*'tickling,-0IE"),
        (f"{HEADER}\ntickling,-0IErS_cisg\n", "train.csv should have rows of label"),
    ],
)
def test_a_folder_that_is_not_kinetics_is_refused(tmp_path, run_prepare, csv, message):
    (tmp_path / "source").mkdir()
    if csv is not None:
        (tmp_path / "source/train.csv").write_text(csv)
    with pytest.raises(BadInput, match=message):
        run_prepare(source_dir=str(tmp_path / "source"), data_dir=str(tmp_path / "data"), **FLAGS)


def test_names_cannot_lead_out_of_the_folder(tmp_path, run_prepare, write_flash):
    write_flash(tmp_path / f"outside/{VIOLIN}.mp4")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/train.csv").write_text(f"{HEADER}\ntickling,../outside/{VIOLIN[:11]},17,27,train,0\n")
    with pytest.raises(BadInput, match=r"train.csv names '../outside/.*', which lies outside"):
        run_prepare(source_dir=str(tmp_path / "source"), data_dir=str(tmp_path / "data"), **FLAGS)


def test_nothing_usable_is_a_failure(tmp_path, run_prepare):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/train.csv").write_text(f"{HEADER}\n{row(VIOLIN, 'tickling', 'train')}\n")
    (tmp_path / f"source/{VIOLIN}.mp4").write_text("not a video")
    with pytest.raises(RunFailed, match="1 of 1 files cannot be used, nothing is left"):
        run_prepare(source_dir=str(tmp_path / "source"), data_dir=str(tmp_path / "data"), max_bad_fraction=1.0, **FLAGS)
