"""AudioSet from a small tree of real files, under all the names that are in use."""

import dataclasses
import json

import numpy as np
import pytest

from data.errors import DataError
from data.records.prepared_dataset import open_dataset, open_labeled
from data.sets.audioset import AudioSetConfig

CLASSES = ("Speech", "Male speech, man speaking", "Whoosh, swoosh, swish")
HEADER = [
    "# Segments csv created Sun Mar  5 10:54:31 2017",
    "# num_ytids=8",
    "# YTID, start_seconds, end_seconds, positive_labels",
]
BALANCED = {
    "--PJHxphWEs, 30.000, 40.000": "train/--PJHxphWEs_30.mp4",
    "msMSmsMSms_, 70.000, 80.000": "train/msMSmsMSms__70000_80000.WEBM",
    "wholeWHOLEw, 1.000, 2.000": "wholeWHOLEw.mp4",
    "YpannsPANNs, 0.000, 10.000": "audio/YYpannsPANNs.mkv",
    "otherOTHERo, 10.000, 20.000": "train/otherOTHERo_50.mp4",
    "soundSOUNDs, 0.000, 10.000": "wav/soundSOUNDs_0.wav",
    "goneGONEgon, 0.000, 10.000": None,
}
UNBALANCED = {
    "padPADpadPA, 30.000, 40.000": "padPADpadPA_000030_000040.mp4",
    "wholeWHOLEw, 1.000, 2.000": None,
    "brokenBROKE, 20.000, 30.000": "brokenBROKE_20.mp4",
}
EVALUATION = {
    "evalEVALeva, 2.000, 4.000": "eval/evalEVALeva.mp4",
    "pastPASTpas, 30.000, 40.000": "eval/pastPASTpas.mp4",
}
WHOLE = ("wholeWHOLEw", "evalEVALeva")
LABELS = {"--PJHxphWEs": "/m/09x0r,/m/05zppz", "wholeWHOLEw": "/m/07rqsjt"}


def rows_of(segments):
    return [f'{segment}, "{LABELS.get(segment[:11], "/m/09x0r")}"' for segment in segments]


@pytest.fixture(scope="module")
def source(tmp_path_factory, trees):
    """A file under each kind of name, and some that are missing, broken, too short or of another clip."""
    root = tmp_path_factory.mktemp("audioset")
    names = ["index,mid,display_name", '0,/m/09x0r,"Speech"', '1,/m/05zppz,"Male speech, man speaking"']
    trees.write_list(root / "class_labels_indices.csv", [*names, '2,/m/07rqsjt,"Whoosh, swoosh, swish"'])
    trees.write_list(root / "balanced_train_segments.csv", HEADER + rows_of(BALANCED))
    trees.write_list(root / "unbalanced_train_segments.csv", HEADER + rows_of(UNBALANCED), "\r\n", mark=True)
    trees.write_list(root / "eval_segments.csv", HEADER + rows_of(EVALUATION))
    for segment, path in (BALANCED | UNBALANCED | EVALUATION).items():
        if path and "broken" in path:
            trees.write_broken(root / path)
        elif path:
            seconds, at = (3.0, 2.4 if "eval" in path else 1.4) if segment[:11] in WHOLE else (1.0, 0.4)
            rate = {".WEBM": 48000, ".wav": 8000}.get(path[-4:], 16000)
            trees.write_flash(root / path, seconds, at, size=(24, 32), sample_rate_hz=rate)
    trees.write_flash(root / "wholeWHOLEw.mp4", 3.0, 1.4, size=(24, 32))
    trees.write_flash(root / "holiday.mp4", size=(24, 32))
    return root


@pytest.fixture(scope="module")
def data_dir(source, tmp_path_factory, run_prepare):
    data_dir = tmp_path_factory.mktemp("data")
    run_prepare(dataset="audioset", source_dir=str(source), data_dir=str(data_dir), sample_rate_hz=8000)
    return data_dir


def listed(root, **options):
    return AudioSetConfig(source_dir=str(root), **options).listed


def test_files_are_found_by_all_their_names(source):
    clips = listed(source)
    assert clips.class_names == CLASSES
    assert {video.name: (video.split, video.path) for video in clips.videos} == {
        "--PJHxphWEs_30000": ("train", "train/--PJHxphWEs_30.mp4"),
        "msMSmsMSms__70000": ("train", "train/msMSmsMSms__70000_80000.WEBM"),
        "wholeWHOLEw_1000": ("train", "wholeWHOLEw.mp4"),
        "YpannsPANNs_0": ("train", "audio/YYpannsPANNs.mkv"),
        "padPADpadPA_30000": ("train", "padPADpadPA_000030_000040.mp4"),
        "brokenBROKE_20000": ("train", "brokenBROKE_20.mp4"),
        "evalEVALeva_2000": ("test", "eval/evalEVALeva.mp4"),
        "pastPASTpas_30000": ("test", "eval/pastPASTpas.mp4"),
    }
    assert clips.skipped == {
        "only other clips of the video are there": ["otherOTHERo_10000"],
        "the video is not there": ["goneGONEgon_0", "soundSOUNDs_0"],
        "listed again": ["wholeWHOLEw_1000"],
    }


def test_whole_videos_are_cut_and_clips_are_not(source):
    spans = {video.name: video.segments[0][:3] for video in listed(source).videos}
    assert spans["wholeWHOLEw_1000"] == ("wholeWHOLEw_1000", 1.0, 2.0)
    assert spans["msMSmsMSms__70000"] == ("msMSmsMSms__70000", 0.0, 10.0)
    assert spans["YpannsPANNs_0"] == ("YpannsPANNs_0", 0.0, 10.0)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("abcdefghijk", "Yabcdefghijk", "abcdefghijk_30"), "abcdefghijk_30"),
        (("abcdefghijk", "Yabcdefghijk"), "Yabcdefghijk"),
        (("abcdefghijk_0", "abcdefghijk_30000"), "abcdefghijk_30000"),
        (("abcdefghijk_30.000_40.000",), "abcdefghijk_30.000_40.000"),
        (("Yabcdefghijk_30.000_40.000", "abcdefghijk_30_40_50"), "Yabcdefghijk_30.000_40.000"),
        (("abcdefghijk_3", "abcdefghijk_300", "abcdefghij_30"), None),
    ],
)
def test_the_name_with_the_start_of_the_row_is_preferred(tmp_path, trees, names, chosen):
    trees.write_list(tmp_path / "class_labels_indices.csv", ["index,mid,display_name", "0,/m/09x0r,Speech"])
    rows = ['abcdefghijk, 30.000, 40.000, "/m/09x0r"', 'zzzzzzzzzzz, 0.000, 10.000, "/m/09x0r"']
    trees.write_list(tmp_path / "eval_segments.csv", rows)
    for name in (*names, "zzzzzzzzzzz"):
        (tmp_path / f"{name}.mp4").touch()
    paths = [video.path for video in listed(tmp_path).videos]
    assert paths == ([f"{chosen}.mp4", "zzzzzzzzzzz.mp4"] if chosen else ["zzzzzzzzzzz.mp4"])


def test_the_unbalanced_list_can_be_left_out(source):
    config = AudioSetConfig(source_dir=str(source), unbalanced=False)
    assert config.name == "balanced" and "padPADpadPA_30000" not in {video.name for video in config.listed.videos}


def test_a_share_of_the_training_videos_can_be_held_out(source):
    config = AudioSetConfig(source_dir=str(source), validation_fraction=0.3)
    assert {video.name: video.split for video in config.listed.videos} == {
        "--PJHxphWEs_30000": "train",
        "msMSmsMSms__70000": "train",
        "wholeWHOLEw_1000": "validation",
        "YpannsPANNs_0": "train",
        "padPADpadPA_30000": "validation",
        "brokenBROKE_20000": "train",
        "evalEVALeva_2000": "test",
        "pastPASTpas_30000": "test",
    }
    assert config.parameters()["validation_fraction"] == 0.3
    with pytest.raises(DataError, match="validation_fraction should be a share"):
        AudioSetConfig(validation_fraction=0.5)


def test_a_classifier_can_be_trained_with_the_share_that_is_held_out(source, tmp_path, run_prepare):
    run_prepare(
        dataset="audioset", source_dir=str(source), data_dir=str(tmp_path), sample_rate_hz=8000, validation_fraction=0.3
    )
    prepared = open_labeled("audioset", str(tmp_path), multi_label=True)
    assert prepared.split_sizes == {"train": 3, "validation": 2, "test": 1}


def test_data_prepared_before_that_choice_are_known_again(source):
    assert "validation_fraction" not in AudioSetConfig(source_dir=str(source)).parameters()


def test_sound_alone_can_be_taken(source, tmp_path, run_prepare, read_records, trees):
    config = AudioSetConfig(source_dir=str(source), sound_only=True)
    paths = {video.name: (video.path, video.sound_path) for video in config.listed.videos}
    assert paths["soundSOUNDs_0"] == (None, "wav/soundSOUNDs_0.wav")
    assert paths["wholeWHOLEw_1000"] == (None, "wholeWHOLEw.mp4")
    run_prepare(
        dataset="audioset", source_dir=str(source), data_dir=str(tmp_path), sample_rate_hz=8000, sound_only=True
    )
    assert not open_dataset("audioset/sound", str(tmp_path)).has_video
    train = read_records("audioset/sound", tmp_path)["train"]
    assert len(train) == 6 and all(not len(record["video"]) for record in train.values())
    for name in ("soundSOUNDs_0", "wholeWHOLEw_1000"):
        assert abs(trees.click_seconds(train[name], 8000) - 0.4) < 0.02


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("eval_segments.csv", ['abcdefghijk, 0.000, 10.000, "/m/unknown"'], "should have rows like"),
        ("eval_segments.csv", ['abcdefghijk, 0.000, inf, "/m/09x0r"'], "should have rows like"),
        ("eval_segments.csv", ['abcdefghijk, 1e307, 1e308, "/m/09x0r"'], "should have rows like"),
        ("eval_segments.csv", ["abcdefghijk, 0.000, 10.000"], "should have rows like"),
        ("eval_segments.csv", ['abcdefghijk, 10.000, 10.000, "/m/09x0r"'], "should have rows like"),
        ("class_labels_indices.csv", ["index,mid,display_name", "1,/m/09x0r,Speech"], "indices 0, 1"),
        ("class_labels_indices.csv", ["mid,name"], "columns index,mid,display_name"),
    ],
)
def test_other_lists_are_refused(tmp_path, trees, name, lines, message):
    trees.write_list(tmp_path / "class_labels_indices.csv", ["index,mid,display_name", "0,/m/09x0r,Speech"])
    with pytest.raises(DataError, match="should hold balanced_train_segments.csv"):
        listed(tmp_path)
    trees.write_list(tmp_path / "eval_segments.csv", HEADER)
    trees.write_list(tmp_path / name, lines)
    with pytest.raises(DataError, match=message):
        listed(tmp_path)


def test_records_have_all_their_classes_and_are_in_step(data_dir, read_records, trees):
    splits = read_records("audioset", data_dir)
    labels = {name: tuple(record["labels"]) for found in splits.values() for name, record in found.items()}
    assert labels == {
        "--PJHxphWEs_30000": (0, 1),
        "msMSmsMSms__70000": (0,),
        "wholeWHOLEw_1000": (2,),
        "YpannsPANNs_0": (0,),
        "padPADpadPA_30000": (0,),
        "evalEVALeva_2000": (0,),
    }
    assert set(splits["test"]) == {"evalEVALeva_2000"}
    for name, record in (splits["train"] | splits["test"]).items():
        trees.require_in_step(record, 0.4, 10, 8000)
        assert len(record["video"]) == 10, name  # of one that lasts from second 2 to 4 there is a second
        assert not len(record["captions"]["text"]) and record["label"] == -1


def test_everything_that_is_missing_is_counted(data_dir):
    report = json.loads((data_dir / "audioset/default/1.0.0/prepare_report.json").read_text())
    skipped = report["skipped"]
    assert skipped.pop("only other clips of the video are there") == ["otherOTHERo_10000"]
    assert skipped.pop("the clip starts after the end of its file") == ["pastPASTpas_30000"]
    assert len(skipped.pop("the video is not there")) == 2 and len(skipped.pop("listed again")) == 1
    ((reason, names),) = skipped.items()
    assert reason.startswith("not a media file") and names == ["brokenBROKE_20000"]
    assert report["incomplete"]["evalEVALeva_2000"] == "1.0 of 2.0 s decoded"
    assert report["clips_per_class"] == dict(zip(CLASSES, (5, 1, 1), strict=True))


def test_batches_have_a_column_per_class_and_no_text(data_dir, open_prepared, evaluate, tiny_spec):
    opened = open_prepared("audioset", data_dir)
    assert opened[0].class_names == CLASSES and opened[0].multi_label
    (batch,) = evaluate(opened, "train", dataclasses.replace(tiny_spec, sample_rate_hz=8000), batch_size=5)
    rows = dict(zip(batch["clip_id"].numpy().tolist(), batch["labels"].numpy(), strict=True))
    np.testing.assert_array_equal(rows[b"--PJHxphWEs_30000"], [1, 1, 0])
    assert np.all(batch["has_audio"]) and not np.any(batch["has_text"])
