"""The pre-LN Transformer encoder that all modalities share."""

import tensorflow as tf

from vatt import randomness
from vatt.encoder_block import EncoderBlock
from vatt.keras import keras


class Encoder(keras.layers.Layer):
    """`layers` blocks, a last LayerNorm and, as in the published code, one more dropout.

    Args:
      layers: Number of blocks.
      width: Size of a token.
      heads: Attention heads.
      head_dim: Size of a head.
      feed_forward: Size of the blocks' hidden layer.
      dropout: Rate used throughout.
    """

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int,
        head_dim: int,
        feed_forward: int,
        dropout: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dropout = dropout
        self.blocks = [
            EncoderBlock(width, heads, head_dim, feed_forward, dropout, name=f"block_{index}")
            for index in range(layers)
        ]
        self.layer_norm = keras.layers.LayerNormalization(epsilon=1e-6)

    def call(
        self, tokens: tf.Tensor, mask: tf.Tensor | None = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Encodes one modality's tokens.

        Args:
          tokens: `[batch, tokens, width]`.
          mask: bool [batch, tokens], True where a token may be attended to; `None` attends to all.
          seed: int32 [2] while training; `None` switches dropout off.

        Returns:
          `[batch, tokens, width]`.
        """
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, mask=mask, seed=randomness.fold(seed, randomness.ENCODER, index))
        return randomness.dropout(
            self.layer_norm(tokens), self.dropout, randomness.fold(seed, randomness.BLOCK_OUTPUT)
        )
