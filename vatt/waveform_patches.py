"""Linear embedding of raw sound, patch by patch."""

import tensorflow as tf

from vatt.keras import keras


class WaveformPatches(keras.layers.Layer):
    """Cuts raw sound into stretches of `patch` samples and projects each to a token (VATT, section 3.1).

    See `VideoPatches` for how it differs from a convolution.

    Args:
      width: Size of a token.
      patch: Samples in a stretch.
    """

    def __init__(self, width: int, patch: int = 128, **kwargs):
        super().__init__(**kwargs)
        self.width, self.patch = width, patch

    def grid(self, input_shape: tuple[int, ...]) -> tuple[int]:
        """Stretches in `[..., samples]`; what is left over is cut off."""
        return (input_shape[-1] // self.patch,)

    def build(self, input_shape):
        """Creates the weights."""
        self.kernel = self.add_weight("kernel", (self.patch, self.width), initializer="glorot_uniform")
        self.bias = self.add_weight("bias", (self.width,), initializer="zeros")

    def cut(self, waveform: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, stretches, patch]` of `[batch, samples]`."""
        (count,) = self.grid(waveform.shape)
        return tf.reshape(waveform[:, : count * self.patch], [-1, count, self.patch])

    def call(self, stretches: tf.Tensor) -> tf.Tensor:
        """Embeds `[batch, stretches, patch]` as `[batch, stretches, width]`."""
        return tf.matmul(stretches, self.kernel) + self.bias
