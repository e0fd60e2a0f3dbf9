"""The frames of TFRecord files, also where what lies within a damaged record looks like a record."""

import tensorflow as tf

from data.records.framing import framed_records


def write(path, *records) -> bytearray:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return bytearray(path.read_bytes())


def test_records_of_any_length_are_found_from_any_place(tmp_path):
    records = [b"", b"a" * 40, bytes(range(256)) * 5]
    write(tmp_path / "file", *records)
    found = list(framed_records(str(tmp_path / "file")))
    assert [(record.number, record.content, record.damage) for record in found] == [
        (number, content, "") for number, content in enumerate(records)
    ]
    for record in found:
        assert next(framed_records(str(tmp_path / "file"), record.offset)).content == record.content


def test_zeros_behind_a_damaged_length_are_no_records(tmp_path):
    content = write(tmp_path / "file", bytes(600), b"next")
    content[1] -= 1  # 344 bytes of zeros; the zeros behind them would be the length of an empty record
    (tmp_path / "file").write_bytes(content)
    (record,) = framed_records(str(tmp_path / "file"))
    assert record.content is None and "length" in record.damage
