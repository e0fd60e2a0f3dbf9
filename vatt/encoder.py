"""The pre-LN Transformer encoder of every modality, and the linear text tower that stands in for one."""

import tensorflow as tf
from official.nlp.modeling.layers.position_embedding import RelativePositionBias

from vatt import cuts, randomness
from vatt.encoder_block import EncoderBlock
from vatt.keras import keras
from vatt.layers.norms import LayerNormalization, RMSNorm
from vatt.randomness import NO_KEYS, ModalityKeys
from vatt.sizes import Size

# Of T5's relative positions, as published (`t5_small`).
_BUCKETS, _FARTHEST = 32, 64


class Encoder(keras.layers.Layer):
    """Blocks, a last norm and, as in the published code, one more dropout.

    Args:
      size: Of the Transformer.
      dropout: Rate used throughout.
      use_bias: Biases in the linear maps; the published spectrogram and T5 towers have none.
      t5: Relative positions, one table for all blocks, and RMS norms; see `EncoderBlock`.
      recompute: Keep only what enters a block for the backward pass and compute the rest of it again there: less memory
        for a third more work. XLA does not undo it: compiled for a CPU, a training step of 6 blocks on 2 x 256 tokens of 64
        needs 17 instead of 43 MB in addition to the weights (two objectives: 23 instead of 44 MB).
    """

    def __init__(
        self,
        size: Size,
        dropout: float = 0.1,
        use_bias: bool = True,
        t5: bool = False,
        recompute: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dropout, self.recompute, self.width = dropout, recompute, size.width
        self.blocks = [EncoderBlock(size, dropout, use_bias, t5, name=f"block_{index}") for index in range(size.layers)]
        self.relative_positions = RelativePositionBias(size.heads, _BUCKETS, _FARTHEST) if t5 else None
        self.norm = RMSNorm() if t5 else LayerNormalization()

    def call(
        self,
        tokens: tf.Tensor,
        mask: tf.Tensor | None = None,
        keys: ModalityKeys = NO_KEYS,
        first_only: bool = False,
    ) -> tf.Tensor:
        """Encodes one modality's tokens.

        Args:
          tokens: `[batch, tokens, width]`.
          mask: bool [batch, tokens], True where a token may be attended to; `None` attends to all.
          keys: Of the draws while training; without any there is no dropout.
          first_only: Compute only what the first token becomes: the last block needs the others as keys and values alone.
            With 2 blocks that saves 43 % of the arithmetic, with 12 blocks 7 %.

        Returns:
          `[batch, tokens, width]`, or `[batch, 1, width]`.
        """
        score_bias = None if self.relative_positions is None else self.relative_positions(tokens[:1], tokens[:1])
        for index, block in enumerate(self.blocks):
            if index == len(self.blocks) - 1:
                tokens = cuts.passed(cuts.LAST_BLOCK, tokens)
            narrow = first_only and block is self.blocks[-1]
            tokens = self._apply(block, tokens, score_bias, mask=mask, keys=keys.block(index), first_only=narrow)
        return randomness.dropout(self.norm(tokens), self.dropout, keys.encoder_output)

    def _apply(self, block, tokens, score_bias, **options):
        if not self.recompute or not block.built:  # no variables are created inside `recompute_grad`
            return block(tokens, score_bias=score_bias, **options)
        inputs = [tokens] if score_bias is None else [tokens, score_bias]  # what gradients flow through

        def run(tokens, score_bias=None):
            return block(tokens, score_bias=score_bias, **options)

        return tf.recompute_grad(run)(*inputs)


class LinearEncoder(keras.layers.Layer):
    """The maximum over the words of a ReLU layer: the text tower of MMV, VATT's predecessor, selectable in its code.

    Padding takes no part (our choice; the sources do not say).

    Args:
      width: Size of the layer.
    """

    def __init__(self, width: int, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.words = keras.layers.Dense(width, "relu")

    def call(
        self,
        tokens: tf.Tensor,
        mask: tf.Tensor,
        keys: ModalityKeys = NO_KEYS,
        first_only: bool = True,
    ) -> tf.Tensor:
        """Returns `[captions, 1, width]` of `[captions, words, word_dim]`; `mask` bool [captions, words].

        Nothing is drawn at random, and there is only one token to return.
        """
        hidden = self.words(tokens)  # not negative, so zero is the least there can be
        hidden = tf.where(mask[..., tf.newaxis], hidden, tf.zeros_like(hidden))
        return tf.reduce_max(hidden, axis=1, keepdims=True)
