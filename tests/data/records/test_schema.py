import io

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from data.errors import DataError
from data.media.reader import DecodedClip
from data.records.schema import encode_jpeg, make_record, record_features
from data.text.cues import Cue

pytestmark = pytest.mark.every_python


def stored(record):
    """What a reader gets back after the record went through its TFRecord bytes."""
    features = record_features()
    serializer = tfds.core.example_serializer.ExampleSerializer(features.get_serialized_info())
    parser = tfds.core.example_parser.ExampleParser(features.get_serialized_info())
    serialized = serializer.serialize_example(features.encode_example(record))
    return serialized, features.decode_example(parser.parse_example(tf.constant(serialized)))


def make(audio, cues):
    frames = np.random.default_rng(0).integers(0, 255, (1, 8, 8, 3), np.uint8)
    frames = frames.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    return make_record(DecodedClip(2.5, frames, audio), cues, clip_id="a@2.50", source="a.mp4")


def test_a_record_comes_back():
    audio = np.arange(-300, 300, dtype=np.int16)
    record = make(audio, [Cue("hello w\u00f6rld", -1.5, 0.5), Cue("bye", 0.5, 1.0)])
    _, back = stored(record)
    assert back["clip_id"] == b"a@2.50" and back["source"] == b"a.mp4"
    assert back["start_seconds"].numpy() == np.float32(2.5)
    assert back["video"].shape == (4, 32, 32, 3)
    np.testing.assert_array_equal(back["audio"], audio)
    assert back["audio"].dtype == tf.int16
    assert [text.decode() for text in back["captions"]["text"].numpy()] == [
        "hello w\u00f6rld",
        "bye",
    ]
    np.testing.assert_allclose(back["captions"]["start_seconds"], [-1.5, 0.5])
    np.testing.assert_allclose(back["captions"]["end_seconds"], [0.5, 1.0])
    assert [int(back[name]) for name in ("label", "text_aligned", "audio_aligned")] == [-1, -1, -1]


def test_a_record_without_sound_and_captions_comes_back():
    _, back = stored(make(np.zeros(0, np.int16), []))
    assert back["audio"].shape == (0,)
    assert back["captions"]["text"].shape == (0,)
    assert back["captions"]["start_seconds"].shape == (0,)


def test_sound_takes_two_bytes_a_sample():
    short, _ = stored(make(np.zeros(0, np.int16), []))
    long, _ = stored(make(np.full(10000, -1, np.int16), []))
    assert 20000 <= len(long) - len(short) < 20100


def test_jpeg_keeps_colors():
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[:, :16] = (200, 30, 40)
    frame[:, 16:] = (30, 60, 210)
    encoded = encode_jpeg(frame)
    assert encoded[:2] == b"\xff\xd8"
    back = np.asarray(Image.open(io.BytesIO(encoded))).astype(int)
    # Chroma is halved, so the border itself is not compared.
    assert np.abs(back - frame)[:, [*range(12), *range(20, 32)]].max() < 8


def test_a_frame_that_no_jpeg_can_hold_is_named_by_its_size():
    with pytest.raises(DataError, match="a frame of 70000 x 2 pixels cannot be stored as JPEG"):
        encode_jpeg(np.zeros((2, 70_000, 3), np.uint8))
