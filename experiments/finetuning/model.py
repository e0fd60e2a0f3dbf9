"""A pre-trained model of one modality with a linear classifier."""

import math

import tensorflow as tf

import vatt
from experiments.finetuning.config import Finetune
from vatt import randomness
from vatt.keras import keras

_BACKBONE, _CLASSIFIER = 0, 1  # what a draw is for
# As in the published code.
_KERNEL_INITIALIZERS = {"video": "glorot_normal", "audio": "glorot_uniform"}


class ClipClassifier:
    """Pooled features -> dropout -> linear classifier (VATT, A.2.5 and A.3).

    Args:
      backbone: The model; its variables exist.
      modality: Which of its modalities is read.
      classes: Number of classes.
      multi_label: Whether a clip may have several; then every class starts out as improbable as 1 in `classes`.
      dropout: Rate before the classifier.
      frozen: Take the backbone's features as in inference, and train the classifier alone.
    """

    def __init__(
        self, backbone: vatt.VATT, modality: str, classes: int, *, multi_label: bool, dropout: float, frozen: bool
    ):
        self.backbone, self.modality, self.dropout, self.frozen = backbone, modality, dropout, frozen
        bias = -math.log(max(classes - 1, 1)) if multi_label else 0.0
        self.classifier = keras.layers.Dense(
            classes,
            kernel_initializer=_KERNEL_INITIALIZERS[modality],
            bias_initializer=keras.initializers.Constant(bias),
            dtype=tf.float32,
            name="classifier",
        )
        self.classifier.build([None, backbone.feature_dims[modality]])

    def __call__(self, raw: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns logits, float32 [batch, classes].

        Args:
          raw: Frames [batch, frames, height, width, 3] or a waveform [batch, samples], in [-1, 1].
          seed: int32 or int64 [2] in training, which draws DropToken and dropout by it; `None` in inference.
        """
        inside = None if seed is None or self.frozen else tf.random.fold_in(seed, _BACKBONE, alg="philox")
        features = tf.cast(self.backbone.encode(self.modality, raw, inside), tf.float32)
        if seed is not None and self.dropout:
            [key] = randomness.keys(tf.random.fold_in(seed, _CLASSIFIER, alg="philox"), 1)
            features = randomness.dropout(features, self.dropout, key)
        return self.classifier(features)

    def parts(self) -> dict[str, list[tf.Variable]]:
        """Returns the variables to train, by part: "backbone", unless it is frozen, and "classifier"."""
        backbone = {} if self.frozen else {"backbone": self.backbone.trainable_variables}
        return {**backbone, "classifier": self.classifier.trainable_variables}


def build_backbone(config: Finetune, checkpoint: str | None) -> vatt.VATT:
    """Loads the run's modality of a checkpoint, or builds it from scratch.

    Args:
      config: The run.
      checkpoint: What `vatt.load` takes; `None` for new weights.

    Raises:
      ValueError: There is no such model, or it does not fit the clips.
    """
    own = dict(modalities=(config.modality,), drop_token_rate=config.drop_token_rate, dropout=config.dropout)
    clips = config.clips
    if checkpoint is not None:
        backbone = vatt.load(checkpoint, precision=config.precision, **own)
        _check_rate(backbone, config)
        return backbone
    backbone = config.model(
        frames=clips.frames, image_size=clips.image_size, waveform_samples=clips.waveform_samples,
        sample_rate_hz=clips.sample_rate_hz, **own,
    )  # fmt: skip
    backbone.create_variables()
    return backbone


def _check_rate(backbone, config):
    """A spectrogram's position tables depend on the rate, so it cannot be changed; a waveform's do not."""
    rate = backbone.get_config()["sample_rate_hz"]
    if config.modality == "audio" and backbone.kinds["audio"] == "spt" and rate != config.clips.sample_rate_hz:
        raise ValueError(
            f"`ClipSpec.sample_rate_hz` should be {rate}, the rate that the checkpoint was trained with. Found "
            f"{config.clips.sample_rate_hz}."
        )
