import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from data.errors import DataError
from data.media.reader import MediaFormat, MediaReader
from data.preparing.prepare import prepare
from data.sets.scenes import CLASS_NAMES
from data.sets.synthetic import Synthetic, SyntheticConfig, make_clip
from data.text.captions import parse_caption_file

pytestmark = pytest.mark.slow

TINY = dict(image_size_px=32, clip_seconds=1.6)


def clip(split="train", index=0, **settings):
    return make_clip(SyntheticConfig(**TINY | settings), split, index)


def equal(first, second):
    return first == second if not isinstance(first, np.ndarray) else np.array_equal(first, second)


def changed(first, second):
    return {name for name in first if not equal(first[name], second[name])}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A builder of what was prepared, the folder of its media files, and the report."""
    root = tmp_path_factory.mktemp("synthetic")
    config = SyntheticConfig(train_clips=96, validation_clips=2, test_clips=50, source_dir=str(root / "media"), **TINY)
    preparation = prepare(Synthetic, config, str(root / "data"))
    return tfds.builder_from_directory(preparation.directory), root / "media", preparation.report


def records(builder, split):
    return list(tfds.as_numpy(builder.as_dataset(split=split)))


def test_a_record_is_whole():
    record = clip(sample_rate_hz=48000)
    assert len(record["video"]) == 16
    assert record["audio"].shape == (76800,) and record["audio"].dtype == np.int16
    assert 3 <= len(record["captions"]["text"]) <= 5
    assert record["clip_id"] == "train/000000" and record["source"] == "train/000000.mp4"


def test_the_same_clip_comes_out_again():
    assert changed(clip(index=3), clip(index=3)) == set()


@pytest.mark.parametrize("other", [dict(index=4), dict(split="validation"), dict(seed=1)])
def test_other_keys_give_other_clips(other):
    differences = changed(clip(index=3), clip(**dict(index=3) | other))
    assert {"video", "audio", "captions"} <= differences


def test_noise_in_one_modality_leaves_the_others_alone():
    clean = clip(index=5, text_noise=0.0, audio_noise=0.0)
    assert changed(clean, clip(index=5, text_noise=1.0, audio_noise=0.0)) == {
        "captions",
        "text_aligned",
    }
    assert changed(clean, clip(index=5, text_noise=0.0, audio_noise=1.0)) == {
        "audio",
        "audio_aligned",
    }


def test_noise_does_not_reach_the_test_split():
    noisy = clip("test", 5, text_noise=1.0, audio_noise=1.0)
    assert changed(noisy, clip("test", 5, text_noise=0.0, audio_noise=0.0)) == set()
    assert noisy["text_aligned"] == noisy["audio_aligned"] == 1


def test_splits_and_classes(prepared):
    builder, _, report = prepared
    sizes = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert sizes == {"train": 96, "validation": 2, "test": 50}
    labels = np.bincount([record["label"] for record in records(builder, "train")])
    assert len(labels) == len(CLASS_NAMES) and labels.max() - labels.min() <= 1
    assert tuple(builder.info.metadata["class_names"]) == CLASS_NAMES
    assert builder.info.metadata["parameters"] == report["parameters"]


def test_the_share_of_misaligned_clips_is_as_asked(prepared):
    builder, _, report = prepared
    train = records(builder, "train")
    for name in ("text", "audio"):
        wrong = sum(1 - record[f"{name}_aligned"] for record in train)
        # 96 draws with probability 0.3: four standard deviations are 18.
        assert 29 - 18 < wrong < 29 + 18
        assert report["misaligned"]["train"][name] == wrong
    assert report["misaligned"]["test"] == {"text": 0, "audio": 0}


def test_narration_fits_where_it_is_said_to_fit(prepared):
    builder, *_ = prepared
    yellow = ("yellow", "golden", "lemon")
    for record in records(builder, "train") + records(builder, "test"):
        said = b" ".join(record["captions"]["text"]).decode()
        is_yellow = CLASS_NAMES[record["label"]].startswith("yellow")
        if record["text_aligned"]:
            assert any(word in said for word in yellow) == is_yellow


def test_kept_files_hold_what_the_records_hold(prepared):
    builder, media, _ = prepared
    config = SyntheticConfig(**TINY)
    clock = MediaFormat(config.frames_per_second, config.image_size_px, config.sample_rate_hz)
    assert len(list(media.rglob("*.mp4"))) == len(list(media.rglob("*.vtt"))) == 148
    assert not list(media.rglob("*.incomplete"))
    for record in records(builder, "validation"):
        source = media / record["source"].decode()
        (decoded,) = MediaReader(source, clock).clips(config.clip_seconds)
        np.testing.assert_array_equal(decoded.audio, record["audio"])
        assert np.abs(decoded.frames.astype(int) - record["video"]).mean() < 6  # JPEG
        cues = parse_caption_file(source.with_suffix(".vtt").read_bytes(), "clip.vtt").cues
        assert [cue.text.encode() for cue in cues] == list(record["captions"]["text"])
        np.testing.assert_allclose([cue.start_seconds for cue in cues], record["captions"]["start_seconds"], atol=1e-4)


def test_tfds_alone_writes_the_same_with_one_thread(prepared, tmp_path, monkeypatch):
    builder, *_ = prepared
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    config = SyntheticConfig(train_clips=5, validation_clips=0, test_clips=0, **TINY)
    small = Synthetic(data_dir=str(tmp_path), config=config)
    small.download_and_prepare(download_dir=str(tmp_path / "downloads"))
    assert set(small.info.splits) == {"train"}
    large = {record["clip_id"]: record for record in records(builder, "train")}
    for record in records(small, "train"):
        same = large[record["clip_id"]]
        np.testing.assert_array_equal(record["video"], same["video"])
        np.testing.assert_array_equal(record["audio"], same["audio"])
        assert list(record["captions"]["text"]) == list(same["captions"]["text"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(text_noise=1.5), "text_noise should be a probability"),
        (dict(audio_noise=-0.1), "audio_noise should be a probability"),
        (dict(train_clips=0), "at least 1 in train"),
        (dict(image_size_px=33), "should be even"),
        (dict(sample_rate_hz=12345), "sample_rate_hz should be in"),
        (dict(frames_per_second=0), "frames_per_second should be at least 1"),
        (dict(clip_seconds=0.0), "should hold a frame and be finite"),
        (dict(seed=-1), "seed should be at least 0"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        SyntheticConfig(**settings)


def test_the_files_can_be_kept_in_remote_storage():
    config = SyntheticConfig(source_dir="ram://kept", clip_seconds=0.4, image_size_px=16)
    make_clip(config, "train", 0)
    assert sorted(tf.io.gfile.listdir("ram://kept/train")) == ["000000.mp4", "000000.vtt"]
    assert tf.io.gfile.GFile("ram://kept/train/000000.vtt").read().startswith("WEBVTT")
    tf.io.gfile.rmtree("ram://kept")
