"""Projection from pooled features to the spaces in which the losses compare modalities."""

import tensorflow as tf

from vatt.keras import keras


def _batch_norm() -> keras.layers.Layer:
    # Statistics over the global batch: with per-replica ones the result would depend on the number of replicas.
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=True)


class FineAndCoarseHead(keras.layers.Layer):
    """A fine video-audio space and, reached from the video's place in it, a coarse video-text space (VATT, section 3.3).

    As in the published code: Dense-BN-ReLU-Dense-BN for video, a ReLU before the step from the fine to the coarse
    space, and no BN behind the linear maps of audio and text. The paper draws BN there and no ReLU.

    Args:
      video_audio_dim: Size of the fine space.
      video_text_dim: Size of the coarse space.
    """

    def __init__(self, video_audio_dim: int = 512, video_text_dim: int = 256, **kwargs):
        super().__init__(**kwargs)
        dense = keras.layers.Dense
        self.video_hidden = dense(video_audio_dim, use_bias=False)
        self.video_hidden_norm = _batch_norm()
        self.video_to_audio = dense(video_audio_dim, use_bias=False)
        self.video_to_audio_norm = _batch_norm()
        self.video_to_text = dense(video_text_dim, use_bias=False)
        self.video_to_text_norm = _batch_norm()
        self.audio_to_video = dense(video_audio_dim)
        self.text_to_video = dense(video_text_dim)

    def call(self, features: dict[str, tf.Tensor], training: bool = False) -> dict:
        """Projects the pooled features of whichever modalities are given.

        Args:
          features: Any of `video` and `audio` [batch, feature_dim], `text` [batch, candidates, feature_dim].
          training: Normalize by the batch's statistics and update the moving ones.

        Returns:
          `{"video_audio": {...}, "video_text": {...}}` with float32 embeddings, not l2-normalized, under the
          modality's name: `[batch, video_audio_dim]`, `[batch, video_text_dim]`, and text `[batch, candidates,
          video_text_dim]`.
        """
        fine, coarse = {}, {}
        if "video" in features:
            fine["video"], coarse["video"] = self._project_video(features["video"], training)
        if "audio" in features:
            fine["audio"] = self.audio_to_video(features["audio"])
        if "text" in features:
            coarse["text"] = self.text_to_video(features["text"])
        to_float32 = lambda space: {name: tf.cast(value, tf.float32) for name, value in space.items()}  # noqa: E731
        return {"video_audio": to_float32(fine), "video_text": to_float32(coarse)}

    def _project_video(self, features, training):
        hidden = self.video_hidden_norm(self.video_hidden(features), training=training)
        fine = self.video_to_audio(tf.nn.relu(hidden))
        fine = self.video_to_audio_norm(fine, training=training)
        coarse = self.video_to_text(tf.nn.relu(fine))
        return fine, self.video_to_text_norm(coarse, training=training)
