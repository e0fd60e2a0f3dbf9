"""Multi-head self-attention."""

import tensorflow as tf

from vatt import randomness
from vatt.dot_product import dot_product_attention
from vatt.keras import keras


class SelfAttention(keras.layers.Layer):
    """Scaled dot-product self-attention (VATT, section 3.2). The softmax is always taken in float32.

    Three projections rather than one fused: on CPUs a fused one is no faster (forward and backward, 785 tokens of 768:
    0.164 against 0.167 s; 601 of 1024: 0.206 against 0.196 s), and published checkpoints hold three.

    Args:
      width: Size of a token.
      heads: Number of heads.
      head_dim: Size of a head; `heads * head_dim` need not equal `width`.
      dropout: Rate on the attention weights.
      use_bias: Biases in the projections.
      scaled: Divide the scores by the root of `head_dim`; T5 does not.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        head_dim: int,
        dropout: float,
        use_bias: bool = True,
        scaled: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.heads, self.head_dim, self.dropout = heads, head_dim, dropout
        self.scale = head_dim**-0.5 if scaled else 1.0
        self.query = keras.layers.Dense(heads * head_dim, use_bias=use_bias)
        self.key = keras.layers.Dense(heads * head_dim, use_bias=use_bias)
        self.value = keras.layers.Dense(heads * head_dim, use_bias=use_bias)
        self.output_projection = keras.layers.Dense(width, use_bias=use_bias)

    def call(
        self,
        tokens: tf.Tensor,
        mask: tf.Tensor | None = None,
        weights_key: randomness.Key | None = None,
        score_bias: tf.Tensor | None = None,
        queries: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Mixes tokens.

        Args:
          tokens: `[batch, tokens, width]`.
          mask: bool [batch, tokens], True where a token may be attended to.
          weights_key: Of the dropout, or `None`.
          score_bias: `[1, heads, queries, tokens]`, added to the scores.
          queries: `[batch, queries, width]`, what is computed only for these; `None` for all tokens.

        Returns:
          `[batch, queries, width]`.
        """
        query = self._split_heads(self.query(tokens if queries is None else queries))
        key, value = (self._split_heads(project(tokens)) for project in (self.key, self.value))
        mixed = dot_product_attention(query * self.scale, key, value, mask, score_bias, self.dropout, weights_key)
        return self.output_projection(self._merge_heads(mixed))

    def _split_heads(self, tokens):
        shape = [-1, tokens.shape[1], self.heads, self.head_dim]
        return tf.transpose(tf.reshape(tokens, shape), [0, 2, 1, 3])

    def _merge_heads(self, tokens):
        merged = tf.transpose(tokens, [0, 2, 1, 3])
        return tf.reshape(merged, [-1, merged.shape[1], self.heads * self.head_dim])
