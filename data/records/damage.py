"""Finds damaged records and drops them: flipped bits, files that end too early, invalid JPEGs."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import tensorflow as tf

from data.errors import DataError
from data.records.framing import framed_records
from data.records.prepared_dataset import PreparedDataset
from data.records.stored_clips import parse_clip, read_records, shards_of
from data.source.written_files import read_json, remove_incomplete, renamed_when_done, write_json

_INFO, _REPORT = "dataset_info.json", "prepare_report.json"


class Damage(NamedTuple):
    """A record that cannot be used.

    Attributes:
      shard: The file.
      record: Records before it.
      offset: Bytes before it.
      reason: What is wrong.
    """

    shard: str
    record: int
    offset: int
    reason: str

    def advice(self) -> str:
        """Says where it is and what to do."""
        return (
            f"{self.shard}: record {self.record}, at byte {self.offset}, is damaged: {self.reason}. Put an undamaged copy "
            "of the file there, or drop the record: python -m experiments.check_data --drop_damaged --help"
        )


def file_damage(path: str) -> Iterator[Damage]:
    """Yields the records of a file that are cut off or whose checksums are wrong.

    An undamaged file takes as long as reading it. Records after a damaged length cannot be found
    and are not named.

    Raises:
      DataError: The file cannot be read at all.
    """
    try:
        tf.data.TFRecordDataset(path).reduce(0, lambda count, _: count + 1)
    except tf.errors.DataLossError:
        for number, offset, _, damage in framed_records(path):
            if damage:
                yield Damage(path, number, offset, damage)
    except tf.errors.OpError as error:
        raise DataError(unreadable(path, error)) from error


def unreadable(path: str, error: tf.errors.OpError) -> str:
    """Says that a file cannot be opened, for which TensorFlow raised an error that names it."""
    reason = error.message.partition(path)[2].split("\n")[0].split("[")[0].strip("; ")
    return f"{path} cannot be read: {reason}. Put the file back, or prepare the data set again."


def first_damage(paths: Iterable[str], jpegs: bool = False) -> Damage | None:
    """Returns the first damaged record of several files, or None.

    Args:
      paths: The files, the most suspicious first.
      jpegs: Look for records whose JPEGs cannot be decoded instead.
    """
    find = _undecodable if jpegs else file_damage
    return next((damage for path in paths for damage in find(path)), None)


def drop_damaged(prepared: PreparedDataset, damages: Iterable[Damage]) -> dict[str, int]:
    """Rewrites the files with damaged records without these; the old files stay as `<name>.damaged`, later ones as `.damaged2`.

    `dataset_info.json` then says how many records there are, and `prepare_report.json` counts under
    `damaged_records` those that are gone. Where this was killed, doing it again ends it.

    Args:
      prepared: The data set.
      damages: Damaged records of its files.

    Returns:
      How many records each file has lost.

    Raises:
      OSError: A file cannot be written.
    """
    left_out = collections.defaultdict(set)
    for damage in damages:
        left_out[damage.shard].add(damage.offset)
    info_path, report_path = (os.path.join(prepared.directory, name) for name in (_INFO, _REPORT))
    info, dropped = read_json(info_path), {}
    remove_incomplete(prepared.directory)  # of one that was killed
    for shard in shards_of(prepared):
        if shard.path in left_out:
            kept, lost = _rewrite(shard.path, left_out[shard.path])
            (split,) = (split for split in info["splits"] if split["name"] == shard.split)
            split["shardLengths"][prepared.shard_paths[shard.split].index(shard.path)] = str(kept)
            # What a file that broke off no longer holds is gone, too; but it may hold more than the data set says.
            dropped[shard.path] = max(shard.records - kept, lost)
            write_json(info_path, info, for_people=True)
            _count(report_path, dropped[shard.path])
    return dropped


def _count(report_path: str, records: int) -> None:
    if tf.io.gfile.exists(report_path):
        report = read_json(report_path)
        report["damaged_records"] = report.get("damaged_records", 0) + records
        write_json(report_path, report, for_people=True)


def _rewrite(path: str, left_out: set[int]) -> tuple[int, int]:
    """Replaces a file at once, so that a kill at any moment leaves either; the old one is kept before.

    Returns:
      How many records are kept, and how many are left out.
    """
    kept = lost = 0
    with renamed_when_done(path) as temporary:
        with tf.io.TFRecordWriter(temporary) as writer:
            for record in framed_records(path):
                if record.damage or record.offset in left_out:
                    lost += 1
                else:
                    writer.write(record.content)
                    kept += 1
        if lost:  # None, where a kill came between the new file and what says how many records it has.
            _keep(path)
    return kept, lost


def _keep(path: str) -> None:
    """Copies a file to `<name>.damaged`, or to `<name>.damaged2` and so on where older ones are."""
    for number in itertools.count(1):
        target = f"{path}.damaged{number if number > 1 else ''}"
        if not tf.io.gfile.exists(target):
            with renamed_when_done(target) as temporary:
                tf.io.gfile.copy(path, temporary)
        elif not _are_same(path, target):
            continue
        return


def _are_same(path: str, other: str) -> bool:
    if tf.io.gfile.stat(path).length != tf.io.gfile.stat(other).length:
        return False
    with tf.io.gfile.GFile(path, "rb") as file, tf.io.gfile.GFile(other, "rb") as other_file:
        return file.read() == other_file.read()


def _undecodable(path: str) -> Iterator[Damage]:
    for number, offset, record in read_records(path):
        try:
            for jpeg in parse_clip(record).jpegs:
                tf.io.decode_jpeg(jpeg, channels=3)
        except DataError as error:
            yield Damage(path, number, offset, str(error))
        except tf.errors.InvalidArgumentError:
            yield Damage(path, number, offset, "a frame is not a decodable JPEG")
