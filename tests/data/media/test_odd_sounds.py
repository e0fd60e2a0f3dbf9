"""WAV files as the world has them: channels without positions, odd samples."""

import pathlib
import runpy
import struct

import numpy as np
import pytest

from data.media import decoding
from data.media.reader import MediaFormat, MediaReader

pytestmark = pytest.mark.every_python

MEDIA = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "media_files.py"))
tone, hertz = MEDIA["tone"], MEDIA["hertz"]
CLOCK = MediaFormat(frames_per_second=10.0, image_size_px=256, sample_rate_hz=16000)


def wav(path, samples, bits=16, valid_bits=None, tag=1):
    """WAVE_FORMAT_EXTENSIBLE, which names no positions of the channels; samples as stored, [samples, channels]."""
    channels, size = samples.shape[1], bits // 8
    name = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    head = struct.pack("<HHIIHH", 0xFFFE, channels, 16000, 16000 * channels * size, channels * size, bits)
    head += struct.pack("<HHI", 22, valid_bits or bits, 0) + name
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", samples.nbytes)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + samples.nbytes) + body + samples.tobytes())
    return path


def read_sound(path):
    reader = MediaReader(path, CLOCK)
    return next(reader.sound_windows([0], 10)).audio, reader


@pytest.mark.parametrize("channels", [1, 2, 9, 32])
def test_channels_without_positions_become_their_mean(tmp_path, channels):
    samples = np.zeros((16000, channels), "<i2")
    samples[:, -1] = 30000 * tone(1, 16000, 1000, 1.0)
    audio, reader = read_sound(wav(tmp_path / "a.wav", samples))
    assert hertz(audio) == 1000 and audio.max() == pytest.approx(30000 / channels, rel=0.03)
    assert ("unmixed_channels" in reader.remarks) == (channels > 2)  # two are left and right


def test_24_bits_in_32_are_whole_numbers(tmp_path):
    wave = 0.8 * tone(1, 16000, 1000, 1.0) * np.linspace(0.001, 1, 16000)
    samples = (np.round(wave * (2**23 - 1)).astype("<i4") << 8)[:, None]
    audio, reader = read_sound(wav(tmp_path / "a.wav", samples, bits=32, valid_bits=24))
    np.testing.assert_allclose(audio / 32768, wave, atol=1e-3)
    assert not reader.remarks


@pytest.mark.parametrize("fault", [np.nan, np.inf, 1e20])
def test_samples_that_are_no_sound_are_dropped_and_noted(tmp_path, fault):
    samples = tone(1, 16000, 1000, 0.5).astype("<f4")[:, None]
    assert read_sound(wav(tmp_path / "good.wav", samples, bits=32, tag=3))[0].max() == pytest.approx(16384, rel=0.01)
    samples[100] = fault
    audio, reader = read_sound(wav(tmp_path / "a.wav", samples, bits=32, tag=3))
    assert not audio[:90].any() and np.abs(audio).max() < 17000 and np.abs(audio[8000:]).max() > 16000
    assert list(reader.remarks) == ["unusable_samples"]


def test_what_is_sound():
    assert decoding.is_sound(np.array([1.5, -3.0])) and decoding.is_sound(np.zeros((2, 0)))
    assert not decoding.is_sound(np.array([0.0, np.nan])) and not decoding.is_sound(np.array([0.0, -1e3]))
