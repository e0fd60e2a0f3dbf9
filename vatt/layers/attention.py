"""Multi-head self-attention."""

import tensorflow as tf

from vatt import randomness
from vatt.keras import keras
from vatt.layers.dot_product import dot_product_attention


class DenseToHeads(keras.layers.Dense):
    """A linear map to several heads, with the weights of a `Dense` layer.

    The product has an axis of heads: where XLA has to cut its result, it copies it, on a TPU 5 % of a step of the paper's model.
    Keras' own `EinsumDense` has one as well, but keeps its weights in a shape that no checkpoint of ours has.

    Args:
      heads: Number of heads.
      head_dim: Size of a head.
    """

    def __init__(self, heads: int, head_dim: int, **kwargs):
        super().__init__(heads * head_dim, **kwargs)
        self.heads, self.head_dim = heads, head_dim

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, heads, tokens, head_dim]` of `[batch, tokens, width]`."""
        found = tf.einsum("btw,whd->bthd", tokens, tf.reshape(self.kernel, [-1, self.heads, self.head_dim]))
        if self.use_bias:
            found += tf.reshape(self.bias, [self.heads, self.head_dim])
        return tf.transpose(found, [0, 2, 1, 3])


class DenseOfHeads(keras.layers.Dense):
    """A linear map of several heads' values, joined, with the weights of a `Dense` layer; see `DenseToHeads`."""

    def build(self, input_shape):
        """Creates the weights for `[batch, heads, tokens, head_dim]`."""
        super().build([None, input_shape[1] * input_shape[3]])
        self.input_spec = None

    def call(self, mixed: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, tokens, units]` of `[batch, heads, tokens, head_dim]`."""
        kernel = tf.reshape(self.kernel, [mixed.shape[1], mixed.shape[3], self.units])
        found = tf.einsum("bthd,hdw->btw", tf.transpose(mixed, [0, 2, 1, 3]), kernel)
        return tf.nn.bias_add(found, self.bias) if self.use_bias else found


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
        self.dropout = dropout
        self.scale = head_dim**-0.5 if scaled else 1.0
        self.query = DenseToHeads(heads, head_dim, use_bias=use_bias)
        self.key = DenseToHeads(heads, head_dim, use_bias=use_bias)
        self.value = DenseToHeads(heads, head_dim, use_bias=use_bias)
        self.output_projection = DenseOfHeads(width, use_bias=use_bias)

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
          queries: `[batch, queries, width]`, the tokens whose results are wanted; `None` for all.

        Returns:
          `[batch, queries, width]`.
        """
        query = self.query(tokens if queries is None else queries)
        key, value = self.key(tokens), self.value(tokens)
        mixed = dot_product_attention(query * self.scale, key, value, mask, score_bias, self.dropout, weights_key)
        return self.output_projection(mixed)
