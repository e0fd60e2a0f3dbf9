"""One block of the encoder."""

import tensorflow as tf

from vatt import randomness
from vatt.attention import SelfAttention
from vatt.keras import keras


class EncoderBlock(keras.layers.Layer):
    """LayerNorm -> attention -> add; LayerNorm -> GELU feed-forward -> add (VATT, section 3.2).

    Args:
      width: Size of a token.
      heads: Attention heads.
      head_dim: Size of a head.
      feed_forward: Size of the hidden layer.
      dropout: Rate on the attention weights, the hidden layer and both branches' outputs.
    """

    def __init__(
        self, width: int, heads: int, head_dim: int, feed_forward: int, dropout: float, **kwargs
    ):
        super().__init__(**kwargs)
        self.dropout = dropout
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-6)
        self.attention = SelfAttention(width, heads, head_dim, dropout)
        self.feed_forward_norm = keras.layers.LayerNormalization(epsilon=1e-6)
        self.hidden = keras.layers.Dense(feed_forward, "gelu")
        self.output_projection = keras.layers.Dense(width)

    def call(
        self, tokens: tf.Tensor, mask: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns `[batch, tokens, width]`; see `Encoder.call`."""
        draw = [randomness.fold(seed, randomness.ATTENTION, index) for index in range(2)]
        mixed = self.attention(self.attention_norm(tokens), mask=mask, seed=draw[0])
        tokens += randomness.dropout(mixed, self.dropout, draw[1])
        draw = [randomness.fold(seed, randomness.FEED_FORWARD, index) for index in range(2)]
        hidden = self.hidden(self.feed_forward_norm(tokens))
        hidden = randomness.dropout(hidden, self.dropout, draw[0])
        return tokens + randomness.dropout(self.output_projection(hidden), self.dropout, draw[1])
