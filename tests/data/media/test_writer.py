import io

import av
import numpy as np
import pytest

from data.media.reader import MediaFormat, MediaReader
from data.media.writer import encode_mp4

pytestmark = pytest.mark.every_python


def encode(frames, audio, sample_rate_hz=16000):
    buffer = io.BytesIO()
    encode_mp4(buffer, frames, audio, frames_per_second=10, sample_rate_hz=sample_rate_hz)
    return buffer.getvalue()


def test_the_file_is_mp4_with_h264_and_aac():
    content = encode(np.zeros((5, 32, 48, 3), np.uint8), np.zeros(8000, np.float32))
    with av.open(io.BytesIO(content)) as container:
        assert "mp4" in container.format.name
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 48, 32)
        assert (audio.codec_context.name, audio.rate) == ("aac", 16000)


@pytest.mark.parametrize("sample_rate_hz", [16000, 48000])
def test_encoder_delay_does_not_shift_the_sound(sample_rate_hz):
    rng = np.random.default_rng(0)
    audio = np.zeros(3 * sample_rate_hz, np.float32)
    burst = slice(round(1.2 * sample_rate_hz), round(1.3 * sample_rate_hz))
    audio[burst] = 0.5 * rng.standard_normal(burst.stop - burst.start).clip(-1.5, 1.5)
    frames = np.full((30, 32, 32, 3), 50, np.uint8)
    frames[12] = 250
    clock = MediaFormat(10.0, 256, sample_rate_hz)
    (clip,) = MediaReader(encode(frames, audio, sample_rate_hz), clock).clips(3.0)
    assert clip.frames.mean((1, 2, 3)).argmax() == 12
    correlation = np.correlate(clip.audio.astype(float), audio[burst].astype(float), "valid")
    # An uncorrected encoder delay would be 1024 samples.
    assert abs(correlation.argmax() - burst.start) <= 2


def test_pictures_and_sound_survive():
    times = np.arange(16000) / 16000
    audio = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    frames = np.zeros((10, 32, 32, 3), np.uint8)
    frames[:, :16] = (200, 40, 40)
    frames[:, 16:] = (40, 60, 200)
    (clip,) = MediaReader(encode(frames, audio), MediaFormat(10.0, 256, 16000)).clips(1.0)
    middle = np.r_[2:14, 18:30]
    assert np.abs(clip.frames[:, middle].astype(int) - frames[:, middle]).mean() < 6
    assert np.corrcoef(clip.audio, audio)[0, 1] > 0.99
    assert np.abs(clip.audio).max() / 32768 == pytest.approx(0.5, abs=0.08)


def test_without_sound_there_is_no_track():
    with av.open(io.BytesIO(encode(np.zeros((3, 32, 32, 3), np.uint8), None))) as container:
        assert not container.streams.audio
