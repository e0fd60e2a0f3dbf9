"""TFRecord files record by record, also where they are damaged.

TensorFlow checks the sums of every record but does not say where in which file it found damage. A TFRecord file is a row of
(length, 8 bytes; its masked CRC-32C, 4; content; its masked CRC-32C, 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import google_crc32c
import tensorflow as tf

_LENGTH_BYTES, _HEADER_BYTES, _FRAME_BYTES = 8, 12, 16


class FramedRecord(NamedTuple):
    """A record as it lies in its file.

    Attributes:
      number: Records before it.
      offset: Bytes before it.
      content: Its bytes, or None where nobody can tell how many are its own; no record follows then.
      damage: What is wrong with it, empty where nothing is.
    """

    number: int
    offset: int
    content: bytes | None
    damage: str = ""


def framed_records(path: str, offset: int = 0) -> Iterator[FramedRecord]:
    """Yields the records of a TFRecord file from a byte on, as far as they can be found."""
    with tf.io.gfile.GFile(path, "rb") as file:
        number, size = 0, file.size()
        file.seek(offset)
        while offset < size:
            record = _next_record(file, number, offset, size)
            yield record
            if record.content is None:
                return
            number, offset = number + 1, offset + len(record.content) + _FRAME_BYTES


def _next_record(file: tf.io.gfile.GFile, number: int, offset: int, size: int) -> FramedRecord:
    header = file.read(_HEADER_BYTES)
    length = int.from_bytes(header[:_LENGTH_BYTES], "little")
    if len(header) == _HEADER_BYTES and not _sum_is_right(header[:_LENGTH_BYTES], header[_LENGTH_BYTES:]):
        damage = "its length is wrong, so that the records after it cannot be found"
        return FramedRecord(number, offset, None, damage)
    if offset + length + _FRAME_BYTES > size:
        return FramedRecord(number, offset, None, "the file ends within it")
    content, checksum = file.read(length), file.read(4)
    return FramedRecord(number, offset, content, "" if _sum_is_right(content, checksum) else "its content has changed")


def _sum_is_right(content: bytes, checksum: bytes) -> bool:
    """Compares with a TFRecord's sum: a CRC-32C, rotated by 15 bits and shifted, so that sums of sums are no trap."""
    crc = google_crc32c.value(content)
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    return masked == int.from_bytes(checksum, "little")
