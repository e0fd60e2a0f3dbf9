"""ESC-50 from a small tree of real files in the published layout: records without frames."""

import json

import numpy as np
import pytest

import data
from data.sets.esc50 import ESC50Config

HEADER = "filename,fold,target,category,esc10,src_file,take"
SPEC = data.ClipSpec(frames=5, frames_per_second=10.0, image_size=16, sample_rate_hz=16000)
# Names are fold, source, take, target.
ROWS = [
    "1-100032-A-0.wav,1,0,dog,True,100032,A",
    "1-17367-A-10.wav,1,10,rain,True,17367,A",
    "2-114280-A-0.wav,2,0,dog,True,114280,A",
    "3-157695-A-10.wav,3,10,rain,True,157695,A",
    "4-182395-A-42.wav,4,42,siren,False,182395,A",
    "5-203128-A-0.wav,5,0,dog,True,203128,A",
    "5-203128-B-0.wav,5,0,dog,True,203128,B",
]
NAMES = [row.split(".")[0] for row in ROWS]


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees):
    root = tmp_path_factory.mktemp("ESC-50")
    trees.write_list(root / "meta/esc50.csv", [HEADER, *ROWS, ROWS[0]], "\r\n", mark=True)
    for number, name in enumerate(NAMES[:-2]):
        suffix = "WAV" if number == 1 else "wav"
        trees.write_flash(root / f"audio/{name}.{suffix}", seconds=1.0, at=0.1 + 0.2 * number, sample_rate_hz=44100)
    trees.write_broken(root / f"audio/{NAMES[-2]}.wav")
    return root


@pytest.fixture(scope="module")
def prepared(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(
        dataset="esc50", source_dir=str(source), data_dir=str(data_dir), sample_rate_hz=16000, max_bad_fraction=1.0
    )
    return data.open_dataset("esc50", str(data_dir))


def test_folds_are_partitions_and_splits_their_unions(source):
    clips = ESC50Config(source_dir=str(source)).listed
    assert clips.class_names == ("dog", "rain", "siren")
    assert [(video.name, video.split, video.label) for video in clips.videos] == [
        (name, f"fold{row.split(',')[1]}", ("dog", "rain", "siren").index(row.split(",")[3]))
        for name, row in zip(NAMES[:-1], ROWS, strict=False)
    ]
    assert clips.skipped == {"listed again": [NAMES[0]], "the sound is not there": [NAMES[-1]]}
    folds = {f"fold{fold}" for fold in range(1, 6)}
    for fold in range(1, 6):
        assert clips.unions[f"test{fold}"] == (f"fold{fold}",)
        assert set(clips.unions[f"train{fold}"]) == folds - {f"fold{fold}"}
    assert (clips.unions["train"], clips.unions["test"]) == (clips.unions["train1"], clips.unions["test1"])


def test_sounds_are_read_back_where_they_were_planted(prepared):
    assert not prepared.has_video and prepared.class_names == ("dog", "rain", "siren")
    # Nothing in the fifth fold could be used.
    sizes = {"train": 3, "test": 2, "train1": 3, "test1": 2, "train2": 4, "test2": 1, "train5": 5}
    assert {split: prepared.split_sizes[split] for split in sizes} == sizes
    assert "test5" not in prepared.split_sizes
    (batch,) = data.eval_batches(prepared, "train5", SPEC, batch_size=8, windows=2, video=False)
    assert "video" not in batch and batch["has_audio"].numpy().all()
    loud = np.abs(batch["waveform"].numpy().reshape(5, 16000)) > 0.3  # Two windows of 0.5 s are the second.
    for name, place, label in zip(batch["clip_id"].numpy(), loud.argmax(axis=1), batch["label"].numpy(), strict=True):
        number = NAMES.index(name.decode())
        assert abs(place / 16000 - (0.1 + 0.2 * number)) < 0.005
        assert label == (0, 1, 0, 1, 2)[number]


def test_training_reads_the_other_folds_and_asks_for_sound_only(prepared):
    batch = next(data.train_batches(prepared, SPEC, batch_size=3, seed=1, video=False).as_numpy_iterator())
    assert sorted(batch["label"].tolist()) == [0, 1, 2] and batch["waveform"].shape == (3, 8000)
    with pytest.raises(data.DataError, match="holds audio without video; read it with video=False"):
        data.train_batches(prepared, SPEC, batch_size=3, seed=1)


def test_what_is_broken_is_named(prepared):
    with open(f"{prepared.directory}/prepare_report.json") as file:
        skipped = json.load(file)["skipped"]
    broken = [reason for reason, names in skipped.items() if names == [NAMES[-2]]]
    assert len(broken) == 1 and "not a media file" in broken[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "should hold meta/esc50.csv and the folder audio"),
        (["file,class", ROWS[0]], "esc50.csv should have a header with filename, fold, target, category"),
        ([HEADER, "1-100032-A-0.wav,6,0,dog"], "a fold of 1, 2, 3, 4, 5 .*Found '1-100032-A-0.wav,6,0,dog'"),
        ([HEADER, f"1-100032-A-0.wav,1,{'9' * 5000},dog"], "a number as target"),
        ([HEADER, "../../1-100032-A-0.wav,1,0,dog"], r"esc50.csv names '../../1-100032-A-0.wav', which lies outside"),
        ([HEADER, "/tmp/1-100032-A-0.wav,1,0,dog"], r"esc50.csv names '/tmp/1-100032-A-0.wav', which lies outside"),
        ([HEADER, ROWS[0]], "none of the 1 sounds that meta/esc50.csv lists is in "),
    ],
)
def test_a_folder_that_is_not_esc50_is_refused(tmp_path, trees, lines, message):
    if lines is not None:
        trees.write_list(tmp_path / "meta/esc50.csv", lines)
    with pytest.raises(data.DataError, match=message):
        ESC50Config(source_dir=str(tmp_path))
