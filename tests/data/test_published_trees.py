"""What the generator of small trees writes, odd as it may be, is read as it was planted."""

import numpy as np
import pytest

from data.media.reader import MediaFormat, MediaReader

CLOCK = MediaFormat(frames_per_second=10.0, image_size_px=256, sample_rate_hz=16000)
KINDS = {
    "mp4": ("phone.mp4", {}),
    "upper case": ("PHONE.MP4", {}),
    "mov": ("a b#!&;[1] ü.mov", {}),
    "mkv": ("phone.mkv", {"sample_rate_hz": 44100}),
    "webm": ("phone.webm", {"sample_rate_hz": 48000}),
    "avi": ("phone.avi", {"sample_rate_hz": 22050}),
    "flv": ("phone.flv", {"sample_rate_hz": 44100}),
    "8 kHz mono": ("old.avi", {"sample_rate_hz": 8000}),
    "48 kHz stereo": ("new.mp4", {"sample_rate_hz": 48000, "channels": 2}),
    "30 frames/s": ("fast.mp4", {"frames_per_second": 30}),
    "odd size": ("odd.webm", {"size": (47, 63), "sample_rate_hz": 48000}),
    "odd size, avi": ("odd.avi", {"size": (47, 63)}),
    "variable rate": ("slides.mkv", {"times": [0.0, 0.033, 0.2, 0.4, 0.7, 0.8, 0.9]}),
    "rotated": ("turned.mp4", {"rotation": 90}),
}


def read(path):
    """The whole file as a record has it."""
    (clip,) = MediaReader(path, CLOCK).clips(1000.0)
    return {"video": clip.frames, "audio": clip.audio}


@pytest.mark.parametrize("kind", KINDS)
def test_flash_and_click_are_where_they_were_planted(tmp_path, trees, kind):
    name, options = KINDS[kind]
    record = read(trees.write_flash(tmp_path / name, at=0.7, color=(180, 60, 40), **options))
    height, width = options.get("size", (48, 64))
    shape = (width, height) if kind == "rotated" else (height, width)
    assert record["video"].shape == (10, *shape, 3) and record["audio"].shape == (16000,)
    trees.require_in_step(record, 0.7, 10, 16000)
    np.testing.assert_allclose(trees.middle_color(record), (180, 60, 40), atol=6)


def test_a_video_of_one_frame_and_one_without_sound(tmp_path, trees):
    one = read(trees.write_flash(tmp_path / "one.mp4", seconds=0.1, at=9))
    assert one["video"].shape == (1, 48, 64, 3) and one["audio"].shape == (1600,)
    mute = read(trees.write_flash(tmp_path / "mute.webm", sound=False))
    assert mute["audio"].shape == (0,) and trees.flash_frame(mute) == 5


def test_sound_alone_and_lists(tmp_path, trees):
    path = trees.write_flash(tmp_path / "dog.WAV", seconds=0.8, at=0.3, sample_rate_hz=44100, channels=2)
    (clip,) = MediaReader(path, CLOCK).sound_windows([0], 8)
    assert abs(trees.click_seconds({"audio": clip.audio}, 16000) - 0.3) < 0.01
    trees.write_list(tmp_path / "deep/list.txt", ["ä", "b"], newline="\r\n", mark=True)
    assert (tmp_path / "deep/list.txt").read_bytes() == b"\xef\xbb\xbf\xc3\xa4\r\nb\r\n"
