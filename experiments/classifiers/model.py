"""An audio-video classifier: an encoder per modality, a fusion, and what each modality says alone."""

from collections.abc import Mapping

import tensorflow as tf

from experiments.classifiers.encoders import MODALITIES
from experiments.classifiers.fusion import Fusion
from vatt.keras import keras


class Classifier(keras.Model):
    """Classifies clips from both modalities and from each alone.

    A modality's own logits come from a linear head of its own, or from the fusion with the other modality removed.
    Without a fusion, the logits of both are the sum of the heads' log probabilities: two classifiers that were trained
    apart, and vote.

    Args:
      encoders: Under "audio" and "video"; see `EncoderFactory`.
      fusion: Joins the modalities; `None` only with heads.
      heads_classes: Number of classes of the heads; `None` for no heads.
      bias_share: Share of the fusion's bias in a modality's own logits.
    """

    def __init__(
        self,
        encoders: Mapping[str, keras.layers.Layer],
        fusion: Fusion | None,
        heads_classes: int | None = None,
        bias_share: float = 1.0,
    ):
        super().__init__(name="classifier")
        self.encoders, self.fusion, self.bias_share = dict(encoders), fusion, bias_share
        self.heads = {}
        if heads_classes:
            self.heads = {name: keras.layers.Dense(heads_classes, name=f"{name}_head") for name in encoders}

    def call(
        self, clips: dict[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns logits, float32 [batch, classes], under "multimodal", "audio" and "video".

        Args:
          clips: A batch with `video` [batch, frames, height, width, 3] and `waveform` [batch, samples] in [-1, 1].
          training: Whether batch statistics, DropToken and dropout are used; the last two need `seed`.
          seed: int32 [2].
        """
        features = {
            name: encoder(clips[MODALITIES[name]], training=training, seed=seed)
            for name, encoder in self.encoders.items()
        }
        logits = {name: tf.cast(self._alone(name, features), tf.float32) for name in features}
        if self.fusion is None:
            together = tf.add_n([tf.nn.log_softmax(value) for value in logits.values()])
        else:
            together = tf.cast(self.fusion(features), tf.float32)
        return {"multimodal": together, **logits}

    def _alone(self, name, features):
        if self.heads:
            return self.heads[name](features[name])
        return self.fusion(features, alone=name, bias_share=self.bias_share)

    def parts(self) -> dict[str, list[tf.Variable]]:
        """Returns the trainable variables by part: "audio", "video" (encoders), "fusion", "audio_head", "video_head".

        Layers of the fusion that see one modality alone count as its encoder's. Parts without variables are omitted.
        """
        parts = {}
        for name, encoder in self.encoders.items():
            own = self.fusion.modality_layers(name) if self.fusion else []
            parts[name] = [variable for part in (encoder, *own) for variable in part.trainable_variables]
        in_encoders = {id(variable) for variables in parts.values() for variable in variables}
        fused = self.fusion.trainable_variables if self.fusion else []
        parts["fusion"] = [variable for variable in fused if id(variable) not in in_encoders]
        parts |= {f"{name}_head": head.trainable_variables for name, head in self.heads.items()}
        return {name: variables for name, variables in parts.items() if variables}
