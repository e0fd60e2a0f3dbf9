"""Linear maps into the heads of an attention, and out of them."""

import tensorflow as tf

from vatt.keras import keras


class Dense(keras.layers.Dense):
    """A dense layer that splits its result into heads, or joins the heads that it is given.

    The product itself does so; to transpose its result, a TPU would copy it. The class has the name of Keras' own, after which
    variables are named, and the same variables.

    Args:
      units: Size of a token, or of all heads together.
      heads: Number of heads.
      **kwargs: Of `keras.layers.Dense`.
    """

    def __init__(self, units: int, heads: int, **kwargs):
        super().__init__(units, **kwargs)
        self.heads = heads

    def build(self, input_shape):
        """Creates the weights."""
        joins = len(input_shape) == 4
        super().build([None, input_shape[1] * input_shape[3] if joins else input_shape[-1]])
        self.input_spec = None

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, heads, tokens, units / heads]` of `[batch, tokens, width]`, or `[batch, tokens, units]` of heads."""
        if inputs.shape.rank == 4:
            outputs = tf.einsum("bhtd,hdo->bto", inputs, tf.reshape(self.kernel, [self.heads, -1, self.units]))
            return outputs + self.bias if self.use_bias else outputs
        split = [self.heads, self.units // self.heads]
        outputs = tf.einsum("btc,chd->bhtd", inputs, tf.reshape(self.kernel, [-1, *split]))
        return outputs + tf.reshape(self.bias, split)[:, tf.newaxis] if self.use_bias else outputs
