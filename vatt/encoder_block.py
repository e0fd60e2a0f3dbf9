"""One block of the encoder."""

import tensorflow as tf

from vatt import randomness
from vatt.keras import keras
from vatt.layers.attention import SelfAttention
from vatt.layers.gelu import gelu
from vatt.layers.norms import LayerNormalization, RMSNorm
from vatt.randomness import NO_BLOCK_KEYS, BlockKeys
from vatt.sizes import Size


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
        self.attention_norm = RMSNorm() if t5 else LayerNormalization()
        self.attention = SelfAttention(size.width, size.heads, size.head_dim, dropout, use_bias, scaled=not t5)
        self.feed_forward_norm = LayerNormalization()
        self.hidden = keras.layers.Dense(size.feed_forward, use_bias=use_bias)
        self.output_projection = keras.layers.Dense(size.width, use_bias=use_bias)

    def call(
        self,
        tokens: tf.Tensor,
        mask: tf.Tensor | None = None,
        keys: BlockKeys = NO_BLOCK_KEYS,
        score_bias: tf.Tensor | None = None,
        first_only: bool = False,
    ) -> tf.Tensor:
        """Returns `[batch, tokens, width]`, or of the first token alone, `[batch, 1, width]`; see `SelfAttention.call`."""
        normed, queries = self.attention_norm(tokens), None
        if first_only:
            tokens = _first(tokens)
            queries = self.attention_norm(tokens)
            score_bias = None if score_bias is None else score_bias[:, :, :1]
        mixed = self.attention(
            normed, mask=mask, weights_key=keys.attention_weights, score_bias=score_bias, queries=queries
        )
        tokens += randomness.dropout(mixed, self.dropout, keys.attention_output)
        hidden = gelu(self.hidden(self.feed_forward_norm(tokens)), self.dropout, keys.hidden)
        return tokens + randomness.dropout(self.output_projection(hidden), self.dropout, keys.feed_forward_output)


def _first(tokens):
    """Returns `[batch, 1, width]`, the first of the tokens.

    A sum rather than a slice: XLA gives a slice and all that it is taken from one layout. On a TPU that would be `[tokens,
    batch, width]` for the tokens of every block, and each block would copy them many times.
    """
    chosen = tf.one_hot(0, tokens.shape[1], dtype=tokens.dtype)
    return tf.reduce_sum(tokens * chosen[:, tf.newaxis], axis=1, keepdims=True)
