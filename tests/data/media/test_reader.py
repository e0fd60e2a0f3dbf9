"""Reading real files, made here with FFmpeg's own encoders."""

import fractions

import av
import numpy as np
import pytest

from data.errors import DataError
from data.media.reader import MediaFormat, MediaReader

pytestmark = pytest.mark.every_python

CLOCK = MediaFormat(frames_per_second=10.0, image_size_px=256, sample_rate_hz=16000)
FLASH_SECONDS = 1.2
CONTAINERS = {
    "mp4": ("libx264", "aac", 16000),
    "mov": ("libx264", "aac", 48000),
    "mkv": ("libx264", "aac", 44100),
    "webm": ("libvpx", "libopus", 48000),
    "avi": ("mpeg4", "pcm_s16le", 22050),
    "flv": ("flv", "aac", 44100),
}


def write_file(path, times, levels, sound=None, sound_start=0.0, suffix="mp4", size=(48, 64), **tags):
    """Frames of one gray level each at the given times (seconds, whole milliseconds)."""
    video_codec, audio_codec, rate = CONTAINERS[suffix]
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=tags.pop("rate", 10))
        video.height, video.width = size
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = fractions.Fraction(1, tags.pop("ticks", 10))
        for name, value in tags.items():
            setattr(video.codec_context, name, value)
        audio = container.add_stream(audio_codec, rate=rate) if sound is not None else None
        for time, level in zip(times, levels, strict=True):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), level, np.uint8))
            frame.pts = round(time / video.codec_context.time_base)
            frame.time_base = video.codec_context.time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            samples = (sound(np.arange(round(3 * rate)) / rate) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, round(sound_start * rate)
            frame.time_base = fractions.Fraction(1, rate)
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def click(times):
    return 0.9 * (np.abs(times - FLASH_SECONDS - 0.005) < 0.005)


def write_flash(path, suffix):
    times = np.arange(30) / 10
    levels = np.where(np.isclose(times, FLASH_SECONDS), 250, 60)
    return write_file(path, times, levels, click, suffix=suffix)


def only_clip(path, clock=CLOCK):
    (clip,) = MediaReader(path, clock).clips(1000.0)
    return clip


def brightness(frames):
    return frames.mean((1, 2, 3))


@pytest.mark.parametrize("sample_rate_hz", [16000, 48000])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_flash_and_click_stay_in_step(tmp_path, suffix, sample_rate_hz):
    path = write_flash(tmp_path / f"flash.{suffix}", suffix)
    clip = only_clip(path, MediaFormat(10.0, 256, sample_rate_hz))
    assert len(clip.frames) == 30
    assert len(clip.audio) == 3 * sample_rate_hz
    assert brightness(clip.frames).argmax() == 12
    loud = np.flatnonzero(np.abs(clip.audio.astype(int)) > 8000) / sample_rate_hz
    # A frame lasts 0.1 s; the sound is placed ten times better than that.
    assert abs(loud.mean() - (FLASH_SECONDS + 0.005)) < 0.01


def test_late_sound_is_preceded_by_silence(tmp_path):
    tone = lambda times: 0.5 * np.sin(2 * np.pi * 400 * times)  # noqa: E731
    path = write_file(tmp_path / "late.mkv", np.arange(30) / 10, [80] * 30, tone, 1.0, "mkv")
    audio = np.abs(only_clip(path).audio.astype(int))
    assert audio[: round(0.95 * 16000)].max() < 100
    assert audio[round(1.05 * 16000) : 16000 * 2].max() > 8000


def test_variable_frame_rate_shows_the_frame_on_screen(tmp_path):
    times, levels = [0.0, 0.11, 0.13, 0.52, 0.9], [20, 60, 100, 140, 180]
    path = write_file(tmp_path / "variable.mkv", times, levels, suffix="mkv", ticks=1000)
    shown = brightness(only_clip(path).frames)
    expected = [20, 20, 100, 100, 100, 100, 140, 140, 140, 180]
    np.testing.assert_allclose(shown[:10], expected, atol=3)


def test_thirty_frames_per_second_become_ten(tmp_path):
    times = np.arange(60) / 30
    path = write_file(tmp_path / "fast.mp4", times, 4 * np.arange(60), rate=30, ticks=30)
    clip = only_clip(path)
    np.testing.assert_allclose(brightness(clip.frames), 12 * np.arange(20), atol=3)


def test_clips_follow_each_other_without_a_seam(tmp_path):
    sweep = lambda times: 0.6 * np.sin(2 * np.pi * (200 + 100 * times) * times)  # noqa: E731
    path = write_file(tmp_path / "long.mp4", np.arange(30) / 10, 8 * np.arange(30), sweep)
    whole = only_clip(path)
    clips = list(MediaReader(path, CLOCK).clips(0.8))
    assert [clip.start_seconds for clip in clips] == pytest.approx([0, 0.8, 1.6, 2.4])
    assert [len(clip.frames) for clip in clips] == [8, 8, 8, 6]
    assert [len(clip.audio) for clip in clips] == [12800, 12800, 12800, 9600]
    np.testing.assert_array_equal(np.concatenate([clip.frames for clip in clips]), whole.frames)
    np.testing.assert_array_equal(np.concatenate([clip.audio for clip in clips]), whole.audio)


def test_a_part_of_a_file_is_that_part_of_it(tmp_path):
    sweep = lambda times: 0.6 * np.sin(2 * np.pi * (200 + 100 * times) * times)  # noqa: E731
    path = write_file(tmp_path / "long.mp4", np.arange(30) / 10, 8 * np.arange(30), sweep)
    whole = only_clip(path)
    clips = list(MediaReader(path, CLOCK).clips(1.0, start_seconds=0.7, end_seconds=2.3))
    assert [clip.start_seconds for clip in clips] == pytest.approx([0.7, 1.7])
    assert [len(clip.frames) for clip in clips] == [10, 6]
    np.testing.assert_array_equal(np.concatenate([clip.frames for clip in clips]), whole.frames[7:23])
    np.testing.assert_array_equal(np.concatenate([clip.audio for clip in clips]), whole.audio[11200:36800])
    (late,) = MediaReader(path, CLOCK).clips(1.0, start_seconds=2.8, end_seconds=9.0)
    assert len(late.frames) == 2
    with pytest.raises(DataError, match="no video frame could be decoded from second 5 on"):
        next(MediaReader(path, CLOCK).clips(1.0, start_seconds=5.0))


def test_sound_can_come_from_another_file(tmp_path):
    picture = write_flash(tmp_path / "picture.flv", "flv")
    tone = lambda times: 0.5 * np.sin(2 * np.pi * 400 * times)  # noqa: E731
    sound = write_file(tmp_path / "sound.mkv", [0.0], [60], tone, suffix="mkv")
    (clip,) = MediaReader(picture, CLOCK, sound).clips(2.0, end_seconds=2.0)
    assert len(clip.frames) == 20 and brightness(clip.frames).argmax() == 12
    loudness = np.abs(clip.audio.reshape(20, 1600).astype(int)).max(1)  # A click would be in one part only.
    assert (loudness > 10000).all()
    (tmp_path / "letter.wav").write_text("not a sound")
    with pytest.raises(DataError, match="its audio file: not a media file"):
        next(MediaReader(picture, CLOCK, tmp_path / "letter.wav").clips(2.0))


@pytest.mark.parametrize(("minimum_seconds", "clips"), [(0.5, 4), (0.7, 3), (5.0, 3)])
def test_remainder_is_kept_if_long_enough(tmp_path, minimum_seconds, clips):
    path = write_file(tmp_path / "long.mp4", np.arange(30) / 10, [90] * 30)
    assert len(list(MediaReader(path, CLOCK).clips(0.8, minimum_seconds))) == clips


def test_short_video_is_kept_whole(tmp_path):
    path = write_file(tmp_path / "short.mp4", np.arange(3) / 10, [90] * 3)
    (clip,) = MediaReader(path, CLOCK).clips(10.0, minimum_seconds=2.0)
    assert len(clip.frames) == 3


def test_reading_is_clip_by_clip(tmp_path):
    path = write_file(tmp_path / "long.mp4", np.arange(600) / 10, [90] * 600)
    reader = MediaReader(path, CLOCK)
    next(reader.clips(1.0))
    assert reader.decoded_seconds < 5.0
    assert reader.promised_seconds == pytest.approx(60.0)


@pytest.mark.parametrize(("size", "shape"), [((96, 128), (48, 64)), ((128, 96), (64, 48)), ((32, 40), (32, 40))])
def test_shorter_side_is_scaled_down_never_up(tmp_path, size, shape):
    path = write_file(tmp_path / "size.mp4", [0.0, 0.1], [90, 90], size=size)
    assert only_clip(path, MediaFormat(10.0, 48, 16000)).frames.shape == (2, *shape, 3)


def test_wide_pixels_become_square(tmp_path):
    path = write_file(tmp_path / "wide.mp4", [0.0], [90], sample_aspect_ratio=fractions.Fraction(3, 2))
    assert only_clip(path).frames.shape == (1, 48, 96, 3)


@pytest.mark.parametrize("aspect", [(200, 1), (1, 200)])
def test_pixels_far_from_square_are_a_broken_header(tmp_path, aspect):
    ratio = fractions.Fraction(*aspect)
    path = write_file(tmp_path / "wide.mp4", [0.0], [90], size=(240, 320), sample_aspect_ratio=ratio)
    with pytest.raises(DataError, match=f"a broken header: each pixel .* {float(ratio):g} times as wide as high"):
        only_clip(path)


def test_rotation_tag_is_honored(tmp_path):
    path = tmp_path / "turned.mp4"
    pixels = np.full((48, 64, 3), 30, np.uint8)
    pixels[:, 48:] = 220  # The right edge is bright; turned counterclockwise it is on top.
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.set_display_rotation(90)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation == 90
    (frame,) = only_clip(path).frames
    assert frame.shape == (64, 48, 3)
    assert frame[:12].mean() > 200 and frame[20:].mean() < 50


def test_no_audio_track_gives_no_samples(tmp_path):
    path = write_file(tmp_path / "mute.mp4", np.arange(5) / 10, [90] * 5)
    reader = MediaReader(path, CLOCK)
    (clip,) = reader.clips(10.0)
    assert clip.audio.shape == (0,) and clip.audio.dtype == np.int16
    assert not reader.has_audio_track


def test_sound_that_ends_early_leaves_later_clips_without(tmp_path):
    path = write_file(tmp_path / "early.mp4", np.arange(60) / 10, [90] * 60, click)
    clips = list(MediaReader(path, CLOCK).clips(2.0))
    # The sound lasts 3 s: the second clip is padded with silence, the third has none at all.
    assert [len(clip.audio) for clip in clips] == [32000, 32000, 0]


def write_sound_only(path):
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("empty", "not a media file"),
        ("text", "not a media file"),
        ("missing", "No such file"),
        ("cut off", "cut off before its index"),
        ("cut off in the index", "no track at all; it may be cut off"),
        ("sound only", "no video track"),
        ("overwritten", "no video frame"),
        ("unknown codec", "codec of the video track is not known"),
    ],
)
def test_unusable_files_say_why(tmp_path, fault, message):
    path = tmp_path / "bad.mp4"
    if fault == "empty":
        path.touch()
    elif fault == "text":
        path.write_text("This is a letter, not a video.\n" * 50)
    elif fault == "cut off":
        content = write_flash(tmp_path / "good.mp4", "mp4").read_bytes()
        path.write_bytes(content[: content.index(b"moov") - 8])
    elif fault == "cut off in the index":
        content = write_flash(tmp_path / "good.mp4", "mp4").read_bytes()
        path.write_bytes(content[: content.index(b"moov") + 100])
    elif fault == "sound only":
        write_sound_only(path)
    elif fault == "overwritten":
        content = write_flash(tmp_path / "good.mp4", "mp4").read_bytes()
        start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
        path.write_bytes(content[:start] + bytes(end - start) + content[end:])
    elif fault == "unknown codec":
        content = write_flash(tmp_path / "good.mp4", "mp4").read_bytes()
        path.write_bytes(content.replace(b"avc1\0\0", b"zzzz\0\0"))
    with pytest.raises(DataError, match=message):
        list(MediaReader(path, CLOCK).clips(1.0))


def test_file_that_breaks_off_gives_what_was_before(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, 100)
    whole = write_file(tmp_path / "whole.mkv", np.arange(100) / 10, noise, suffix="mkv")
    content = whole.read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(content[: len(content) // 2])
    reader = MediaReader(broken, CLOCK)
    clips = list(reader.clips(1.0))
    assert 1 <= len(clips) < 10
    assert reader.missing_seconds > 2.0
    expected = only_clip(whole).frames[: len(clips[0].frames)]
    np.testing.assert_array_equal(clips[0].frames, expected)


def test_damaged_bytes_inside_are_left_out(tmp_path):
    path = write_flash(tmp_path / "flash.mkv", "mkv")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60] = bytes(60)
    path.write_bytes(content)
    reader = MediaReader(path, CLOCK)
    frames = sum(len(clip.frames) for clip in reader.clips(1.0))
    assert 10 <= frames <= 30
