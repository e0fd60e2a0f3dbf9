"""VATT, modality-agnostic: one Transformer over raw video, sound and text (arXiv 2104.11178; NeurIPS 2021)."""

import tensorflow as tf

from vatt import randomness
from vatt.drop_token import kept_tokens
from vatt.embedding import ModalityEmbedding
from vatt.encoder import Encoder
from vatt.heads import FineAndCoarseHead
from vatt.keras import keras
from vatt.sizes import SIZES
from vatt.video_patches import VideoPatches
from vatt.waveform_patches import WaveformPatches

MODALITIES = {"video": "video", "audio": "waveform", "text": "text"}
_PURPOSE = {"video": randomness.VIDEO, "audio": randomness.AUDIO, "text": randomness.TEXT}


class VATT(keras.Model):
    """Embeds clips: one embedding per modality, one encoder for all, one pooled (AGG) feature each, two common spaces.

    Each modality passes through the encoder alone. Its AGG token's output goes through a GELU projection of its own
    (the pooled feature, for linear probes) and then through the head into the spaces of the two losses.

    Args:
      size: A name in `vatt.SIZES`; any of the arguments after `words` that is not `None` overrides what the size says.
      frames: Frames in a clip.
      image_size: Height and width of a frame, pixels.
      waveform_samples: Samples of sound in a clip.
      vocabulary_size: Token ids, 0 (padding) included.
      words: Token ids in a caption.
      layers: Encoder blocks.
      width: Size of a token.
      heads: Attention heads.
      head_dim: Size of a head (64 in every published size).
      feed_forward: Size of the feed-forward hidden layer.
      word_dim: Size of a word vector before it is projected to `width`.
      feature_dim: Size of the pooled features.
      video_audio_dim: Size of the fine space.
      video_text_dim: Size of the coarse space.
      video_patch: Frames, rows and columns of a patch.
      waveform_patch: Samples of a patch.
      drop_token_rate: Share of the video and audio tokens that training drops.
      shared_drop: One DropToken subset for the whole batch (published code) instead of one per clip (paper; default).
      normalize_positions: A LayerNorm on the positions (published code), or none (paper; default).
      dropout: Rate of every dropout.
      trainable_words: Learn the word vectors (paper; default) or keep them as they are (published code).
      name: The Keras model's name.

    Raises:
      ValueError: For an unknown size, or input that is smaller than one patch.
    """

    def __init__(
        self,
        size: str = "medium",
        *,
        frames: int = 32,
        image_size: int = 224,
        waveform_samples: int = 153_600,
        vocabulary_size: int = 65_536,
        words: int = 16,
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
        drop_token_rate: float = 0.5,
        shared_drop: bool = False,
        normalize_positions: bool = False,
        dropout: float = 0.1,
        trainable_words: bool = True,
        name: str | None = None,
    ):
        super().__init__(name=name)
        overrides = dict(
            layers=layers, width=width, heads=heads, head_dim=head_dim, feed_forward=feed_forward,
            word_dim=word_dim, feature_dim=feature_dim, video_audio_dim=video_audio_dim,
            video_text_dim=video_text_dim,
        )  # fmt: skip
        dims = _dimensions(size, overrides)
        self.input_shapes = {
            "video": (frames, image_size, image_size, 3),
            "waveform": (waveform_samples,),
            "text": (words,),
        }
        self.drop_token_rate = drop_token_rate
        self.embeddings = self._build_embeddings(
            dims["width"], video_patch, waveform_patch,
            dict(normalize_positions=normalize_positions, dropout=dropout), shared_drop,
        )  # fmt: skip
        # Keras' default, 0.03, lets the positions outweigh the words at first; our choice.
        unit_normal = keras.initializers.RandomNormal(stddev=1.0)
        self.word_vectors = keras.layers.Embedding(
            vocabulary_size, dims["word_dim"], unit_normal, trainable=trainable_words, name="word_vectors"
        )
        encoder_keys = ("layers", "width", "heads", "head_dim", "feed_forward")
        self.encoder = Encoder(**{key: dims[key] for key in encoder_keys}, dropout=dropout)
        self.feature_projections = {
            name: keras.layers.Dense(dims["feature_dim"], "gelu", name=f"{name}_features")
            for name in MODALITIES
        }
        self.head = FineAndCoarseHead(dims["video_audio_dim"], dims["video_text_dim"])

    def _build_embeddings(self, width, video_patch, waveform_patch, common, shared_drop):
        video = VideoPatches(width, video_patch, name="video_patches")
        waveform = WaveformPatches(width, waveform_patch, name="waveform_patches")
        self.token_grids = {
            "video": video.grid(self.input_shapes["video"]),
            "audio": waveform.grid(self.input_shapes["waveform"]),
            "text": self.input_shapes["text"],
        }
        for name, grid in self.token_grids.items():
            if min(grid) < 1:
                shape = self.input_shapes[MODALITIES[name]]
                raise ValueError(
                    f"A clip's {name} has the shape {shape}, which holds no whole patch: token grid {grid}. "
                    "Use larger clips or smaller patches."
                )
        drop = dict(drop_token_rate=self.drop_token_rate, shared_drop=shared_drop)
        options = {"video": dict(patches=video, **drop), "audio": dict(patches=waveform, **drop)}
        return {
            name: ModalityEmbedding(
                width, grid, name=f"{name}_embedding", **common, **options.get(name, {})
            )
            for name, grid in self.token_grids.items()
        }

    def token_counts(self, training: bool) -> dict[str, int]:
        """Tokens per clip (per caption for text) that enter the encoder, the AGG token included."""
        counts = {}
        for name, grid in self.token_grids.items():
            count = 1
            for buckets in grid:
                count *= buckets
            drops = training and name != "text"
            counts[name] = 1 + (kept_tokens(count, self.drop_token_rate) if drops else count)
        return counts

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, dict[str, tf.Tensor]]:
        """Embeds whichever modalities `inputs` holds.

        Args:
          inputs: Any of `video` [batch, frames, height, width, 3] and `waveform` [batch, samples], both floating point
            in [-1, 1], and `text` [batch, candidates, words] int32, 0 = padding. Other entries are ignored.
          training: Whether batch statistics, DropToken and dropout are used; the last two need `seed`.
          seed: int32 [2]. All random draws of the call are functions of it.

        Returns:
          `features`: pooled features, float32 `[batch, feature_dim]`, text `[batch, candidates, feature_dim]`;
          `video_audio` and `video_text`: see `FineAndCoarseHead.call`.
        """
        seed = seed if training else None
        features = {
            name: self.encode(name, inputs[key], randomness.fold(seed, _PURPOSE[name]))
            for name, key in MODALITIES.items()
            if key in inputs
        }
        spaces = self.head(features, training=training)
        return {"features": {k: tf.cast(v, tf.float32) for k, v in features.items()}, **spaces}

    def encode(self, modality: str, raw: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the pooled features of one modality; see `call`."""
        if modality == "text":
            captions = tf.reshape(raw, [-1, raw.shape[-1]])
            pooled = self._pool("text", self.word_vectors(captions), captions > 0, seed)
            return tf.reshape(pooled, [-1, raw.shape[1], pooled.shape[-1]])
        return self._pool(modality, tf.cast(raw, self.compute_dtype), None, seed)

    def _pool(self, modality, raw, mask, seed):
        tokens = self.embeddings[modality](raw, seed=seed)
        if mask is not None:  # the AGG token may always be attended to
            mask = tf.concat([tf.ones_like(mask[:, :1]), mask], axis=1)
        aggregated = self.encoder(tokens, mask=mask, seed=seed)[:, 0]
        return self.feature_projections[modality](aggregated)

    def create_variables(self) -> None:
        """Creates every variable by tracing, without computing anything; call it under the strategy's scope."""
        specs = {
            "video": tf.TensorSpec([1, *self.input_shapes["video"]]),
            "waveform": tf.TensorSpec([1, *self.input_shapes["waveform"]]),
            "text": tf.TensorSpec([1, 1, *self.input_shapes["text"]], tf.int32),
        }
        tf.function(lambda clips: self(clips), autograph=False).get_concrete_function(specs)


def _dimensions(size: str, overrides: dict[str, int | None]) -> dict[str, int]:
    if size not in SIZES:
        raise ValueError(f"`size` should be one of {', '.join(SIZES)}. Found `size = {size!r}`.")
    published = dict(
        head_dim=64, word_dim=300, feature_dim=1024, video_audio_dim=512, video_text_dim=256
    )
    return {**published, **SIZES[size], **{k: v for k, v in overrides.items() if v is not None}}
