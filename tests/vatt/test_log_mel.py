import numpy as np
import pytest
import tensorflow as tf

import vatt
from vatt.keras import keras
from vatt.log_mel import LogMel


def tone(hz: float, rate: int, seconds: float = 0.5, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype("f")[None]


def mel(hz):
    return 1127.0 * np.log1p(hz / 700.0)


def expected(waveform: np.ndarray, rate: int, bands: int = 80) -> np.ndarray:
    """The same by NumPy, in float64: windows, magnitudes, triangles between mel frequencies, logarithm, [0, 1]."""
    window, hop = round(0.04267 * rate), round(0.02134 * rate)
    size = 2 ** int(np.ceil(np.log2(window)))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.concatenate([waveform[0].astype(float), np.zeros(window)])
    starts = range(0, len(waveform[0]), hop)
    magnitudes = np.abs(np.stack([np.fft.rfft(padded[start : start + window] * hann, size) for start in starts]))
    edges = np.linspace(mel(80.0), mel(7600.0), bands + 2)
    places = mel(np.fft.rfftfreq(size, 1 / rate))[:, None]
    rising = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    triangles[0] = 0
    loudness = np.log(1 + 10_000 * magnitudes @ triangles)
    return (loudness - loudness.min()) / (loudness.max() - loudness.min())


@pytest.mark.parametrize("rate", [48_000, 24_000])
def test_equals_numpy(rate):
    waveform = tone(440, rate) + tone(3000, rate, amplitude=0.01)
    found = LogMel(rate)(waveform).numpy()[0]
    assert found.min() == 0 and found.max() == 1
    np.testing.assert_allclose(
        found, expected(waveform, rate), atol=6e-3
    )  # quiet bands: float32 noise, made 10,000 times louder


def test_published_shape():
    assert LogMel(48_000).shape(153_600) == (150, 80) == LogMel(48_000)(np.zeros([1, 153_600], "f")).shape[1:]


def test_higher_tones_are_in_higher_bands():
    loudest = [LogMel(16_000)(tone(hz, 16_000)).numpy()[0].mean(axis=0).argmax() for hz in (200, 800, 3000, 7000)]
    assert loudest == sorted(set(loudest)) and loudest[0] < 20 < 60 < loudest[-1]


def test_silence_is_zeros_and_a_spectrogram_passes():
    assert not LogMel(16_000)(np.zeros([2, 8000], "f")).numpy().any()
    ready = tf.ones([2, 3, 80])
    assert LogMel(16_000)(ready) is ready


def test_is_computed_in_full_precision_under_bfloat16():
    """bfloat16 has 8 bits: rounding the sound first would put noise into every band."""
    options = dict(preset="spt_base", layers=1, width=16, heads=2, head_dim=8, feed_forward=32, waveform_samples=48_000)
    full = vatt.VATT(**options)
    full.create_variables()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = vatt.VATT(**options)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    half.create_variables()
    half.set_weights(full.get_weights())
    sound = tone(440, 48_000, 1.0, amplitude=0.01)
    from_sound, from_spectrogram = (half.encode("audio", raw).numpy() for raw in (sound, LogMel(48_000)(sound)))
    np.testing.assert_array_equal(from_sound, from_spectrogram)
    called = [half({"waveform": raw})["features"]["audio"].numpy() for raw in (sound, LogMel(48_000)(sound))]
    np.testing.assert_array_equal(*called)  # Keras itself would cast the inputs of a model
    assert half.precision == "mixed_bfloat16" and half.compute_dtype == "bfloat16"
