"""CREMA-D from a small tree of real files in the published layout, through the command line."""

import json
import pathlib
import subprocess
import sys
import wave

import fsspec
import numpy as np
import pytest

from data.errors import DataError
from data.records.prepared_dataset import open_dataset
from data.sets.crema_d import CremaDConfig, _read_splits, split_speakers
from experiments.running.command_line import BadInput, RunFailed

pytestmark = pytest.mark.slow

SPEAKERS = split_speakers(0.1, 0.1)
TRAIN, VALIDATION, TEST = (
    sorted(speaker for speaker, split in SPEAKERS.items() if split == wanted)
    for wanted in ("train", "validation", "test")
)
A, V, T = TRAIN[0], VALIDATION[0], TEST[0]
# Where the flash and the click are, in seconds.
GOOD = {
    f"{A}_DFA_ANG_XX": 0.3,
    f"{A}_IEO_HAP_HI": 0.5,
    f"{A}_ITH_SAD_X": 0.7,
    f"{V}_DFA_NEU_XX": 0.4,
    f"{T}_DFA_FEA_XX": 0.6,
    f"{T}_TSI_DIS_XX": 0.2,
}
FLAGS = dict(dataset="crema_d", image_size_px=32)


@pytest.fixture(scope="module")
def source(tmp_path_factory, write_flash):
    """Pairs that fit, and what goes wrong in real copies."""
    root = tmp_path_factory.mktemp("CREMA-D")
    sounds, videos = root / "AudioWAV", root / "VideoFlash"
    for name, at in GOOD.items():
        upper = name.endswith("_HI")
        write_flash(sounds / f"{name}{'.WAV' if upper else '.wav'}", at=at)
        write_flash(videos / f"{name}{'.FLV' if upper else '.flv'}", seconds=1.1, at=at)
    write_flash(sounds / f"{A}_IOM_DIS_XX.wav")
    write_flash(videos / f"{A}_IWW_DIS_XX.flv")
    for name in ("TAI_SAD_XX", "MTI_SAD_XX", "IWL_NEU_XX"):
        write_flash(sounds / f"{A}_{name}.wav")
        write_flash(videos / f"{A}_{name}.flv")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (videos / f"{A}_TAI_SAD_XX.flv").write_text(pointer)
    with wave.open(str(sounds / f"{A}_MTI_SAD_XX.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))  # A header, and no sound.
    (sounds / f"{A}_IWL_NEU_XX.wav").write_text(pointer)
    write_flash(sounds / "microphone_test.wav")
    (sounds / f"._{A}_DFA_ANG_XX.wav").write_bytes(b"what macOS leaves")
    return root


@pytest.fixture(scope="module")
def records(source, tmp_path_factory, run_prepare, read_records):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(source_dir=str(source), data_dir=str(data_dir), **FLAGS)
    return read_records("crema_d", data_dir), data_dir


def test_speakers_are_in_one_split_each():
    sizes = [len(speakers) for speakers in (TRAIN, VALIDATION, TEST)]
    assert sizes == [73, 9, 9] and len(SPEAKERS) == 91
    assert split_speakers(0.0, 0.2)[T] == "test" and "validation" not in split_speakers(0.0, 0.2).values()


def test_pairs_are_prepared_by_speaker(records):
    splits, data_dir = records
    found = {split: set(by_name) for split, by_name in splits.items()}
    for split, speaker in (("train", A), ("validation", V), ("test", T)):
        assert found[split] == {name for name in GOOD if name.startswith(speaker)}
    prepared = open_dataset("crema_d", str(data_dir))
    assert prepared.class_names == ("anger", "disgust", "fear", "happy", "neutral", "sad")
    assert prepared.directory.endswith("crema_d/default/1.0.0") and prepared.sample_rate_hz == 16000
    codes = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    for by_name in splits.values():
        for name, record in by_name.items():
            assert codes[record["label"]] == name.split("_")[2]
            assert record["source"].decode().lower() == f"videoflash/{name.lower()}.flv"


def test_sound_is_that_of_the_wav_file_and_in_step(records):
    for by_name in records[0].values():
        for name, record in by_name.items():
            assert record["video"].shape == (11, 32, 43, 3) and record["audio"].shape == (17600,)
            flash = record["video"].mean(axis=(1, 2, 3)).argmax()
            loud = np.flatnonzero(record["audio"] > 10000)
            assert flash == round(GOOD[name] * 10)
            assert loud.min() == pytest.approx(GOOD[name] * 16000, abs=16)
            assert not record["audio"][16000:].any()  # The wav file is shorter than the video.


def test_broken_and_missing_partners_are_counted(records):
    report = json.loads((records[1] / "crema_d/default/1.0.0/prepare_report.json").read_text())
    assert report["videos_listed"] == {"train": 6, "validation": 1, "test": 2}
    assert report["clips"] == {"train": 3, "validation": 1, "test": 2}
    reasons = {names[0]: reason for reason, names in report["skipped"].items()}
    assert all(len(names) == 1 for names in report["skipped"].values()) and report["videos_skipped"] == 6
    assert reasons["microphone_test"] == "not named like 1001_DFA_ANG_XX"
    assert reasons[f"{A}_IOM_DIS_XX"] == "not in VideoFlash"
    assert reasons[f"{A}_IWW_DIS_XX"] == "not in AudioWAV"
    assert reasons[f"{A}_TAI_SAD_XX"].startswith("not a media file")
    assert reasons[f"{A}_MTI_SAD_XX"] == "its audio file has no audio"
    assert reasons[f"{A}_IWL_NEU_XX"].startswith("its audio file: not a media file")
    assert report["clips_per_class"] == dict(anger=1, disgust=1, fear=1, happy=1, neutral=1, sad=1)
    assert report["clips_without_audio"] == 0 and report["video_seconds"] == pytest.approx(6.6)


def test_tfds_build_writes_the_same_records(source, tmp_path, run_prepare, read_records):
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", "data/sets/crema_d.py"]
    command += [f"--manual_dir={source}", f"--data_dir={tmp_path}/tfds"]
    subprocess.run(command, cwd=pathlib.Path(__file__).parents[3], check=True, capture_output=True, timeout=300)
    run_prepare(dataset="crema_d", source_dir=str(source), data_dir=str(tmp_path / "ours"))
    theirs, ours = (read_records("crema_d", tmp_path / name) for name in ("tfds", "ours"))
    assert {split: set(found) for split, found in theirs.items()} == {
        split: set(found) for split, found in ours.items()
    }
    for split, found in ours.items():
        for name, record in found.items():
            other = theirs[split][name]
            assert all(np.array_equal(record[key], other[key]) for key in record if key != "captions")
    metadata = [open_dataset("crema_d", str(tmp_path / name)).directory for name in ("tfds", "ours")]
    first, second = (json.loads(pathlib.Path(directory, "metadata.json").read_text()) for directory in metadata)
    assert first == second and first["parameters"]["source_fingerprint"]
    with pytest.raises(BadInput, match="is not a finished data set"):  # It has neither report nor vocabularies.
        run_prepare(dataset="crema_d", source_dir=str(source), data_dir=str(tmp_path / "tfds"))


def test_the_split_that_others_use(source, tmp_path, run_prepare, read_records):
    names = list(GOOD)
    rows = [f"{name},{name.split('_')[2]}" for name in names]
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv/train.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows[:4]).encode())
    (tmp_path / "csv/test.csv").write_text("\n".join(rows[3:5]) + "\n")
    flags = dict(source_dir=str(source), data_dir=str(tmp_path), split_csv_dir=str(tmp_path / "csv"), **FLAGS)
    run_prepare(validation_fraction=0.0, **flags)
    splits = read_records("crema_d/csv", tmp_path)
    assert {split: set(found) for split, found in splits.items()} == {
        "train": set(names[:3]),
        "test": set(names[3:5]),  # One is in both files; it is not trained on.
    }
    report = json.loads((tmp_path / "crema_d/csv/1.0.0/prepare_report.json").read_text())
    assert names[5] in report["skipped"]["in no split file"]
    with pytest.raises(BadInput, match="validation_fraction is 0.0 there and 0.1 here"):
        run_prepare(**flags)
    (tmp_path / "csv/validation.csv").write_text(rows[0])
    listed = CremaDConfig(source_dir=str(source), split_csv_dir=str(tmp_path / "csv")).listed
    assert {video.name for video in listed.videos if video.split == "validation"} == {names[0]}


def test_a_share_of_the_training_rows_is_held_out(tmp_path, source):
    names = [f"{speaker}_DFA_ANG_XX" for speaker in SPEAKERS] + list(GOOD)
    (tmp_path / "train.csv").write_text("".join(f"{name},{name.split('_')[2]}\n" for name in names))
    (tmp_path / "test.csv").write_text("")
    splits = _read_splits(str(tmp_path), 0.25)
    held_out = sum(split == "validation" for split in splits.values()) / len(splits)
    assert 0.1 < held_out < 0.4 and set(splits.values()) == {"train", "validation"}


def test_the_split_files_may_be_remote(tmp_path):
    rows = {"train": "1001_DFA_ANG_XX,ANG", "validation": "1002_DFA_ANG_XX,ANG", "test": "1003_DFA_ANG_XX,ANG"}
    fsspec.filesystem("memory").pipe({f"/splits/{split}.csv": row.encode() for split, row in rows.items()})
    assert _read_splits("memory://splits", 0.0) == {row.split(",")[0]: split for split, row in rows.items()}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(source_dir="nowhere"), "--source_dir should be the data set's folder"),
        (dict(source_dir="."), "should hold pairs of AudioWAV/NAME.wav"),
        (dict(validation_fraction=0.6), "validation_fraction should be a share"),
        (dict(class_list="x.txt"), "--dataset=crema_d has no --class_list"),
        (dict(split_csv_dir="nowhere"), "train.csv cannot be read"),
        (dict(split_csv_dir="."), "should have rows like 1001_DFA_ANG_XX,ANG. Found 'name,label'"),
    ],
)
def test_bad_input_is_refused(source, tmp_path, monkeypatch, run_prepare, values, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.csv").write_text("name,label\n")
    with pytest.raises(BadInput, match=message):
        run_prepare(**dict(source_dir=str(source), data_dir="data", **FLAGS) | values)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("max_bad_fraction", [0.4, 1.0])
def test_too_many_broken_files_fail(tmp_path, run_prepare, write_flash, max_bad_fraction):
    for name in (f"{A}_DFA_ANG_XX", f"{A}_DFA_SAD_XX", f"{T}_DFA_ANG_XX"):
        write_flash(tmp_path / f"source/AudioWAV/{name}.wav")
        (tmp_path / "source/VideoFlash").mkdir(exist_ok=True)
        (tmp_path / f"source/VideoFlash/{name}.flv").write_text("broken")
    write_flash(tmp_path / f"source/VideoFlash/{A}_DFA_ANG_XX.flv")
    flags = dict(source_dir=str(tmp_path / "source"), data_dir=str(tmp_path), **FLAGS)
    if max_bad_fraction == 1.0:  # Of the test split nothing is left, so there is none.
        run_prepare(max_bad_fraction=max_bad_fraction, **flags)
        assert open_dataset("crema_d", str(tmp_path)).split_sizes == {"train": 1}
        return
    with pytest.raises(RunFailed, match="files cannot be used, more of split 'test' than"):
        run_prepare(max_bad_fraction=max_bad_fraction, **flags)
    assert sorted(path.name for path in (tmp_path / "crema_d").iterdir()) == ["incomplete", "prepare_report.json"]


def test_impossible_settings_are_refused(source):
    for settings, message in (
        (dict(max_bad_fraction=2.0), "max_bad_fraction should be a share"),
        (dict(frames_per_second=0), "frames_per_second should be at least 1"),
        (dict(clip_seconds=0.01), "hold at least one frame"),
    ):
        with pytest.raises(DataError, match=message):
            CremaDConfig(source_dir=str(source), **settings)
