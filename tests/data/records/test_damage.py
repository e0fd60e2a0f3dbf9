"""Damaged records by name, and what is left when they are dropped; what `experiments.check_data` says is tested there."""

import itertools
import json
import pathlib

import pytest
import tensorflow as tf

import data
from data.records.damage import Damage, drop_damaged, file_damage, first_damage

RECORDS = [b"a" * 40, b"", bytes(range(256)) * 5, b"the last"]
OFFSETS = [0, 56, 72, 1368]


@pytest.fixture
def damaged(tmp_path):
    """A function (change of the bytes) -> a file of four records, changed."""

    def write(change) -> str:
        path = tmp_path / "file"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in RECORDS:
                writer.write(record)
        content = bytearray(path.read_bytes())
        path.write_bytes(change(content) or content)
        return str(path)

    return write


def flip(place):
    def change(content):
        content[place] ^= 16

    return change


CONTENT, LENGTH, END = "its content has changed", "its length is wrong", "the file ends within it"


@pytest.mark.parametrize(
    ("change", "record", "reason"),
    [
        (flip(12), 0, CONTENT),
        (flip(OFFSETS[1] + 13), 1, CONTENT),  # the sum of the empty record
        (flip(OFFSETS[2] + 700), 2, CONTENT),
        (flip(OFFSETS[2]), 2, LENGTH),
        (flip(OFFSETS[3] + 9), 3, LENGTH),  # the sum of the length
        (lambda content: content[:-1], 3, END),
        (lambda content: content[: OFFSETS[2] + 100], 2, END),
    ],
)
def test_a_damaged_record_is_named(damaged, change, record, reason):
    path = damaged(change)
    (found,) = file_damage(path)
    assert found[:3] == (path, record, OFFSETS[record]) and found.reason.startswith(reason)
    assert f"{path}: record {record}, at byte {OFFSETS[record]}, is damaged: {reason}" in found.advice()


def test_every_damaged_record_is_named_and_an_undamaged_file_has_none(damaged):
    def change(content):
        flip(12)(content)
        flip(OFFSETS[2] + 700)(content)

    assert [found.record for found in file_damage(damaged(change))] == [0, 2]
    assert list(file_damage(damaged(lambda content: None))) == []


@pytest.mark.parametrize("how", [pathlib.Path.mkdir, lambda path: path.symlink_to(path.name), lambda path: None])
def test_a_file_that_cannot_be_read_is_named(tmp_path, how):
    how(path := tmp_path / "tiny.tfrecord")
    with pytest.raises(data.DataError, match=rf"^{path} cannot be read: [^\[;{{]+\. Put the file back"):
        list(file_damage(str(path)))


@pytest.fixture
def prepared(write_dataset, clip, tmp_path):
    """Seven training clips and two to test, in two files each."""
    clips = {"train": [clip(i) for i in range(7)], "test": [clip(8), clip(9)]}
    prepared = data.open_dataset("tiny", write_dataset(tmp_path, clips, shards=2))
    (pathlib.Path(prepared.directory) / "prepare_report.json").write_text('{"clips": 9, "damaged_records": 1}')
    return prepared


def ids(prepared, split):
    return [batch["clip_id"][0] for batch in data.eval_batches(
        prepared, split, data.ClipSpec(frames=1, sample_rate_hz=1000), batch_size=1, video=False).as_numpy_iterator()]  # fmt: skip


def test_dropping_leaves_all_other_records(prepared):
    path, before = prepared.shard_paths["train"][1], ids(prepared, "train")
    content = bytearray(pathlib.Path(path).read_bytes())
    content[20] ^= 1
    pathlib.Path(path).write_bytes(content)
    (damage,) = file_damage(path)
    assert drop_damaged(prepared, [damage]) == {path: 1}
    again = data.open_dataset("tiny", str(pathlib.Path(prepared.directory).parents[1]))
    lengths = prepared.shard_lengths["train"]
    assert again.shard_lengths == {"train": (lengths[0], lengths[1] - 1), "test": prepared.shard_lengths["test"]}
    assert ids(again, "train") == before[: lengths[0]] + before[lengths[0] + 1 :]
    assert pathlib.Path(f"{path}.damaged").read_bytes() == content
    assert json.loads((pathlib.Path(prepared.directory) / "prepare_report.json").read_text())["damaged_records"] == 2
    assert first_damage(path for paths in again.shard_paths.values() for path in paths) is None
    assert not list(pathlib.Path(prepared.directory).glob("*incomplete*"))


class _Killed(BaseException):
    pass


def killed_at(step, monkeypatch):
    """Stops before the step-th time that a file gets its name."""
    steps, rename = itertools.count(), tf.io.gfile.rename

    def stop_or_rename(*arguments, **options):
        if next(steps) == step:
            raise _Killed
        rename(*arguments, **options)

    monkeypatch.setattr(tf.io.gfile, "rename", stop_or_rename)


@pytest.mark.parametrize("step", range(4))
def test_wherever_it_is_killed_dropping_again_ends_it(prepared, monkeypatch, step):
    path, lengths = prepared.shard_paths["train"][1], prepared.shard_lengths["train"]
    content = bytearray(pathlib.Path(path).read_bytes())
    content[20] ^= 1
    pathlib.Path(path).write_bytes(content)
    (damage,) = file_damage(path)
    with monkeypatch.context() as patch, pytest.raises(_Killed):
        killed_at(step, patch)
        drop_damaged(prepared, [damage])
    left = f"{prepared.directory}/half.incomplete.0123"
    pathlib.Path(left).write_bytes(b"half")
    again = list(file_damage(path)) or [Damage(path, lengths[1] - 1, len(pathlib.Path(path).read_bytes()), "missing")]
    if step < 3:
        assert drop_damaged(prepared, again) == {path: 1}
    found = data.open_dataset("tiny", str(pathlib.Path(prepared.directory).parents[1]))
    assert found.shard_lengths["train"] == (lengths[0], lengths[1] - 1)
    assert first_damage([path]) is None and pathlib.Path(f"{path}.damaged").read_bytes() == content
    assert not pathlib.Path(f"{path}.damaged2").exists() and pathlib.Path(left).exists() == (step == 3)


def test_damage_that_comes_later_leaves_the_older_file(prepared):
    path = prepared.shard_paths["train"][1]
    olds = []
    for _ in range(2):
        content = bytearray(pathlib.Path(path).read_bytes())
        content[20] ^= 1
        pathlib.Path(path).write_bytes(content)
        olds.append(content)
        prepared = data.open_dataset("tiny", str(pathlib.Path(prepared.directory).parents[1]))
        drop_damaged(prepared, file_damage(path))
    assert [pathlib.Path(f"{path}.{end}").read_bytes() for end in ("damaged", "damaged2")] == olds


def test_a_frame_that_cannot_be_decoded_is_named(write_dataset, clip, tmp_path):
    prepared = data.open_dataset("tiny", write_dataset(tmp_path, [clip(i) for i in range(3)]))
    (path,) = prepared.shard_paths["train"]
    records = [tf.train.Example.FromString(r) for r in tf.data.TFRecordDataset(path).as_numpy_iterator()]
    records[1].features.feature["video"].bytes_list.value[3] = b"no picture"
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record.SerializeToString())
    assert first_damage([path]) is None
    found = first_damage([path], jpegs=True)
    assert (found.record, found.reason) == (1, "a frame is not a decodable JPEG")
    assert found.offset == 16 + records[0].ByteSize()
