"""From one modality's raw input to the tokens that enter the encoder."""

import math

import tensorflow as tf

from vatt import randomness
from vatt.drop_token import choose_tokens, kept_tokens
from vatt.keras import keras
from vatt.log_mel import LogMel
from vatt.patches import Patches, Words
from vatt.positions import AxialPositions
from vatt.randomness import NO_KEYS, ModalityKeys

TOKEN, PIECE = "token", "piece"


class ModalityEmbedding(keras.layers.Layer):
    """Patches or words -> projection -> positions -> DropToken -> AGG token in front.

    As in the published code, the AGG token gets no position. (The paper gives it one: the sum of two vectors that are
    learned freely, which is the same function.) DropToken picks raw patches, before they are embedded: the same function
    as dropping tokens after the positions are added, without embedding what is then thrown away.

    Args:
      pieces: Cuts the raw input and embeds what it cut.
      projection: Follows the pieces' linear embedding; in the modality-agnostic model a GELU layer, as published.
      positions: Added to the tokens; `None` where the encoder has relative ones.
      aggregation: Where the AGG token joins: a "token" in front of the finished ones, a "piece" in front of what the
        projection reads (the published T5 text tower), or `None` for no such token.
      spectrogram: Turns a waveform into what is cut into patches.
      drop_token_rate: Share of the tokens that training drops.
      shared_drop: One subset for the whole batch (published code) instead of one per clip (paper).
      kept_tokens_of_tables: Keep the number of tokens that the rate leaves of the positions' own grid, whatever the clip's size.
      dropout: Rate after the positions are added.
    """

    def __init__(
        self,
        pieces: Patches | Words,
        projection: keras.layers.Layer | None = None,
        positions: AxialPositions | None = None,
        aggregation: str | None = TOKEN,
        spectrogram: LogMel | None = None,
        drop_token_rate: float = 0.0,
        shared_drop: bool = False,
        kept_tokens_of_tables: bool = False,
        dropout: float = 0.1,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # a spectrogram is computed from sound in full precision
        self.pieces, self.projection, self.positions = pieces, projection, positions
        self.aggregation_joins, self.spectrogram = aggregation, spectrogram
        self.drop_token_rate, self.shared_drop, self.dropout = drop_token_rate, shared_drop, dropout
        self.kept_tokens_of_tables = kept_tokens_of_tables

    def build(self, input_shape):
        """Creates the weights."""
        widths = {TOKEN: self._width(), PIECE: self._piece_width(), None: None}
        if width := widths[self.aggregation_joins]:
            # The published vector's glorot_normal, which goes by its own shape, (width,).
            initializer = keras.initializers.VarianceScaling(1.0, "fan_out", "truncated_normal")
            self.aggregation = self.add_weight("aggregation", (1, 1, width), initializer=initializer)

    def grid(self, raw_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Tokens along each axis of a raw input of this shape, which has no batch axis."""
        return self.pieces.grid(self._cut_shape(raw_shape))

    def tokens(self, raw_shape: tuple[int, ...], training: bool) -> int:
        """Tokens that enter the encoder, the AGG token included."""
        count = math.prod(self.grid(raw_shape))
        return (self._kept(count) if training else count) + (self.aggregation_joins is not None)

    def check(self, modality: str, raw: tf.Tensor) -> None:
        """Raises `ValueError` unless `raw` has a shape and a type that can be embedded."""
        is_words = isinstance(self.pieces, Words)
        if raw.dtype.is_floating == is_words:
            wanted = "int32 token ids" if is_words else "floating point numbers in [-1, 1]"
            raise ValueError(f"A clip's {modality} should be {wanted}. Found {raw.dtype.name}.")
        self.pieces.check(modality, self._cut_shape(tuple(raw.shape[1:])))

    def _cut_shape(self, raw_shape):
        """The shape of what is cut into pieces: that of a waveform's spectrogram, if there is one, else of the raw input."""
        is_waveform = self.spectrogram is not None and len(raw_shape) == 1
        return self.spectrogram.shape(*raw_shape) if is_waveform else raw_shape

    def _kept(self, count):
        if not self.drop_token_rate:
            return count
        of = math.prod(self.positions.grid) if self.kept_tokens_of_tables else count
        return min(count, kept_tokens(of, self.drop_token_rate))

    def call(self, raw: tf.Tensor, keys: ModalityKeys = NO_KEYS) -> tf.Tensor:
        """Embeds one modality.

        Args:
          raw: Video `[batch, frames, height, width, 3]`, audio `[batch, samples]` or its spectrogram `[batch, windows,
            bands]`, or word ids `[captions, words]`.
          keys: Of the draws while training; without any, every token is kept and nothing is dropped out.

        Returns:
          `[batch, 1 + tokens, width]`, without the 1 where there is no AGG token.
        """
        if self.spectrogram is not None:
            raw = self.spectrogram(raw)
        if raw.dtype.is_floating:
            raw = tf.cast(raw, self.compute_dtype)
        pieces = self.pieces.cut(raw)
        positions = None
        if self.positions is not None:
            positions = self.positions(pieces, grid=self.pieces.grid(raw.shape[1:]))[tf.newaxis]
        if keys.drop_token is not None and self.drop_token_rate > 0.0:
            pieces, positions = self._drop(pieces, positions, keys.drop_token)
        tokens = self._project(self.pieces(pieces))
        if positions is not None:
            tokens += positions
        tokens = randomness.dropout(tokens, self.dropout, keys.positions)
        return self._prepend_aggregation(tokens) if self.aggregation_joins == TOKEN else tokens

    def _project(self, vectors):
        if self.aggregation_joins == PIECE:
            vectors = self._prepend_aggregation(vectors)
        return vectors if self.projection is None else self.projection(vectors)

    def _drop(self, pieces, positions, key):
        batch, count = pieces.shape[0] or tf.shape(pieces)[0], pieces.shape[1]
        kept = self._kept(count)
        chosen = choose_tokens(batch, count, kept, key, self.shared_drop)
        positions = None if positions is None else tf.gather(positions[0], chosen)
        return tf.gather(pieces, chosen, batch_dims=1), positions

    def _prepend_aggregation(self, tokens):
        aggregation = tf.cast(self.aggregation, tokens.dtype)
        aggregation = tf.broadcast_to(aggregation, [tf.shape(tokens)[0], 1, tokens.shape[-1]])
        return tf.concat([aggregation, tokens], axis=1)

    def _piece_width(self):
        return self.pieces.output_dim if isinstance(self.pieces, Words) else self.pieces.width

    def _width(self):
        return self._piece_width() if self.projection is None else self.projection.units
