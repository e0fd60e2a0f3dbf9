"""Clips of real files: the same as of prepared records, whatever the container, and clear words for bad files."""

import dataclasses
import pathlib
import runpy

import numpy as np
import pytest

import data
from data.media.reader import MediaFormat, MediaReader
from data.preparing.prepare import prepare
from data.sets.folder import Folder, FolderConfig

pytestmark = pytest.mark.every_python

MEDIA = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "media_files.py"))
write_media, moving_square, tone = MEDIA["write_media"], MEDIA["moving_square"], MEDIA["tone"]
SOUNDS = [suffix for suffix, (video_codec, _) in MEDIA["CODECS"].items() if video_codec is None]
SPEC = data.ClipSpec(frames=8, frames_per_second=10.0, image_size=32, sample_rate_hz=16000)


def only_clip(path, spec=SPEC):
    (clip,) = data.read_clips(path, spec)
    return clip


def levels(clip):
    """Mean level of each frame in [0, 255]."""
    return (clip.video.mean(axis=(1, 2, 3)) + 1.0) * 127.5


def brightening(count, height=48, width=64):
    """Frame i has the level 5 i."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = 5 * np.arange(count)[:, None, None, None]
    return frames


@pytest.fixture(scope="module")
def prepared_file(tmp_path_factory):
    """A wide video with stereo sound at 44.1 kHz, and what `experiments.prepare_data` makes of it."""
    root = tmp_path_factory.mktemp("prepared")
    sweep = np.cumsum(np.linspace(0.02, 0.2, round(3.7 * 44100)))
    sound = 0.5 * np.sin([sweep, 1.1 * sweep])
    # Thirty frames per second; 288 rows, which preparing scales down to 256.
    path = write_media(root / "media" / "wide.mp4", moving_square(111, 288, 400, 90), sound, 30, 44100)
    config = FolderConfig(source_dir=str(root / "media"), sample_rate_hz=16000)
    prepare(Folder, config, str(root / "data"))
    return path, data.open_dataset("folder", str(root / "data"))


@pytest.mark.parametrize("sparse_seconds", [None, 1.7])
@pytest.mark.parametrize("windows", [1, 3])
def test_a_clip_is_that_of_the_prepared_record(prepared_file, windows, sparse_seconds):
    path, prepared = prepared_file
    spec = dataclasses.replace(SPEC, image_size=64, sparse_seconds=sparse_seconds)
    (batch,) = data.eval_batches(prepared, "train", spec, batch_size=1, windows=windows)
    video, waveform = (np.asarray(batch[name])[0] for name in ("video", "waveform"))
    clips = list(data.read_clips(path, spec, windows))
    assert len(clips) == windows and all(clip.has_video and clip.has_audio for clip in clips)
    for index, clip in enumerate(clips):
        expected = (video, waveform) if windows == 1 else (video[index], waveform[index])
        assert clip.video.shape == (8, 64, 64, 3) and clip.video.dtype == clip.waveform.dtype == np.float32
        np.testing.assert_array_equal(clip.waveform, expected[1])
        # JPEG: a hundredth of the range on the average, more at the square's edge.
        error = np.abs(clip.video - expected[0])
        assert error.mean() < 0.02 and np.percentile(error, 99) < 0.12
        # Not so of another frame of the same clip.
        assert np.abs(clip.video - np.roll(expected[0], 1, axis=0)).mean() > 2 * error.mean()


@pytest.mark.parametrize("suffix", [suffix for suffix in MEDIA["CODECS"] if suffix not in SOUNDS])
def test_windows_of_any_video(tmp_path, suffix):
    rate = 48000 if suffix == ".webm" else 44100  # Opus knows no 44.1 kHz
    path = write_media(tmp_path / f"a{suffix}", brightening(33), tone(3.3, rate), sample_rate_hz=rate)
    assert sum(len(clip.frames) for clip in MediaReader(path, MediaFormat()).clips(100.0)) == 33
    spans = {
        windows: [(clip.start_seconds, clip.end_seconds) for clip in data.read_clips(path, SPEC, windows)]
        for windows in (1, 3, None)
    }
    np.testing.assert_allclose(spans[1], [(1.2, 2.0)])
    np.testing.assert_allclose(spans[3], [(0.0, 0.8), (1.2, 2.0), (2.5, 3.3)])
    np.testing.assert_allclose(spans[None], [(0.0, 0.8), (0.8, 1.6), (1.6, 2.4), (2.4, 3.2)])
    clip = only_clip(path)
    np.testing.assert_allclose(levels(clip), 5 * np.arange(12, 20), atol=3)
    assert clip.has_video and clip.has_audio and 0.2 < clip.waveform.std() < 0.35


def test_overlapping_windows_are_those_of_the_whole(tmp_path):
    path = write_media(tmp_path / "a.mp4", brightening(20), tone(2.0, 48000))
    (whole,) = data.read_clips(path, dataclasses.replace(SPEC, frames=20))
    clips = list(data.read_clips(path, SPEC, 5))
    assert [round(10 * clip.start_seconds) for clip in clips] == [0, 3, 6, 9, 12]
    for clip in clips:
        first = round(10 * clip.start_seconds)
        np.testing.assert_array_equal(clip.video, whole.video[first : first + 8])
        np.testing.assert_array_equal(clip.waveform, whole.waveform[1600 * first :][:12800])


@pytest.mark.parametrize("suffix", SOUNDS)
@pytest.mark.parametrize("rate", [44100, 48000])
def test_sound_alone_has_no_video(tmp_path, suffix, rate):
    if suffix == ".ogg":
        rate = 48000  # Opus knows no other
    channels = np.zeros((2, 2 * rate), np.float32)
    channels[0, rate : rate + rate // 50] = 0.8  # in the left channel only
    path = write_media(tmp_path / f"a{suffix}", None, channels, sample_rate_hz=rate)
    clip = only_clip(path)
    assert not clip.has_video and clip.has_audio and not clip.video.any()
    assert clip.video.shape == (8, 32, 32, 3) and clip.waveform.shape == (12800,)
    loud = np.flatnonzero(np.abs(clip.waveform) > 0.1) / 16000
    assert abs(clip.start_seconds + loud.mean() - 1.01) < 0.01
    spans = [(clip.start_seconds, clip.end_seconds) for clip in data.read_clips(path, SPEC, None)]
    # An mp3 may end a little later than what went into it.
    np.testing.assert_allclose(spans, [(0.0, 0.8), (0.8, 1.6), (1.6, 2.0)], atol=0.11)


def test_the_whole_sound_is_there(tmp_path):
    sound = tone(2.0, 16000, hertz=700.0)
    path = write_media(tmp_path / "a.flac", None, sound, sample_rate_hz=16000)
    pieces = [clip.waveform for clip in data.read_clips(path, SPEC, None)]
    np.testing.assert_allclose(np.concatenate(pieces)[:32000], sound, atol=2 / 32768)
    assert not np.concatenate(pieces)[32000:].any()


def test_a_song_with_a_cover_is_sound_alone(tmp_path):
    import av

    source = write_media(tmp_path / "plain.mp3", None, tone(1.0, 44100), sample_rate_hz=44100)
    path = tmp_path / "song.mp3"
    with av.open(str(source)) as plain, av.open(str(path), "w") as song:
        audio = song.add_stream_from_template(plain.streams.audio[0])
        cover = song.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8))
        song.mux([*cover.encode(picture), *cover.encode(None)])
        for packet in plain.demux(plain.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = audio
                song.mux(packet)
    with av.open(str(path)) as song:
        assert len(song.streams.video) == 1
    clip = only_clip(path)
    assert clip.has_audio and not clip.has_video


def test_a_video_without_sound_has_no_audio(tmp_path):
    clip = only_clip(write_media(tmp_path / "mute.mp4", brightening(10)))
    assert clip.has_video and not clip.has_audio
    assert clip.waveform.shape == (12800,) and not clip.waveform.any()


def test_a_short_clip_repeats_its_last_frame_and_falls_silent(tmp_path):
    path = write_media(tmp_path / "short.mp4", brightening(3), tone(0.3, 48000))
    for windows in (1, 4, None):
        (clip,) = data.read_clips(path, SPEC, windows)  # four times the same would be no use
        assert (clip.start_seconds, clip.end_seconds) == (0.0, pytest.approx(0.3))
        np.testing.assert_allclose(levels(clip), [0, 5, 10, 10, 10, 10, 10, 10], atol=3)
        assert clip.waveform[:4000].std() > 0.2 and not clip.waveform[4800:].any()


def test_more_windows_than_starts_are_all_starts(tmp_path):
    path = write_media(tmp_path / "short.mp4", brightening(11))
    expected = [pytest.approx(tick / 10) for tick in range(4)]
    for windows in (4, 5, 10**20):
        assert [clip.start_seconds for clip in data.read_clips(path, SPEC, windows)] == expected


def test_a_portrait_video_is_cropped_in_its_middle(tmp_path):
    frames = np.full((8, 96, 48, 3), 30, np.uint8)
    frames[:, 24:72] = 200  # the middle square; more above and below
    clip = only_clip(write_media(tmp_path / "portrait.mp4", frames))
    np.testing.assert_allclose(levels(clip), 200, atol=4)


def test_a_phone_video_is_turned(tmp_path):
    frames = np.full((8, 48, 64, 3), 30, np.uint8)
    frames[:, :, 32:] = 220  # right as stored, on top once it is turned counterclockwise
    clip = only_clip(write_media(tmp_path / "phone.mp4", frames, rotation=90))
    picture = clip.video[0].mean(-1)
    assert picture[:12].mean() > 0.6 and picture[20:].mean() < -0.6


def test_a_video_that_breaks_off_is_used_as_far_as_it_goes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3)).astype(np.uint8)
    content = write_media(tmp_path / "whole.mkv", noise, tone(4.0, 48000)).read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(content[: len(content) // 2])
    clips = list(data.read_clips(broken, SPEC, None))
    assert 1 <= len(clips) <= 3 and clips[0].has_video
    np.testing.assert_array_equal(clips[0].video, next(data.read_clips(tmp_path / "whole.mkv", SPEC, None)).video)


def test_windows_avoid_an_end_that_cannot_be_decoded(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3)).astype(np.uint8)
    path = write_media(tmp_path / "a.mp4", noise)
    content = bytearray(path.read_bytes())
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    first_third = start + (end - start) // 4
    content[first_third:end] = bytes(end - first_third)
    path.write_bytes(content)
    (clip,) = data.read_clips(path, SPEC)
    assert clip.start_seconds < 1.6 and clip.has_video


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("empty", "not a media file"),
        ("letter", "not a media file"),
        ("missing", "No such file"),
        ("cut off", "cut off before its index"),
        ("overwritten", "no video frame could be decoded"),
        ("subtitles", "no video or audio track"),
    ],
)
def test_bad_files_say_why(tmp_path, fault, message):
    path = tmp_path / "bad.mp4"
    content = write_media(tmp_path / "good.mp4", brightening(10), tone(1.0, 48000)).read_bytes()
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    texts = {
        "empty": b"",
        "letter": b"This is a letter, not a video.\n" * 50,
        "cut off": content[:end],
        "overwritten": content[:start] + bytes(end - start) + content[end:],
        "subtitles": b"WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n",
    }
    if fault in texts:
        path.write_bytes(texts[fault])
    with pytest.raises(data.DataError, match=message):
        list(data.read_clips(path, SPEC))


def test_a_text_is_not_shown_as_a_video(tmp_path):
    (tmp_path / "readme.txt").write_text("This is a letter.\n" * 50)
    with pytest.raises(data.DataError, match="a text file, not a media file"):
        next(data.read_clips(tmp_path / "readme.txt", SPEC))


def test_a_number_of_windows_below_one_is_refused(tmp_path):
    with pytest.raises(data.DataError, match="windows should be at least 1"):
        next(data.read_clips(tmp_path / "any.mp4", SPEC, 0))


def test_reading_is_window_by_window(tmp_path):
    path = write_media(tmp_path / "long.mp4", brightening(50).repeat(6, axis=0))
    clips = data.read_clips(path, SPEC, None)
    assert next(clips).start_seconds == 0.0
    reader = MediaReader(path, MediaFormat())
    next(reader.windows([0, 8], 8))
    assert reader.decoded_seconds < 5.0
