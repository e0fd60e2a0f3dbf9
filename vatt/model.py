"""VATT: Transformers over raw video, sound and text (arXiv 2104.11178; NeurIPS 2021)."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from vatt import randomness
from vatt.architecture import build_head, choose_towers, dimensions, tower_options
from vatt.keras import keras
from vatt.presets import MODALITIES, Tower
from vatt.sizes import Size
from vatt.towers import build_embedding, build_encoder

_PURPOSE = {"video": randomness.VIDEO, "audio": randomness.AUDIO, "text": randomness.TEXT}


class VATT(keras.Model):
    """Embeds clips: one pooled (AGG) feature per modality and two common spaces.

    Each modality passes through its tower alone: embedding, encoder and, in the modality-agnostic model, where one encoder
    serves all, a GELU projection of its own. The head takes the pooled features into the spaces of the two losses.

    Where the paper and the published code differ about the model there is a switch, and `release_compatible` sets all of
    them as the published code does; the losses' form is an argument of `vatt.losses`. Two differences have none: words pass
    through vectors of `word_dim` (published code; the paper projects them in one step), and the AGG token gets no position
    (see `ModalityEmbedding`). Clips may be longer, larger or shorter than the ones named here, whose tables of positions are
    stretched.

    Args:
      preset: A name in `vatt.PRESETS`: "ut_medium" (modality-agnostic), "mbs" (modality-specific), "vit_base" (one tower).
      frames: Frames in a clip.
      image_size: Height and width of a frame, pixels.
      waveform_samples: Samples of sound in a clip.
      sample_rate_hz: Rate of the sound; only spectrograms depend on it.
      vocabulary_size: Token ids, 0 (padding) included.
      words: Token ids in a caption.
      modalities: Build only these towers of the preset; with less than two there is no head.
      video: Another tower than the preset's: a name such as "vit_large", or a `Tower`; likewise the next two.
      audio: "wat_..." reads the waveform, "spt_..." a log-mel spectrogram of it.
      text: "t5_..." has relative positions, "bert_..." absolute ones, "linear" is no Transformer.
      head: "fine_and_coarse", or "joint": one space of size `video_audio_dim` for all.
      layers: Encoder blocks of every tower, if not the preset's; likewise the next four, see `Size`.
      width: Size of a token.
      heads: Attention heads.
      head_dim: Size of a head.
      feed_forward: Size of the feed-forward hidden layer.
      word_dim: Size of a word vector before it is projected to `width`.
      feature_dim: Size of the pooled features in the modality-agnostic model (elsewhere the tower's width).
      video_audio_dim: Size of the fine space.
      video_text_dim: Size of the coarse space.
      video_patch: Frames, rows and columns of a patch.
      waveform_patch: Samples of a patch.
      spectrogram_patch: Windows and mel bands of a patch.
      mel_bands: Bands of a spectrogram.
      pad_patches: Fill up with zeros what does not fill a patch (the paper's formula), or cut it off (published code; default).
      drop_token_rate: Share of the video and waveform tokens that training drops.
      dropout: Rate of every dropout.
      recompute: Compute the blocks' activations again in the backward pass instead of keeping them.
      paper_head: See `FineAndCoarseHead`; the published code's head is the default, its results are the published ones.
      release_compatible: What the next switches are where they are `None`.
      shared_drop: One DropToken subset for the whole batch (published code) instead of one per clip (paper; default).
      normalize_positions: A LayerNorm on the positions (published code), or none (paper; default).
      positions_from_edges: Align the patches' edges where positions are stretched (published code), or their centers.
      transposed_spectrogram_positions: See `AxialPositions` (published code), or in order (default).
      convolution_init: See `Patches` (published code), or a linear map's (default).
      kept_tokens_of_tables: DropToken keeps as many tokens as of a clip of the size named here, also of larger ones
        (published code), or the same share of any clip (default).
      position_dropout: Rate after the positions are added: 0.1 whatever `dropout` is (published code), 0 (paper), or the
        same as `dropout` (default).
      frozen_words: Keep the word vectors as they are (published code), or learn them (paper; default).
      name: The Keras model's name.

    Attributes:
      modalities: Those that it has a tower for.
      kinds: The towers' kinds, by modality; see `vatt.presets.KINDS`.
      input_shapes: Of one clip, by the names of a batch's entries.
      precision: The Keras policy it was made under: "float32", "mixed_bfloat16".

    Raises:
      ValueError: For an unknown name, a combination that makes no model, or input that is smaller than one patch.
    """

    def __init__(
        self,
        preset: str = "ut_medium",
        *,
        frames: int = 32,
        image_size: int = 224,
        waveform_samples: int = 153_600,
        sample_rate_hz: int = 48_000,
        vocabulary_size: int = 65_536,
        words: int = 16,
        modalities: Sequence[str] | None = None,
        video: str | Tower | None = None,
        audio: str | Tower | None = None,
        text: str | Tower | None = None,
        head: str = "fine_and_coarse",
        layers: int | None = None,
        width: int | None = None,
        heads: int | None = None,
        head_dim: int | None = None,
        feed_forward: int | None = None,
        word_dim: int | None = None,
        feature_dim: int | None = None,
        video_audio_dim: int | None = None,
        video_text_dim: int | None = None,
        video_patch: tuple[int, int, int] = (4, 16, 16),
        waveform_patch: int = 128,
        spectrogram_patch: tuple[int, int] = (16, 5),
        mel_bands: int = 80,
        pad_patches: bool = False,
        drop_token_rate: float = 0.5,
        dropout: float = 0.1,
        recompute: bool = False,
        paper_head: bool = False,
        release_compatible: bool = False,
        shared_drop: bool | None = None,
        normalize_positions: bool | None = None,
        positions_from_edges: bool | None = None,
        transposed_spectrogram_positions: bool | None = None,
        convolution_init: bool | None = None,
        kept_tokens_of_tables: bool | None = None,
        position_dropout: float | None = None,
        frozen_words: bool | None = None,
        name: str | None = None,
    ):
        arguments = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        super().__init__(name=name)
        self.arguments = arguments
        self.precision = keras.mixed_precision.global_policy().name
        self.input_shapes = {
            "video": (frames, image_size, image_size, 3),
            "waveform": (waveform_samples,),
            "text": (words,),
        }
        dims = dimensions(arguments)
        options = tower_options(arguments, dims["word_dim"])
        towers = choose_towers(arguments)
        self.modalities = tuple(towers)
        self.kinds = {modality: tower.kind for modality, tower in towers.items()}
        self.embeddings = {
            modality: build_embedding(modality, tower, self.input_shapes[MODALITIES[modality]], options)
            for modality, tower in towers.items()
        }
        unified = [modality for modality, tower in towers.items() if tower.kind == "ut"]
        encoders = {
            modality: build_encoder(modality, tower, options)
            for modality, tower in towers.items()
            if modality not in unified[1:]
        }
        self.encoders = {modality: encoders.get(modality) or encoders[unified[0]] for modality in towers}
        self.feature_projections = {
            modality: keras.layers.Dense(dims["feature_dim"], "gelu", name=f"{modality}_features")
            for modality in unified
        }
        self.head = build_head(arguments, dims, self.modalities)

    @property
    def encoder(self) -> keras.layers.Layer:
        """The encoder that the gradients of both losses reach: all modalities', or the video's; for models with video."""
        return self.encoders["video"]

    @property
    def feature_dims(self) -> dict[str, int]:
        """Size of the pooled features of each modality."""
        return {
            modality: self.feature_projections[modality].units
            if modality in self.feature_projections
            else self.encoders[modality].width
            for modality in self.modalities
        }

    def token_counts(self, training: bool) -> dict[str, int]:
        """Tokens per clip (per caption for text) that enter the encoder, the AGG token included."""
        return {
            modality: embedding.tokens(self.input_shapes[MODALITIES[modality]], training)
            for modality, embedding in self.embeddings.items()
        }

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, dict[str, tf.Tensor]]:
        """Embeds whichever of the model's modalities `inputs` holds.

        Args:
          inputs: Any of `video` [batch, frames, height, width, 3] and `waveform` [batch, samples], both floating point
            in [-1, 1], and `text` [batch, candidates, words] int32, 0 = padding. Other entries are ignored.
          training: Whether batch statistics, DropToken and dropout are used; the last two need `seed`.
          seed: int32 [2]. All random draws of the call are functions of it.

        Returns:
          `features`: pooled features, float32 `[batch, feature_dim]`, text `[batch, candidates, feature_dim]`;
          `video_audio` and `video_text`: see `FineAndCoarseHead.call`; not there without a head.

        Raises:
          ValueError: `inputs` holds none of the model's modalities, or one in another shape.
        """
        seed = seed if training else None
        if not any(MODALITIES[modality] in inputs for modality in self.modalities):
            wanted = ", ".join(MODALITIES[modality] for modality in self.modalities)
            raise ValueError(f"`inputs` should hold some of {wanted}. Found {', '.join(inputs) or 'nothing'}.")
        features = {
            modality: self.encode(modality, inputs[MODALITIES[modality]], randomness.fold(seed, _PURPOSE[modality]))
            for modality in self.modalities
            if MODALITIES[modality] in inputs
        }
        spaces = self.head(features, training=training) if self.head is not None else {}
        return {"features": {k: tf.cast(v, tf.float32) for k, v in features.items()}, **spaces}

    def encode(self, modality: str, raw: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the pooled features of one modality; see `call`.

        Raises:
          ValueError: `raw` has no shape that the modality can have.
        """
        raw = tf.convert_to_tensor(raw)
        if modality != "text":
            return self._features(modality, raw, seed, pooled=True)
        if raw.shape.rank != 3:
            raise ValueError(f"Text should have the shape [batch, candidates, words]. Found {raw.shape}.")
        captions = tf.reshape(raw, [-1, raw.shape[-1]])
        pooled = self._features("text", captions, seed, pooled=True)
        return tf.reshape(pooled, [-1, raw.shape[1], pooled.shape[-1]])

    def encode_tokens(self, modality: str, raw: tf.Tensor) -> tf.Tensor:
        """Returns the features of every token of one modality, in inference.

        Args:
          modality: "video", "audio" or "text".
          raw: As in `call`, but text `[captions, words]`.

        Returns:
          `[batch, 1 + tokens, feature_dim]`: the pooled features, then the tokens', the first axis of the token grid
          slowest. A linear text tower has only the first.
        """
        return self._features(modality, raw, None, pooled=False)

    def _features(self, modality, raw, seed, pooled):
        embedding, mask = self.embeddings[modality], None
        embedding.check(modality, raw := tf.convert_to_tensor(raw))
        if modality == "text":
            mask = raw > 0
            if embedding.aggregation_joins:  # the AGG token may always be attended to
                mask = tf.concat([tf.ones_like(mask[:, :1]), mask], axis=1)
        tokens = self.encoders[modality](embedding(raw, seed=seed), mask=mask, seed=seed)
        tokens = tokens[:, 0] if pooled else tokens
        projection = self.feature_projections.get(modality)
        return tokens if projection is None else projection(tokens)

    def create_variables(self) -> None:
        """Creates every variable by tracing, without computing anything; call it under the strategy's scope."""
        shapes = {MODALITIES[modality]: self.input_shapes[MODALITIES[modality]] for modality in self.modalities}
        specs = {
            key: tf.TensorSpec([1, 1, *shape], tf.int32) if key == "text" else tf.TensorSpec([1, *shape])
            for key, shape in shapes.items()
        }
        tf.function(lambda clips: self(clips), autograph=False).get_concrete_function(specs)

    def get_config(self) -> dict[str, object]:
        """Returns the constructor's arguments and the precision as JSON values; `from_config` makes an equal model of them."""
        arguments = {
            name: {"kind": value.kind, "size": dataclasses.asdict(value.size)} if isinstance(value, Tower) else value
            for name, value in self.arguments.items()
        }
        return {"precision": self.precision, **arguments}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> "VATT":
        """Makes the model of what `get_config` returned, also after a journey through JSON."""
        arguments = {
            name: Tower(value["kind"], Size(**value["size"])) if isinstance(value, dict) else value
            for name, value in config.items()
        }
        precision, before = arguments.pop("precision", "float32"), keras.mixed_precision.global_policy()
        keras.mixed_precision.set_global_policy(precision)
        try:
            return cls(**arguments)
        finally:
            keras.mixed_precision.set_global_policy(before)
