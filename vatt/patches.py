"""From raw input to one vector per patch, or per word."""

import math

import tensorflow as tf

from vatt.keras import keras


class Patches(keras.layers.Layer):
    """Cuts raw input into boxes and projects each to a token (VATT, section 3.1).

    A strided convolution whose kernel is as large as its stride, written as the matrix product it is, so that DropToken
    can pick boxes before they are embedded.

    Args:
      width: Size of a token.
      patch: Size of a box along each axis: frames, rows and columns of video; samples of a waveform; windows and mel
        bands of a spectrogram.
      channels: Values at each place.
      convolution_init: Draw the kernel as a convolution's, as the published code does. Its range also counts the outputs
        per kernel position, which makes the first tokens several times smaller than their positions, and small models
        slow to start; hence not our default.
      pad: Fill up with zeros what does not fill a box (the paper's formula rounds up), or cut it off (published code).
    """

    def __init__(
        self,
        width: int,
        patch: tuple[int, ...],
        channels: int = 1,
        convolution_init: bool = False,
        pad: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width, self.patch, self.channels = width, tuple(patch), channels
        self.convolution_init, self.pad = convolution_init, pad

    def grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Boxes along each axis of an input of `shape`, which has no batch axis and may lack the channel's."""
        pairs = zip(shape, self.patch, strict=False)
        return tuple(-(-size // box) if self.pad else size // box for size, box in pairs)

    def build(self, input_shape):
        """Creates the weights."""
        places = math.prod(self.patch)
        initializer = "glorot_uniform"
        if self.convolution_init:
            limit = math.sqrt(6 / (places * (self.channels + self.width)))
            initializer = keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight("kernel", (places * self.channels, self.width), initializer=initializer)
        self.bias = self.add_weight("bias", (self.width,), initializer="zeros")

    def cut(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, boxes, values]`, the first axis slowest, of `[batch, *axes]` or `[batch, *axes, channels]`."""
        axes, grid = len(self.patch), self.grid(raw.shape[1:])
        wholes = [count * box for count, box in zip(grid, self.patch, strict=True)]
        if self.pad:
            missing = [[0, whole - size] for whole, size in zip(wholes, raw.shape[1:], strict=False)]
            raw = tf.pad(raw, [[0, 0], *missing, *[[0, 0]] * (raw.shape.rank - 1 - axes)])
        raw = raw[(slice(None), *(slice(0, whole) for whole in wholes))]
        pairs = [size for pair in zip(grid, self.patch, strict=True) for size in pair]
        batch = tf.shape(raw)[0]
        # The channels stay with the box's last axis: a TPU would fill up three of them to 128 to move them.
        boxes = tf.reshape(raw, [batch, *pairs[:-1], pairs[-1] * self.channels])
        order = [0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2)]
        return tf.reshape(tf.transpose(boxes, order), [batch, math.prod(grid), math.prod(self.patch) * self.channels])

    def check(self, modality: str, shape: tuple[int, ...]) -> None:
        """Raises `ValueError` unless an input of this shape, without the batch axis, can be cut into patches."""
        axes = len(self.patch)
        with_channels = len(shape) == axes + 1 and shape[-1] == self.channels
        right_axes = with_channels or (len(shape) == axes and self.channels == 1)
        if not right_axes or min(self.grid(shape)) < 1:
            reason = ", which holds no whole patch. Use larger clips or smaller patches." if right_axes else "."
            raise ValueError(
                f"A clip's {modality} should have {axes} axes of at least {self.patch} and {self.channels} value(s) at each "
                f"place. Found the shape {tuple(shape)}{reason}"
            )

    def call(self, boxes: tf.Tensor) -> tf.Tensor:
        """Embeds boxes `[batch, boxes, values]` as `[batch, boxes, width]`."""
        # One product for all clips. `tf.matmul` takes one per clip; its gradient makes a kernel per clip and adds them up.
        return tf.tensordot(boxes, self.kernel, axes=1) + self.bias


class Words(keras.layers.Embedding):
    """One vector per word: int32 ids `[captions, words]` to `[captions, words, word_dim]`.

    Args:
      vocabulary_size: Token ids, 0 (padding) included.
      word_dim: Size of a vector.
      trainable: Learn the vectors (the paper's "learnable weight") or keep them (published code, whose vectors come from
        word2vec).
    """

    def __init__(self, vocabulary_size: int, word_dim: int, trainable: bool, **kwargs):
        # Keras' default, 0.03, lets the positions outweigh the words at first; our choice.
        unit_normal = keras.initializers.RandomNormal(stddev=1.0)
        super().__init__(vocabulary_size, word_dim, unit_normal, trainable=trainable, **kwargs)

    def grid(self, shape: tuple[int, ...]) -> tuple[int]:
        """Words in a caption."""
        return (shape[-1],)

    def cut(self, captions: tf.Tensor) -> tf.Tensor:
        """Returns `captions`: a word is a piece."""
        return captions

    def check(self, modality: str, shape: tuple[int, ...]) -> None:
        """Raises `ValueError` unless a caption has words."""
        if len(shape) != 1 or not shape[0]:
            raise ValueError(f"A caption should have words. Found {modality} of the shape {tuple(shape)}.")
