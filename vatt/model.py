"""VATT: Transformers over raw video, audio and text (arXiv 2104.11178; NeurIPS 2021)."""

import contextlib
import dataclasses

import tensorflow as tf

from vatt import cuts, randomness
from vatt.architecture import build_head, choose_towers, dimensions, tower_options
from vatt.batch_part import BatchPart
from vatt.heads import as_float32
from vatt.keras import keras
from vatt.layers.gelu import gelu
from vatt.options import ModelOptions, takes_model_options
from vatt.presets import MODALITIES, Tower
from vatt.sizes import Size
from vatt.towers import build_embedding, build_encoders
from vatt.variables import create_variables


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
      *args: `preset`, which may come without its name.
      **kwargs: The fields of `ModelOptions`, which explains them.

    Attributes:
      options: The arguments it was made with.
      modalities: Those that it has a tower for.
      kinds: The towers' kinds, by modality; see `vatt.presets.KINDS`.
      input_shapes: Of one clip, by the names of a batch's entries.
      precision: The Keras policy it was made under: "float32", "mixed_bfloat16".

    Raises:
      ValueError: For an unknown name, a combination that makes no model, or input that is smaller than one patch.
    """

    @takes_model_options
    def __init__(self, *args, **kwargs):
        options = ModelOptions(*args, **kwargs)
        super().__init__(name=options.name, autocast=False)  # sound becomes a spectrogram in full precision
        self.options = options
        self.precision = keras.mixed_precision.global_policy().name
        self.input_shapes = {
            "video": (options.frames, options.image_size, options.image_size, 3),
            "waveform": (options.waveform_samples,),
            "text": (options.words,),
        }
        dims = dimensions(options)
        shared = tower_options(options, dims["word_dim"])
        towers = choose_towers(options)
        self.modalities = tuple(towers)
        self.kinds = {modality: tower.kind for modality, tower in towers.items()}
        self.embeddings = {
            modality: build_embedding(modality, tower, self.input_shapes[MODALITIES[modality]], shared)
            for modality, tower in towers.items()
        }
        self.encoders = build_encoders(towers, shared)
        self.feature_projections = {
            modality: keras.layers.Dense(dims["feature_dim"], gelu, name=f"{modality}_features")
            for modality, tower in towers.items()
            if tower.kind == "ut"
        }
        self.head = build_head(options, dims, self.modalities)

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
        self,
        inputs: dict[str, tf.Tensor],
        training: bool = False,
        seed: tf.Tensor | None = None,
        part: BatchPart | None = None,
    ) -> dict[str, dict[str, tf.Tensor]]:
        """Embeds whichever of the model's modalities `inputs` holds.

        Args:
          inputs: Any of `video` [batch, frames, height, width, 3] and `waveform` [batch, samples], both floating point
            in [-1, 1], and `text` [batch, candidates, words] int32, 0 = padding. Other entries are ignored.
          training: Whether batch statistics, DropToken and dropout are used; the last two need `seed`.
          seed: int32 or int64 [2]. All random draws of the call are functions of it.
          part: Which part of a batch `inputs` are, if not all of it. The draws are then those of its clips in the whole
            batch, and the head, whose batch norms see all clips at once, is not run: see `project`.

        Returns:
          `features`: pooled features, float32 `[batch, feature_dim]`, text `[batch, candidates, feature_dim]`;
          `video_audio` and `video_text`: see `FineAndCoarseHead.call`; not there without a head or of a part.

        Raises:
          ValueError: `inputs` holds none of the model's modalities, or one in another shape.
        """
        seed = seed if training else None
        if not any(MODALITIES[modality] in inputs for modality in self.modalities):
            wanted = ", ".join(MODALITIES[modality] for modality in self.modalities)
            raise ValueError(f"`inputs` should hold some of {wanted}. Found {', '.join(inputs) or 'nothing'}.")
        keys = self._keys(seed, part)
        features = {
            modality: self._pooled(modality, inputs[MODALITIES[modality]], keys[modality])
            for modality in self.modalities
            if MODALITIES[modality] in inputs
        }
        features = {modality: cuts.passed(cuts.FEATURES, feature) for modality, feature in features.items()}
        if part is not None:
            return {"features": as_float32(features)}
        return self.project(features, training)

    def project(self, features: dict[str, tf.Tensor], training: bool = False) -> dict[str, dict[str, tf.Tensor]]:
        """Returns what `call` returns, from the pooled features of a whole batch."""
        spaces = self.head(features, training=training) if self.head is not None else {}
        return {"features": as_float32(features), **spaces}

    def path_variables(self, modality: str) -> list[tf.Variable]:
        """Returns the trainable variables between a modality's input and its pooled features."""
        parts = [self.embeddings[modality], self.encoders[modality], self.feature_projections.get(modality)]
        return [variable for part in parts if part is not None for variable in part.trainable_variables]

    def encode(self, modality: str, raw: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the pooled features of one modality, with the same draws as `call`.

        Raises:
          ValueError: `raw` has no shape that the modality can have.
        """
        return self._pooled(modality, raw, self._keys(seed)[modality])

    def _keys(self, seed, part=None):
        layers = max(len(getattr(encoder, "blocks", ())) for encoder in self.encoders.values())
        return randomness.key_table(seed, tuple(MODALITIES), layers, part)

    def _pooled(self, modality, raw, keys):
        raw = tf.convert_to_tensor(raw)
        if modality != "text":
            return self._features(modality, raw, keys, pooled=True)
        if raw.shape.rank != 3:
            raise ValueError(f"Text should have the shape [batch, candidates, words]. Found {raw.shape}.")
        captions = tf.reshape(raw, [-1, raw.shape[-1]])
        pooled = self._features("text", captions, keys, pooled=True)
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
        return self._features(modality, raw, randomness.NO_KEYS, pooled=False)

    def _features(self, modality, raw, keys, pooled):
        embedding, mask = self.embeddings[modality], None
        embedding.check(modality, raw := tf.convert_to_tensor(raw))
        if modality == "text":
            mask = raw > 0
            if embedding.aggregation_joins:  # the AGG token may always be attended to
                mask = tf.concat([tf.ones_like(mask[:, :1]), mask], axis=1)
        with self._scope(modality):
            tokens = self.encoders[modality](embedding(raw, keys=keys), mask=mask, keys=keys, first_only=pooled)
        tokens = tokens[:, 0] if pooled else tokens
        projection = self.feature_projections.get(modality)
        return tokens if projection is None else projection(tokens)

    def _scope(self, modality):
        """Puts the modality in front of the names of an encoder's operations, so that a profile tells its calls apart.

        Variables, which the first call creates, are named without it.
        """
        return tf.name_scope(modality) if self.encoders[modality].built else contextlib.nullcontext()

    def create_variables(self) -> None:
        """Creates every variable by tracing, without computing anything; call it under the strategy's scope."""
        shapes = {MODALITIES[modality]: self.input_shapes[MODALITIES[modality]] for modality in self.modalities}
        specs = {
            key: tf.TensorSpec([1, 1, *shape], tf.int32) if key == "text" else tf.TensorSpec([1, *shape])
            for key, shape in shapes.items()
        }
        create_variables(self, specs)

    def get_config(self) -> dict[str, object]:
        """Returns the constructor's arguments and the precision as JSON values; `from_config` makes an equal model from them."""
        return {"precision": self.precision, **dataclasses.asdict(self.options)}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> "VATT":
        """Makes a model from what `get_config` returned, also after a round trip through JSON."""
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
