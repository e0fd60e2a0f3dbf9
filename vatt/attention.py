"""Multi-head self-attention."""

import tensorflow as tf

from vatt import randomness
from vatt.keras import keras


class SelfAttention(keras.layers.Layer):
    """Scaled dot-product self-attention with biases (VATT, section 3.2). The softmax is always taken in float32.

    Args:
      width: Size of a token.
      heads: Number of heads.
      head_dim: Size of a head; `heads * head_dim` need not equal `width`.
      dropout: Rate on the attention weights.
    """

    def __init__(self, width: int, heads: int, head_dim: int, dropout: float, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.head_dim, self.dropout = heads, head_dim, dropout
        self.query = keras.layers.Dense(heads * head_dim)
        self.key = keras.layers.Dense(heads * head_dim)
        self.value = keras.layers.Dense(heads * head_dim)
        self.output_projection = keras.layers.Dense(width)

    def call(
        self, tokens: tf.Tensor, mask: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Mixes `tokens` [batch, tokens, width]; `mask` bool [batch, tokens] is True where a token may be attended to."""
        query, key, value = (
            self._split_heads(project(tokens)) for project in (self.query, self.key, self.value)
        )
        scores = tf.matmul(query * self.head_dim**-0.5, key, transpose_b=True)
        scores = tf.cast(scores, tf.float32)
        if mask is not None:
            scores += tf.where(mask, 0.0, -1e9)[:, tf.newaxis, tf.newaxis, :]
        weights = tf.cast(tf.nn.softmax(scores), value.dtype)
        mixed = tf.matmul(randomness.dropout(weights, self.dropout, seed), value)
        return self.output_projection(self._merge_heads(mixed))

    def _split_heads(self, tokens):
        shape = [-1, tokens.shape[1], self.heads, self.head_dim]
        return tf.transpose(tf.reshape(tokens, shape), [0, 2, 1, 3])

    def _merge_heads(self, tokens):
        merged = tf.transpose(tokens, [0, 2, 1, 3])
        return tf.reshape(merged, [-1, merged.shape[1], self.heads * self.head_dim])
