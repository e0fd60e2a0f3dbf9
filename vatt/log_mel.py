"""The log-mel spectrogram that VATT's spectrogram tower reads."""

import dataclasses

import tensorflow as tf

WINDOW_SECONDS, HOP_SECONDS = 0.04267, 0.02134
LOWEST_HZ, HIGHEST_HZ = 80.0, 7600.0
_GAIN = 10_000.0


@dataclasses.dataclass(frozen=True)
class LogMel:
    """log(1 + 10000 x) of mel-scaled magnitudes, brought to [0, 1] clip by clip (published code's settings).

    What the sources leave open is our choice: a Hann window, silence behind the end so that every hop has its window, and
    the smallest and largest value taken over the clip; a clip without any sound becomes zeros.

    Attributes:
      sample_rate_hz: Rate of the waveform.
      bands: Mel bands.
    """

    sample_rate_hz: int
    bands: int = 80

    @property
    def hop_samples(self) -> int:
        """Samples from one window's start to the next one's (1024 at 48 kHz)."""
        return round(HOP_SECONDS * self.sample_rate_hz)

    def shape(self, samples: int) -> tuple[int, int]:
        """Windows and mel bands of a waveform: (150, 80) for 153,600 samples at 48 kHz."""
        return -(-samples // self.hop_samples), self.bands

    def __call__(self, waveform: tf.Tensor) -> tf.Tensor:
        """Returns float32 `[batch, windows, bands]` of `[batch, samples]`; anything that already has bands as it is."""
        waveform = tf.convert_to_tensor(waveform)
        if waveform.shape.rank > 2:
            return waveform
        window = round(WINDOW_SECONDS * self.sample_rate_hz)
        waves = tf.signal.stft(tf.cast(waveform, tf.float32), window, self.hop_samples, pad_end=True)
        to_mel = tf.signal.linear_to_mel_weight_matrix(
            self.bands, waves.shape[-1], self.sample_rate_hz, LOWEST_HZ, min(HIGHEST_HZ, self.sample_rate_hz / 2)
        )
        loudness = tf.math.log1p(_GAIN * tf.matmul(tf.abs(waves), to_mel))
        lowest = tf.reduce_min(loudness, axis=[1, 2], keepdims=True)
        highest = tf.reduce_max(loudness, axis=[1, 2], keepdims=True)
        return tf.math.divide_no_nan(loudness - lowest, highest - lowest)
