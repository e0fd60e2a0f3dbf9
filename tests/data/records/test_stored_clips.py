import io

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

import data
from data.errors import DataError
from data.records.schema import record_features
from data.records.stored_clips import StoredClip, parse_clip, read_record, read_records, read_stored_clips, shards_of

pytestmark = pytest.mark.every_python


@pytest.fixture(scope="module")
def prepared(tiny):
    return tiny[0]


def test_clips_are_those_that_tfds_reads(prepared):
    skip = {"video": tfds.decode.SkipDecoding()}
    for shard in shards_of(prepared):
        records = list(tf.data.TFRecordDataset(shard.path).as_numpy_iterator())
        clips = list(read_stored_clips(shard))
        assert len(clips) == len(records) == shard.records
        for clip, record in zip(clips, records, strict=True):
            expected = prepared.features.deserialize_example(record, decoders=skip)
            assert clip.clip_id == expected["clip_id"].numpy().decode()
            assert clip.source == expected["source"].numpy().decode()
            assert clip.start_seconds == expected["start_seconds"].numpy()
            assert list(clip.jpegs) == expected["video"].numpy().tolist()
            np.testing.assert_array_equal(clip.audio, expected["audio"].numpy(), strict=True)
            captions = zip(
                *(expected["captions"][name].numpy() for name in ("text", "start_seconds", "end_seconds")), strict=True
            )
            assert [(cue.text.encode(), cue.start_seconds, cue.end_seconds) for cue in clip.captions] == list(captions)
            assert clip.labels == (expected["label"].numpy(),)


def test_what_is_not_there_is_empty(clip):
    features = record_features(multi_label=True)
    nothing = clip(
        1, captions=[], audio=np.zeros(0, np.int16), label=-1, labels=[2, 0], video=np.zeros((0, 1, 1, 3), np.uint8)
    )
    found = parse_clip(features.serialize_example(nothing))
    assert len(found.jpegs) == 0 and found.audio.size == 0 and found.captions == () and found.labels == (2, 0)


def test_what_is_no_clip_is_refused(clip):
    record = record_features().serialize_example(clip(1))
    for other in (b"", b"garbage", record[:-5], tf.train.Example().SerializeToString()):
        with pytest.raises(DataError, match="not a record of a clip"):
            parse_clip(other)


def test_records_are_found_again(prepared):
    for shard in shards_of(prepared, ["train"]):
        expected = list(tf.data.TFRecordDataset(shard.path).as_numpy_iterator())
        found = list(read_records(shard.path))
        assert [(number, record) for number, _, record in found] == list(enumerate(expected))
        assert [read_record(shard.path, offset) for _, offset, _ in found] == expected
        offsets = [offset for _, offset, _ in found]
        assert [number for number, *_ in read_records(shard.path, {offsets[1]})] == [0, *range(2, len(expected))]


def test_records_end_where_the_file_makes_no_sense_any_more(write, clip, tmp_path):
    (shard,) = shards_of(write([clip(number) for number in range(3)])[0])
    with open(shard.path, "rb") as file:
        content = bytearray(file.read())
    offsets = [offset for _, offset, _ in read_records(shard.path)]
    # Shorter by 256 bytes, so that what would be the next length lies within the record.
    content[offsets[1] + 1] -= 1
    path = tmp_path / "damaged"
    path.write_bytes(content)
    assert [offset for _, offset, _ in read_records(str(path), {offsets[1]})] == offsets[:1]
    path.write_bytes(content[: offsets[1] - 1])
    assert list(read_records(str(path))) == []
    path.write_bytes(content[:5])
    assert list(read_records(str(path))) == []


@pytest.mark.parametrize("error", [-1, 1])
def test_a_file_that_has_lost_records_is_named(prepared, error):
    shard = shards_of(prepared)[0]
    with pytest.raises(
        DataError, match=rf"^{shard.path} should hold {shard.records + error} .*Found {shard.records}\."
    ):
        list(read_stored_clips(shard._replace(records=shard.records + error)))


def test_a_file_in_several_splits_counts_once(write, clip):
    clips = {"fold1": [clip(1)], "fold2": [clip(2), clip(3)]}
    unions = {"test1": ["fold1"], "train1": ["fold2"], "all": ["fold1", "fold2"]}
    prepared = write(clips, metadata={"split_unions": unions})[0]
    assert [(shard.split, shard.records) for shard in shards_of(prepared)] == [("fold1", 1), ("fold2", 2)]
    assert [shard.split for shard in shards_of(prepared, ["train1"])] == ["fold2"]
    assert [shard.split for shard in shards_of(prepared, ["test1", "all"])] == ["fold1", "fold2"]
    with pytest.raises(data.DataError, match="no clips in the split 'dev'"):
        shards_of(prepared, ["dev"])


def picture_of(content: bytes):
    return StoredClip("a clip", "a.mp4", 0.0, [content], np.zeros(0, np.int16), (), ()).picture(0)


def saved_as(form: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 0, 0)).save(buffer, form)
    return buffer.getvalue()


def test_frames_are_opened_as_jpeg_and_nothing_else():
    assert picture_of(saved_as("JPEG")).size == (8, 6)
    for content in (saved_as("PNG"), saved_as("GIF"), saved_as("JPEG")[:-20], b"", b"\xff\xd8"):
        with pytest.raises(DataError, match=r"frame 0 of the clip 'a clip' from 'a\.mp4' is damaged: not a JPEG"):
            picture_of(content)


def test_a_frame_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match="is damaged: not a JPEG that can be decoded .*decompression bomb"):
        picture_of(saved_as("JPEG"))
