import json
import pathlib
import re
import runpy

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver

import data
from data.records.schema import encode_jpeg
from data.records.stored_clips import parse_clip, read_records, shards_of
from data.text.cues import Cue
from experiments.running.command_line import _guarded as guarded

SETS = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "stored_sets.py"))
CUE = Cue("what is seen", 0.0, 0.5)
SAMPLES = 6400


def clip(clip_id, cues=(CUE,), **options):
    return SETS["noise_clip"](clip_id, cues, **options)


def gray(level, frames=8):
    return np.full((frames, 48, 64, 3), level, np.uint8)


def encoded_again(seed):
    """The record of `clip(seed=seed)`, darker and of another size, its sound quieter: as a copy that went through YouTube."""
    original = clip("copy", seed=seed)
    frames = [tf.io.decode_jpeg(jpeg).numpy() for jpeg in original["video"]]
    smaller = [tf.image.resize(frame, (36, 48), antialias=True).numpy() * 0.9 for frame in frames]
    return original | {
        "video": [encode_jpeg(frame.astype(np.uint8)) for frame in smaller],
        "audio": (original["audio"] * 0.6).astype(np.int16),
    }


def faulty_clips():
    """Clips of which each has the one fault that its name says."""
    sound = clip("any")["audio"]
    ends_early = np.where(np.arange(SAMPLES) < 0.2 * SAMPLES, sound, 0).astype(np.int16)
    twin = clip("twin_in_train", seed=5)
    train = [
        *(clip(f"good{number}") for number in range(4)),
        clip("empty_captions", [CUE, Cue(" \n", 0.5, 0.8)]),
        clip("no_captions", []),
        clip("no_sound", audio=np.zeros(0, np.int16)),
        clip("silent_sound", audio=np.random.default_rng(1).integers(-30, 30, SAMPLES).astype(np.int16)),
        clip("short_sound", audio=ends_early),
        clip("black_video", video=gray(8)),
        clip(
            "frozen_video",
            video=np.repeat(np.random.default_rng(2).integers(0, 255, (1, 48, 64, 3)), 8, 0).astype(np.uint8),
        ),
        twin,
        clip("one", seed=7),
        clip("one_again", seed=7),
        clip("original", seed=9),
        clip("bad_class", label=2),
        clip("bad_jpeg") | {"video": [*clip("bad_jpeg")["video"][:5], b"no picture"]},
    ]
    test = [clip("good_test"), twin | {"clip_id": "twin_in_test"}, encoded_again(9) | {"clip_id": "encoded_again"}]
    return {"train": train, "test": test}


@pytest.fixture
def check(only_flags_of, capsys):
    """A function (directory of a data set, **flags) -> exit code, stdout, stderr."""
    program = only_flags_of("experiments.check_data")

    def run(directory, **values):
        with flagsaver.flagsaver(**{"dataset": "stored", "data_dir": str(directory.parents[1])} | values):
            code = guarded(program.main, ["check_data"])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def found(check, tmp_path):
    """A function (directory of a data set, **flags) -> exit code, the JSON values that were written."""

    def run(directory, **values):
        code, _, _ = check(directory, output=str(tmp_path / "found.json"), **values)
        return code, json.loads((tmp_path / "found.json").read_text())

    return run


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    return SETS["write_set"](tmp_path_factory.mktemp("faulty"), faulty_clips(), shards=3)


@pytest.fixture
def good(tmp_path):
    clips = {"train": [clip(f"train{number}") for number in range(5)], "test": [clip("test")]}
    return SETS["write_set"](tmp_path / "good", clips)


def test_each_fault_is_found_and_nothing_else(found, faulty):
    code, findings = found(faulty)
    assert code == 1
    for name, group in findings["suspicious"].items():
        assert group["examples"] == [{"split": "train", "clip_id": name}], name
    places = {name: record_of(faulty, name)[1:] for name in ("bad_class", "bad_jpeg")}
    reasons = {"bad_class": "class 2, but metadata.json names 2", "bad_jpeg": "frame 5 of 6 is not a decodable JPEG"}
    assert findings["damaged"]["records"] == {
        "count": 2,
        "examples": sorted(
            (
                dict(zip(("shard", "record", "offset"), places[name], strict=True), reason=reasons[name])
                for name in places
            ),
            key=lambda damage: (damage["shard"], damage["record"]),
        ),
    }
    pairs = {
        name: [{clip["clip_id"] for clip in group} for group in groups["examples"]]
        for name, groups in findings["duplicates"].items()
    }
    assert pairs == {
        "equal_across_splits": [{"twin_in_train", "twin_in_test"}],
        "equal_within_split": [{"one", "one_again"}],
        "alike_across_splits": [{"original", "encoded_again"}],
    }
    assert findings["clips"] == {"train": 15, "test": 3}


def test_some_splits_alone(found, faulty):
    code, findings = found(faulty, splits=["test"])
    assert code == 0 and findings["clips"] == {"test": 3}
    assert all(
        group["count"] == 0 for kind in ("damaged", "suspicious", "duplicates") for group in findings[kind].values()
    )


def test_copies_in_one_split_count_also_where_another_split_has_one(found, tmp_path):
    copies = {"train": [clip(f"copy{number}", seed=3) for number in range(3)], "test": [clip("copy3", seed=3)]}
    _, findings = found(SETS["write_set"](tmp_path / "copies", copies))
    pairs = {
        name: [{clip["clip_id"] for clip in group} for group in groups["examples"]]
        for name, groups in findings["duplicates"].items()
    }
    assert pairs["equal_across_splits"] == [{"copy0", "copy1", "copy2", "copy3"}]
    assert pairs["equal_within_split"] == [{"copy0", "copy1", "copy2"}]


def test_a_summary_is_printed(check, faulty):
    code, output, _ = check(faulty)
    assert code == 1
    assert f"checked: 18 good clips in 6 files of {faulty}" in output
    assert "black_video: 1 (train: black_video)" in output and "  records: 2 (stored-train" in output
    assert "equal_within_split: 1 (train: " in output


def record_of(directory, clip_id):
    """Returns the clip's content, and where it is: file, number and byte."""
    for shard in shards_of(data.open_dataset("stored", str(directory.parents[1]))):
        for number, offset, record in read_records(shard.path):
            if parse_clip(record).clip_id == clip_id:
                return record, shard.path, number, offset
    raise AssertionError(clip_id)


def damage(directory, clip_id, change):
    """Changes the bytes of a clip's file from the record on; returns where it is."""
    record, path, number, offset = record_of(directory, clip_id)
    content = bytearray(pathlib.Path(path).read_bytes())
    content[offset:] = change(content[offset:], len(record))
    pathlib.Path(path).write_bytes(content)
    return path, number, offset


def flip(place):
    def change(content, length):
        content[place(length)] ^= 4
        return content

    return change


@pytest.mark.parametrize(
    "place", [lambda length: 12 + length // 2, lambda length: 11 + length, lambda length: 14 + length]
)
def test_a_flipped_bit_damages_one_record(place, found, good):
    where = damage(good, "train0", flip(place))
    code, findings = found(good)
    assert code == 1 and findings["clips"] == {"train": 4, "test": 1}
    assert places(findings) == [where]


def test_a_file_that_breaks_off(found, good):
    where = damage(good, "train0", lambda content, length: content[: length // 2])
    code, findings = found(good)
    assert code == 1 and places(findings)[0] == where
    assert findings["clips"] == {"train": where[1], "test": 1}


def test_a_damaged_length_hides_what_comes_after_it(found, good):
    where = damage(good, "train0", flip(lambda length: 1))
    code, findings = found(good)
    assert code == 1 and places(findings)[0] == where
    assert findings["clips"]["train"] >= where[1] and findings["clips"]["test"] == 1


def test_a_file_that_ends_too_early_between_two_records(check, found, good):
    path, number, _ = damage(good, "train0", lambda content, length: content[: length + 16])
    code, findings = found(good)
    assert code == 1 and findings["clips"] == {"train": number + 1, "test": 1}
    assert places(findings) == [(path, number + 1, pathlib.Path(path).stat().st_size)]
    assert f"ends after {number + 1} of 5 records" in check(good)[1]
    code, _, _ = check(good, drop_damaged=True)
    assert code == 0 and found(good)[0] == 0


def test_a_file_with_a_record_too_many_loses_only_what_is_damaged(check, found, good):
    record, path, _, _ = record_of(good, "train0")
    again = [content for _, _, content in read_records(path)] + [record]
    with tf.io.TFRecordWriter(path) as writer:
        for content in again:
            writer.write(content)
    assert "holds 6 records instead of 5" in check(good)[1]
    damage(good, "train1", flip(lambda length: 12 + length // 2))
    code, findings = found(good, drop_damaged=True)
    assert code == 0 and findings["dropped"] == {path: 1}
    assert found(good)[0] == 0 and data.open_dataset("stored", str(good.parents[1])).split_sizes["train"] == 5


def places(findings):
    examples = findings["damaged"]["records"]["examples"]
    return [tuple(damage[key] for key in ("shard", "record", "offset")) for damage in examples]


def test_a_record_of_something_else_is_damaged(found, good):
    (path,) = good.glob("stored-test*")
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(tf.train.Example().SerializeToString())
    code, findings = found(good)
    assert code == 1 and findings["clips"] == {"train": 5}
    assert places(findings) == [(str(path), 0, 0)]


def test_a_good_set_is_clean(check, found, good):
    code, findings = found(good)
    assert code == 0 and findings["clips"] == {"train": 5, "test": 1}
    assert all(
        group["count"] == 0 for kind in ("damaged", "suspicious", "duplicates") for group in findings[kind].values()
    )


def test_damaged_records_are_dropped(found, tmp_path):
    no_picture = clip("no_picture") | {"video": [b"no picture"]}
    clips = {"train": [*(clip(f"train{number}") for number in range(3)), no_picture], "test": [clip("test")]}
    directory = SETS["write_set"](tmp_path, clips)
    damage(directory, "train0", flip(lambda length: 12 + length // 2))
    code, findings = found(directory, drop_damaged=True)
    assert code == 0 and findings["damaged"]["records"]["count"] == 2
    assert list(findings["dropped"].values()) == [2]
    assert data.open_dataset("stored", str(tmp_path)).split_sizes == {"train": 2, "test": 1}
    code, findings = found(directory)
    assert code == 0 and findings["clips"] == {"train": 2, "test": 1}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (dict(dataset=None), "--dataset and --data_dir are needed"),
        (dict(dataset="other"), "No prepared data set"),
        (dict(splits=["dev"]), "no clips in the split 'dev'"),
    ],
)
def test_bad_input(values, reason, check, faulty):
    code, output, errors = check(faulty, **values)
    assert code == 2 and re.match(f"error: .*{reason}", errors) and not output


def test_only_earlier_findings_are_replaced(check, good, tmp_path):
    record = next(good.rglob("dataset_info.json"))
    before, ours = record.read_text(), tmp_path / "found.json"
    code, _, errors = check(good, output=str(record))
    assert code == 2 and f"--output should be a new file, or one that this program wrote. {record} is" in errors
    assert record.read_text() == before
    assert [check(good, output=str(ours))[0] for _ in range(2)] == [0, 0] and "suspicious" in ours.read_text()


def test_a_result_that_cannot_be_written_is_told(check, faulty, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, errors = check(faulty, splits=["test"], output=str(tmp_path / "file" / "found.json"))
    assert code == 1 and "cannot write" in errors
