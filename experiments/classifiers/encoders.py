"""What turns one modality of a clip into a feature vector: ResNet-18, or VATT's Transformer."""

import dataclasses
from typing import Protocol

import tensorflow as tf
from official.vision.modeling.backbones import resnet

import vatt
from data import ClipSpec
from vatt.keras import keras

MODALITIES = {"audio": "waveform", "video": "video"}
"""The modalities, with the entry of a batch that each is read from."""


MOST_CHANNELS = 4096
"""Of the first layer of a ResNet; the last one has eight times as many."""


class EncoderFactory(Protocol):
    """Makes the encoder of one modality for clips of a shape; in gin `@ResNet18` or `@VATTEncoder`.

    The encoder maps what the batch holds of the modality, `training` and a `seed` to features [batch, size].
    """

    def __call__(self, modality: str, clips: ClipSpec) -> keras.layers.Layer:
        """Makes the encoder."""


@dataclasses.dataclass(frozen=True)
class Spectrogram:
    """Magnitudes of a short-time Fourier transform under a Hann window, as logarithms.

    The defaults are DGL's (512 and 353 samples at 22,050 Hz). The floor, which the sources do not give, is our choice:
    about the magnitude that the rounding to 16 bits has in a window.

    Attributes:
      window_samples: Samples of a window, and of the transform.
      hop_samples: Samples from one window's start to the next one's.
      floor: Added to the magnitudes, so that silence has a logarithm.
    """

    window_samples: int = 512
    hop_samples: int = 353
    floor: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("window_samples", "hop_samples", "floor"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`Spectrogram.{name}` should be positive. Found {getattr(self, name)}.")

    def __call__(self, waveform: tf.Tensor) -> tf.Tensor:
        """Returns [batch, windows, window_samples // 2 + 1] float32 of a waveform [batch, samples]."""
        waves = tf.signal.stft(
            tf.cast(waveform, tf.float32), self.window_samples, self.hop_samples, self.window_samples
        )
        return tf.math.log(tf.abs(waves) + self.floor)


class ResNet18(keras.layers.Layer):
    """ResNet-18 of tf-models-official, from scratch, over single frames or over a spectrogram with one channel.

    The features are the average over space, and for video over the frames, as in MMPareto's and DGL's code. Batch
    norms use the statistics of the global batch (make the layer in the strategy's scope); their momentum and epsilon are
    PyTorch's. Other than torchvision's, it has a projection on the first group's shortcut too.

    Args:
      modality: "audio" or "video".
      clips: Shape of a clip.
      depth_multiplier: Factor on the channels of every layer (a width, whatever its name in tf-models-official), 1/64 to 64.
      spectrogram: How sound is turned into an image.

    Raises:
      ValueError: The clip's sound is shorter than a window, or the multiplier leaves no channel.
    """

    def __init__(
        self,
        modality: str,
        clips: ClipSpec,
        depth_multiplier: float = 1.0,
        spectrogram: Spectrogram = Spectrogram(),  # noqa: B008 (frozen)
    ):
        super().__init__(name=f"{modality}_encoder")
        if modality == "audio" and clips.waveform_samples < spectrogram.window_samples:
            raise ValueError(
                f"A clip should have at least one window of audio, {spectrogram.window_samples} samples. Found "
                f"{clips.waveform_samples}. Use longer clips or a smaller `Spectrogram.window_samples`."
            )
        if not 1 / 64 <= depth_multiplier <= MOST_CHANNELS / 64:
            raise ValueError(
                f"`ResNet18.depth_multiplier` should be from 1/64 to {MOST_CHANNELS // 64}. Found {depth_multiplier}."
            )
        self.modality, self.spectrogram = modality, spectrogram
        channels = 3 if modality == "video" else 1
        self.backbone = resnet.ResNet(
            model_id=18,
            input_specs=keras.layers.InputSpec(shape=[None, None, None, channels]),
            depth_multiplier=depth_multiplier,
            # One device has no need of it, and a fused kernel without it: the same statistics, several times as fast.
            use_sync_bn=tf.distribute.get_strategy().num_replicas_in_sync > 1,
            norm_momentum=0.9,
            norm_epsilon=1e-5,
            kernel_initializer="he_normal",
        )

    def call(self, raw: tf.Tensor, training: bool = False, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the features [batch, 512 * depth_multiplier]; nothing is drawn at random.

        Args:
          raw: Frames [batch, frames, height, width, 3] or a waveform [batch, samples], in [-1, 1].
          training: Normalize by the batch's statistics and update the moving ones.
          seed: Not used.
        """
        images = self._images(raw)
        maps = self.backbone(images, training=training)["5"]
        features = tf.reduce_mean(maps, axis=[1, 2])
        if self.modality == "audio":
            return features
        return tf.reduce_mean(tf.reshape(features, [-1, raw.shape[1], features.shape[-1]]), axis=1)

    def _images(self, raw):
        if self.modality == "audio":
            return tf.cast(self.spectrogram(raw)[..., None], self.compute_dtype)
        return tf.reshape(raw, [-1, *raw.shape[2:]])


class VATTEncoder(keras.layers.Layer):
    """VATT's encoder of one modality: patches, positions, DropToken, Transformer, pooled feature.

    Each modality has an instance, and so a Transformer, of its own: the methods compared here treat encoders that only
    one modality uses.

    Args:
      modality: "audio" or "video".
      clips: Shape of a clip.
      preset: A name in `vatt.PRESETS` that has the modality.
      layers: Encoder blocks, if not the preset's; likewise the next three.
      width: Size of a token.
      heads: Attention heads.
      feed_forward: Size of the feed-forward hidden layer.
      feature_dim: Size of the features.
      video_patch: Frames, rows and columns of a patch; one frame by default, as classifiers see only a few.
      waveform_patch: Samples of a patch.
      drop_token_rate: Share of the tokens that training drops.
      dropout: Rate of every dropout.
    """

    def __init__(
        self,
        modality: str,
        clips: ClipSpec,
        preset: str = "ut_medium",
        layers: int | None = None,
        width: int | None = None,
        heads: int | None = None,
        feed_forward: int | None = None,
        feature_dim: int = 512,
        video_patch: tuple[int, int, int] = (1, 16, 16),
        waveform_patch: int = 128,
        drop_token_rate: float = 0.5,
        dropout: float = 0.1,
    ):
        super().__init__(name=f"{modality}_encoder")
        self.modality = modality
        self.model = vatt.VATT(
            preset, modalities=(modality,), frames=clips.frames, image_size=clips.image_size,
            waveform_samples=clips.waveform_samples, sample_rate_hz=clips.sample_rate_hz, layers=layers, width=width,
            heads=heads, feed_forward=feed_forward, feature_dim=feature_dim, video_patch=video_patch,
            waveform_patch=waveform_patch, drop_token_rate=drop_token_rate, dropout=dropout,
        )  # fmt: skip

    def call(self, raw: tf.Tensor, training: bool = False, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the pooled features [batch, feature_dim].

        Args:
          raw: Frames [batch, frames, height, width, 3] or a waveform [batch, samples], in [-1, 1].
          training: Drop tokens and units.
          seed: int32 [2]; training draws what it drops by it.
        """
        return self.model.encode(self.modality, raw, seed if training else None)
