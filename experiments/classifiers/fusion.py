"""How the features of two modalities become logits, together, or with one of the two removed.

Sources: what is removed, and how, is DGL's (ICCV 2025, fusion modules); its code detaches the features where we ask
only for the gradients that are wanted.
"""

from collections.abc import Mapping

import tensorflow as tf

from vatt.keras import keras

Features = Mapping[str, tf.Tensor]
"""Features [batch, size] under "audio" and "video"."""


class Fusion(keras.layers.Layer):
    """Base class: a last linear layer on something that a subclass makes of the features.

    Args:
      classes: Number of classes.
    """

    def __init__(self, classes: int):
        super().__init__(name="fusion")
        self.output_layer = keras.layers.Dense(classes, name="logits")

    def modality_layers(self, modality: str) -> list[keras.layers.Layer]:
        """Returns the layers that see one modality alone and are trained with its encoder."""
        return []

    def call(self, features: Features, alone: str | None = None, bias_share: float = 1.0) -> tf.Tensor:
        """Returns logits [batch, classes].

        Args:
          features: Of both modalities, even where one is removed: its shape is needed.
          alone: The modality whose features count; the other is removed. `None` for both.
          bias_share: Factor on the output's bias: DGL leaves it whole, OGM-GE gives each modality a half.
        """
        fused = self.joined(features) if alone is None else self.removed(features, alone)
        return self.output_layer(fused) - (1.0 - bias_share) * tf.cast(self.output_layer.bias, fused.dtype)

    def joined(self, features: Features) -> tf.Tensor:
        """Returns what the last layer sees of both modalities."""
        raise NotImplementedError

    def removed(self, features: Features, alone: str) -> tf.Tensor:
        """Returns what the last layer sees when only one modality counts."""
        raise NotImplementedError


class Concatenation(Fusion):
    """W [z_audio; z_video] + b; the removed modality's features are zeros."""

    def joined(self, features: Features) -> tf.Tensor:
        """See `Fusion.joined`."""
        return tf.concat([features["audio"], features["video"]], axis=-1)

    def removed(self, features: Features, alone: str) -> tf.Tensor:
        """See `Fusion.removed`."""
        return self.joined({name: value if name == alone else tf.zeros_like(value) for name, value in features.items()})


class Summation(Fusion):
    """W_audio z_audio + b_audio + W_video z_video + b_video; removing a modality leaves the other's linear layer."""

    def __init__(self, classes: int):
        super().__init__(classes)
        self.linear = {name: keras.layers.Dense(classes, name=f"{name}_logits") for name in ("audio", "video")}
        del self.output_layer

    def call(self, features: Features, alone: str | None = None, bias_share: float = 1.0) -> tf.Tensor:
        """See `Fusion.call`; each modality has a bias of its own, which is never shared out."""
        logits = {name: layer(features[name]) for name, layer in self.linear.items()}
        return logits[alone] if alone else logits["audio"] + logits["video"]


class Gated(Fusion):
    """W (sigmoid(u_audio) * u_video) + b with u_m = W_m z_m + b_m; a modality alone gates itself.

    DGL's code never trains the maps to u_m: one loss is cut off behind them, the other's gradient discarded with the
    fusion's. Here they belong to their modality's encoder.

    Args:
      classes: Number of classes.
      units: Size of u_m.
    """

    def __init__(self, classes: int, units: int = 512):
        super().__init__(classes)
        self.maps = {name: keras.layers.Dense(units, name=f"{name}_map") for name in ("audio", "video")}

    def modality_layers(self, modality: str) -> list[keras.layers.Layer]:
        """See `Fusion.modality_layers`."""
        return [self.maps[modality]]

    def joined(self, features: Features) -> tf.Tensor:
        """See `Fusion.joined`."""
        return tf.sigmoid(self.maps["audio"](features["audio"])) * self.maps["video"](features["video"])

    def removed(self, features: Features, alone: str) -> tf.Tensor:
        """See `Fusion.removed`."""
        mapped = self.maps[alone](features[alone])
        return tf.sigmoid(mapped) * mapped


class Bilinear(Fusion):
    """W (V vec(z_audio z_video^T) + c) + b; a modality alone is paired with itself.

    The two linear layers follow each other without a nonlinearity (our reading). With 512 features V has 134 M numbers.

    Args:
      classes: Number of classes.
      units: Size of the layer between.
    """

    def __init__(self, classes: int, units: int = 512):
        super().__init__(classes)
        self.hidden = keras.layers.Dense(units, name="hidden")

    def joined(self, features: Features) -> tf.Tensor:
        """See `Fusion.joined`."""
        return self._pair(features["audio"], features["video"])

    def removed(self, features: Features, alone: str) -> tf.Tensor:
        """See `Fusion.removed`."""
        return self._pair(features[alone], features[alone])

    def _pair(self, rows, columns):
        products = rows[:, :, None] * columns[:, None, :]
        return self.hidden(tf.reshape(products, [-1, rows.shape[-1] * columns.shape[-1]]))


FUSIONS: dict[str, type[Fusion]] = {
    "concatenation": Concatenation,
    "sum": Summation,
    "gated": Gated,
    "bilinear": Bilinear,
}
