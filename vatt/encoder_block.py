"""One block of the encoder."""

import tensorflow as tf

from vatt import randomness
from vatt.attention import SelfAttention
from vatt.keras import keras
from vatt.sizes import Size


class RMSNorm(keras.layers.Layer):
    """Divides each token by the root mean square of its values, and scales (T5; no mean is taken off, nothing added)."""

    def build(self, input_shape):
        """Creates the weight."""
        self.scale = self.add_weight("scale", (input_shape[-1],), initializer="ones")

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns `[..., width]` of `[..., width]`, computed in float32."""
        values = tf.cast(tokens, tf.float32)
        values *= tf.math.rsqrt(tf.reduce_mean(tf.square(values), axis=-1, keepdims=True) + 1e-6)
        return tf.cast(values, tokens.dtype) * tf.cast(self.scale, tokens.dtype)


class EncoderBlock(keras.layers.Layer):
    """Norm -> attention -> add; LayerNorm -> GELU feed-forward -> add (VATT, section 3.2).

    Args:
      size: Of the Transformer.
      dropout: Rate on the attention weights, the hidden layer and both branches' outputs.
      use_bias: Biases in the linear maps.
      t5: An RMS norm before the attention, whose scores are not scaled, as in the published T5 text tower. (Its
        feed-forward part has a LayerNorm and a GELU all the same; weights of T5 itself do not fit.)
    """

    def __init__(self, size: Size, dropout: float, use_bias: bool = True, t5: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.dropout = dropout
        self.attention_norm = RMSNorm() if t5 else keras.layers.LayerNormalization(epsilon=1e-6)
        self.attention = SelfAttention(size.width, size.heads, size.head_dim, dropout, use_bias, scaled=not t5)
        self.feed_forward_norm = keras.layers.LayerNormalization(epsilon=1e-6)
        self.hidden = keras.layers.Dense(size.feed_forward, "gelu", use_bias=use_bias)
        self.output_projection = keras.layers.Dense(size.width, use_bias=use_bias)

    def call(
        self,
        tokens: tf.Tensor,
        mask: tf.Tensor | None = None,
        seed: tf.Tensor | None = None,
        score_bias: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns `[batch, tokens, width]`; see `SelfAttention.call`."""
        draw = [randomness.fold(seed, randomness.ATTENTION, index) for index in range(2)]
        mixed = self.attention(self.attention_norm(tokens), mask=mask, seed=draw[0], score_bias=score_bias)
        tokens += randomness.dropout(mixed, self.dropout, draw[1])
        draw = [randomness.fold(seed, randomness.FEED_FORWARD, index) for index in range(2)]
        hidden = self.hidden(self.feed_forward_norm(tokens))
        hidden = randomness.dropout(hidden, self.dropout, draw[0])
        return tokens + randomness.dropout(self.output_projection(hidden), self.dropout, draw[1])
