"""The records of a prepared data set as stored: their places and contents."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image

from data.errors import DataError
from data.records.framing import framed_records
from data.records.prepared_dataset import PreparedDataset
from data.records.schema import UNKNOWN, open_jpeg
from data.text.cues import Cue


class StoredClip(NamedTuple):
    """One record, not decoded.

    Attributes:
      clip_id: The clip's name.
      source: Path of the file that it was cut from.
      start_seconds: Where in that file it starts.
      jpegs: The frames.
      audio: int16 `[samples]`, empty without audio.
      captions: Their times are relative to the clip's start.
      labels: Its classes, empty if unknown.
    """

    clip_id: str
    source: str
    start_seconds: float
    jpegs: Sequence[bytes]
    audio: np.ndarray
    captions: tuple[Cue, ...]
    labels: tuple[int, ...]

    def picture(self, frame: int) -> Image.Image:
        """Opens a frame, as JPEG and nothing else: no other decoder of Pillow sees what a data set holds.

        Raises:
          DataError: It is no such picture, or too large a one.
        """
        try:
            return open_jpeg(self.jpegs[frame])
        except ValueError as error:
            raise DataError(
                f"frame {frame} of the clip {self.clip_id!r} from {self.source!r} is damaged: {error}"
            ) from error


class Shard(NamedTuple):
    """A file of records.

    Attributes:
      path: Where it is.
      split: The split that it was written for; a union of splits has none of its own.
      records: How many it holds, by the data set's metadata.
    """

    path: str
    split: str
    records: int


def shards_of(prepared: PreparedDataset, splits: Sequence[str] = ()) -> list[Shard]:
    """Returns the files of some splits, or of all, each one once.

    Raises:
      DataError: There is no such split, or no clip in it.
    """
    for split in splits:
        prepared.require_split(split)
    wanted = {path for split in splits or prepared.shard_paths for path in prepared.shard_paths[split]}
    found: dict[str, Shard] = {}
    # Unions come after the splits they are made of.
    for split, paths in prepared.shard_paths.items():
        for path, records in zip(paths, prepared.shard_lengths[split], strict=True):
            if path in wanted:
                found.setdefault(path, Shard(path, split, records))
    return list(found.values())


def parse_clip(record: bytes) -> StoredClip:
    """Reads a record of `data.records.schema.record_features`.

    Without TFDS, which takes 40 ms per record eagerly; this takes a few microseconds.

    Raises:
      DataError: It is no such record.
    """
    try:
        fields = tf.train.Example.FromString(record).features.feature
        captions = zip(
            fields["captions/text"].bytes_list.value,
            fields["captions/start_seconds"].float_list.value,
            fields["captions/end_seconds"].float_list.value,
            strict=True,
        )
        labels = [*fields["label"].int64_list.value, *fields["labels"].int64_list.value]
        return StoredClip(
            clip_id=_only(fields["clip_id"]).decode(),
            source=_only(fields["source"]).decode(),
            start_seconds=fields["start_seconds"].float_list.value[0],
            jpegs=fields["video"].bytes_list.value,
            audio=np.frombuffer(_only(fields["audio"]), "<i2"),
            captions=tuple(Cue(text.decode(), start, end) for text, start, end in captions),
            labels=tuple(label for label in labels if label != UNKNOWN),
        )
    except (DecodeError, ValueError, IndexError) as error:
        raise DataError(f"not a record of a clip ({error})") from error


def _only(field: tf.train.Feature) -> bytes:
    return field.bytes_list.value[0]


def read_split(prepared: PreparedDataset, split: str) -> Iterator[StoredClip]:
    """Yields the clips of a split in the order of `eval_batches`, without decoding a frame.

    Raises:
      DataError: There is no such split, or a record is damaged.
    """
    shards = {shard.path: shard for shard in shards_of(prepared, [split])}
    for path in prepared.shard_paths[split]:
        yield from read_stored_clips(shards[path])


def read_stored_clips(shard: Shard) -> Iterator[StoredClip]:
    """Yields the clips of a file of records, in order.

    Raises:
      DataError: A record is damaged, or the file has lost some.
    """
    read = 0
    try:
        for record in tf.data.TFRecordDataset(shard.path).prefetch(2).as_numpy_iterator():
            yield parse_clip(record)
            read += 1
    except (tf.errors.OpError, DataError) as error:
        raise DataError(
            f"{shard.path} has a damaged record ({getattr(error, 'message', error)}). python -m experiments.check_data "
            "finds all of them."
        ) from error
    if read != shard.records:
        raise DataError(
            f"{shard.path} should hold {shard.records} records, as dataset_info.json says. Found {read}. Put the file back, or "
            "prepare the data set again."
        )


def read_records(path: str, skipped: Container[int] = ()) -> Iterator[tuple[int, int, bytes]]:
    """Yields the number, the place in bytes and the content of each record of a file, unchecked.

    Args:
      path: A TFRecord file.
      skipped: Places of damaged records to skip. Reading ends where the file can no longer be parsed,
        as after a record whose length is damaged.
    """
    for number, offset, content, _ in framed_records(path):
        if content is not None and offset not in skipped:
            yield number, offset, content


def read_record(path: str, offset: int) -> bytes:
    """Returns the content of the record that starts at a byte of a TFRecord file.

    Raises:
      DataError: No whole record starts there.
    """
    record = next(framed_records(path, offset), None)
    if record is None or record.content is None:
        raise DataError(f"{path} has no whole record at byte {offset}.")
    return record.content
