"""Linear embedding of raw video, patch by patch."""

import math

import tensorflow as tf

from vatt.keras import keras


class VideoPatches(keras.layers.Layer):
    """Cuts a clip into space-time boxes and projects each to a token (VATT, section 3.1).

    A strided 3-D convolution whose kernel is as large as its stride, written as the matrix product it is, so that
    DropToken can pick boxes before they are embedded. It is initialized as a linear map of a box's values: the
    published code's initializer also counts a convolution's outputs per kernel position, which makes the first tokens
    several times smaller than their positions, and small models slow to start.

    Args:
      width: Size of a token.
      patch: Frames, rows and columns of a box.
    """

    def __init__(self, width: int, patch: tuple[int, int, int] = (4, 16, 16), **kwargs):
        super().__init__(**kwargs)
        self.width, self.patch = width, tuple(patch)

    def grid(self, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Boxes along time, height and width of `[..., frames, height, width, 3]`; what is left over is cut off."""
        return tuple(size // box for size, box in zip(input_shape[-4:-1], self.patch, strict=True))

    def build(self, input_shape):
        """Creates the weights."""
        values = math.prod(self.patch) * 3
        self.kernel = self.add_weight("kernel", (values, self.width), initializer="glorot_uniform")
        self.bias = self.add_weight("bias", (self.width,), initializer="zeros")

    def cut(self, video: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, boxes, values]` (time-major, then rows, then columns) of `[batch, frames, height, width, 3]`."""
        (frames, rows, columns), (t, h, w) = self.patch, self.grid(video.shape)
        video = video[:, : t * frames, : h * rows, : w * columns]
        boxes = tf.reshape(video, [-1, t, frames, h, rows, w, columns, 3])
        boxes = tf.transpose(boxes, [0, 1, 3, 5, 2, 4, 6, 7])
        return tf.reshape(boxes, [-1, t * h * w, frames * rows * columns * 3])

    def call(self, boxes: tf.Tensor) -> tf.Tensor:
        """Embeds boxes `[batch, boxes, values]` as `[batch, boxes, width]`."""
        return tf.matmul(boxes, self.kernel) + self.bias
