"""From one modality's raw input to the tokens that enter the encoder."""

import tensorflow as tf

from vatt import randomness
from vatt.drop_token import choose_tokens, kept_tokens
from vatt.keras import keras
from vatt.positions import AxialPositions
from vatt.video_patches import VideoPatches
from vatt.waveform_patches import WaveformPatches


class ModalityEmbedding(keras.layers.Layer):
    """Patches (or words) -> projection -> positions -> DropToken -> AGG token in front.

    As in the published code, a second, GELU projection follows the linear one, and the AGG token gets no position.
    DropToken picks raw patches, before they are embedded: the same function as dropping tokens after the positions are
    added, without embedding what is then thrown away.

    Args:
      width: Size of a token.
      grid: Tokens along each axis.
      patches: Embeds raw patches; `None` for words, whose vectors come in directly.
      drop_token_rate: Share of the tokens that training drops.
      shared_drop: One subset for the whole batch instead of one per clip.
      normalize_positions: See `AxialPositions`.
      dropout: Rate after the positions are added.
    """

    def __init__(
        self,
        width: int,
        grid: tuple[int, ...],
        patches: VideoPatches | WaveformPatches | None = None,
        drop_token_rate: float = 0.0,
        shared_drop: bool = False,
        normalize_positions: bool = False,
        dropout: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.patches, self.dropout, self.width = patches, dropout, width
        self.drop_token_rate, self.shared_drop = drop_token_rate, shared_drop
        self.projection = keras.layers.Dense(width, "gelu")
        self.positions = AxialPositions(width, grid, normalize_positions)

    def build(self, input_shape):
        """Creates the weights."""
        self.aggregation = self.add_weight(
            "aggregation", (1, 1, self.width), initializer="glorot_normal"
        )

    def call(self, raw: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Embeds one modality.

        Args:
          raw: Video `[batch, frames, height, width, 3]`, sound `[batch, samples]` or word vectors `[batch, words,
            word_dim]`.
          seed: int32 [2] while training; `None` keeps every token and drops nothing out.

        Returns:
          `[batch, 1 + tokens, width]`.
        """
        pieces = raw if self.patches is None else self.patches.cut(raw)
        positions = self.positions(pieces)[tf.newaxis]
        if seed is not None and self.drop_token_rate > 0.0:
            pieces, positions = self._drop(pieces, positions[0], randomness.fold(seed, randomness.DROP_TOKEN))
        tokens = self.projection(pieces if self.patches is None else self.patches(pieces))
        tokens = randomness.dropout(
            tokens + positions, self.dropout, randomness.fold(seed, randomness.POSITION)
        )
        return self._prepend_aggregation(tokens)

    def _drop(self, pieces, positions, seed):
        batch, count = tf.shape(pieces)[0], pieces.shape[1]
        kept = kept_tokens(count, self.drop_token_rate)
        chosen = choose_tokens(batch, count, kept, seed, self.shared_drop)
        return tf.gather(pieces, chosen, batch_dims=1), tf.gather(positions, chosen)

    def _prepend_aggregation(self, tokens):
        aggregation = tf.cast(self.aggregation, tokens.dtype)
        aggregation = tf.broadcast_to(aggregation, [tf.shape(tokens)[0], 1, self.width])
        return tf.concat([aggregation, tokens], axis=1)
