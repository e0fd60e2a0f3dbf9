"""Projection from pooled features to the spaces in which the losses compare modalities."""

import tensorflow as tf

from vatt.keras import keras


def _batch_norm() -> keras.layers.Layer:
    # Statistics over the global batch: with per-replica ones the result would depend on the number of replicas.
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=True)


def _normalize(
    norm: keras.layers.Layer | None, values: tf.Tensor, training: bool, constant_statistics: bool
) -> tf.Tensor:
    """Applies a batch norm, if there is one; see `FineAndCoarseHead.call`."""
    if norm is None:
        return values
    if not constant_statistics:
        return norm(values, training=training)
    wide = tf.cast(values, tf.float32)  # as the norm itself computes
    mean = _global_mean(tf.stop_gradient(wide))
    variance = _global_mean(tf.square(tf.stop_gradient(wide) - mean))
    normal = tf.nn.batch_normalization(wide, mean, variance, norm.beta, norm.gamma, norm.epsilon)
    return tf.cast(normal, values.dtype)


def _global_mean(values: tf.Tensor) -> tf.Tensor:
    """Mean over the clips of all replicas, which have equally many; keeps the last axis."""
    mean = tf.reduce_mean(values, axis=list(range(values.shape.rank - 1)))
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, mean)


def as_float32(space: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns embeddings or features by modality as float32, as losses and users get them."""
    return {name: tf.cast(value, tf.float32) for name, value in space.items()}


class FineAndCoarseHead(keras.layers.Layer):
    """A fine video-audio space and, reached from the video's place in it, a coarse video-text space (VATT, section 3.3).

    By default as in the published code, whose results are the published ones: Dense-BN-ReLU-Dense-BN for video, a ReLU
    before the step from the fine to the coarse space, and no BN behind the linear maps of audio and text.

    Args:
      video_audio_dim: Size of the fine space.
      video_text_dim: Size of the coarse space.
      as_in_paper: BN behind the linear maps of audio and text, and no ReLU before the step from fine to coarse, as the
        paper draws it.
    """

    def __init__(self, video_audio_dim: int = 512, video_text_dim: int = 256, as_in_paper: bool = False, **kwargs):
        super().__init__(**kwargs)
        dense, self.as_in_paper = keras.layers.Dense, as_in_paper
        self.video_hidden = dense(video_audio_dim, use_bias=False)
        self.video_hidden_norm = _batch_norm()
        self.video_to_audio = dense(video_audio_dim, use_bias=False)
        self.video_to_audio_norm = _batch_norm()
        self.video_to_text = dense(video_text_dim, use_bias=False)
        self.video_to_text_norm = _batch_norm()
        self.audio_to_video = dense(video_audio_dim, use_bias=not as_in_paper)
        self.text_to_video = dense(video_text_dim, use_bias=not as_in_paper)
        self.audio_norm, self.text_norm = (_batch_norm() if as_in_paper else None for _ in range(2))

    def parts(self) -> dict[str, list[keras.layers.Layer]]:
        """Returns the head's maps by name, each with the norm behind it."""
        parts = {
            "video_hidden": [self.video_hidden, self.video_hidden_norm],
            "video_to_audio": [self.video_to_audio, self.video_to_audio_norm],
            "video_to_text": [self.video_to_text, self.video_to_text_norm],
            "audio_to_video": [self.audio_to_video, self.audio_norm],
            "text_to_video": [self.text_to_video, self.text_norm],
        }
        return {name: [layer for layer in layers if layer is not None] for name, layers in parts.items()}

    def call(self, features: dict[str, tf.Tensor], training: bool = False, constant_statistics: bool = False) -> dict:
        """Projects the pooled features of whichever modalities are given.

        Args:
          features: Any of `video` and `audio` [batch, feature_dim], `text` [batch, candidates, feature_dim].
          training: Normalize by the batch's statistics and update the moving ones.
          constant_statistics: Normalize by the batch's statistics as well, but take them for constants in gradients and
            leave the moving ones alone. So a clip's embeddings depend on its own features only; see `vatt.own_gradients`.

        Returns:
          `{"video_audio": {...}, "video_text": {...}}` with float32 embeddings, not l2-normalized, under the
          modality's name: `[batch, video_audio_dim]`, `[batch, video_text_dim]`, and text `[batch, candidates,
          video_text_dim]`.
        """
        fine, coarse, mode = {}, {}, (training, constant_statistics)
        if "video" in features:
            fine["video"], coarse["video"] = self._project_video(features["video"], mode)
        if "audio" in features:
            fine["audio"] = _normalize(self.audio_norm, self.audio_to_video(features["audio"]), *mode)
        if "text" in features:
            coarse["text"] = _normalize(self.text_norm, self.text_to_video(features["text"]), *mode)
        return {"video_audio": as_float32(fine), "video_text": as_float32(coarse)}

    def audio_near_text(self, audio: tf.Tensor) -> tf.Tensor:
        """Takes audio from the fine space to the coarse one, by the video's map, in inference.

        So audio and text can be compared, as in the head's model, MMV (arXiv 2006.16228); no loss compares them.

        Args:
          audio: Its embeddings in the video-audio space, `[batch, video_audio_dim]`.

        Returns:
          float32 [batch, video_text_dim], not l2-normalized.
        """
        return tf.cast(self._to_coarse(audio, (False, False)), tf.float32)

    def _project_video(self, features, mode):
        hidden = _normalize(self.video_hidden_norm, self.video_hidden(features), *mode)
        fine = _normalize(self.video_to_audio_norm, self.video_to_audio(tf.nn.relu(hidden)), *mode)
        return fine, self._to_coarse(fine, mode)

    def _to_coarse(self, fine, mode):
        coarse = self.video_to_text(fine if self.as_in_paper else tf.nn.relu(fine))
        return _normalize(self.video_to_text_norm, coarse, *mode)


class JointHead(keras.layers.Layer):
    """One space for all three modalities: ReLU -> Dense -> BN each (the published code's `mlp_joint`).

    Args:
      dim: Size of the space.
      modalities: Those that the model has.
    """

    def __init__(self, dim: int = 512, modalities: tuple[str, ...] = ("video", "audio", "text"), **kwargs):
        super().__init__(**kwargs)
        self.maps = {name: keras.layers.Dense(dim, use_bias=False, name=f"{name}_to_joint") for name in modalities}
        self.norms = {name: _batch_norm() for name in modalities}

    def parts(self) -> dict[str, list[keras.layers.Layer]]:
        """Returns the head's maps by name, each with the norm behind it."""
        return {f"{name}_to_joint": [layer, self.norms[name]] for name, layer in self.maps.items()}

    def call(self, features: dict[str, tf.Tensor], training: bool = False, constant_statistics: bool = False) -> dict:
        """Projects the pooled features of whichever modalities are given; see `FineAndCoarseHead.call`.

        Returns:
          `{"video_audio": {...}, "video_text": {...}}` of float32 embeddings, where the video's are the same.
        """
        mode = (training, constant_statistics)
        joint = as_float32(
            {
                name: _normalize(self.norms[name], self.maps[name](tf.nn.relu(values)), *mode)
                for name, values in features.items()
            }
        )
        pairs = {"video_audio": ("video", "audio"), "video_text": ("video", "text")}
        return {space: {name: joint[name] for name in pair if name in joint} for space, pair in pairs.items()}

    def audio_near_text(self, audio: tf.Tensor) -> tf.Tensor:
        """Returns `audio` as it is: the space is the same. No loss compares audio with text."""
        return audio
