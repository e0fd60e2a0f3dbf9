"""Algorithms 1 and 2 of Wu et al. (2022), literally: flatten, compare, project, reshape.

For reading, and for the tests to hold the fast path against. It copies every gradient and serves
two objectives only; `harmonize` does the same without the copies.
"""

from collections.abc import Sequence

import tensorflow as tf

Gradients = Sequence[tf.Tensor]


def realign(video_audio: Gradients, video_text: Gradients) -> list[tf.Tensor]:
    """Algorithm 1, gradient realignment, with the vector factor that the poster's print lacks.

    Args:
      video_audio: Gradients of the video-audio loss over the variables, float32.
      video_text: Gradients of the video-text loss over the same variables.

    Returns:
      The update over the variables.
    """
    g_va, g_vt = flatten(video_audio), flatten(video_text)
    realigned_va, realigned_vt = g_va, g_vt
    dot = tf.reduce_sum(g_va * g_vt)
    if dot < 0:
        realigned_va = g_va - dot / tf.reduce_sum(g_vt**2) * g_vt
        realigned_vt = g_vt - dot / tf.reduce_sum(g_va**2) * g_va
    return unflatten(realigned_vt + realigned_va, like=video_audio)


def select(
    video_audio: Gradients, video_text: Gradients, gamma: float, indicator: str = "cosine"
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Algorithm 2, gradient-based curriculum learning, at one value of gamma.

    Args:
      video_audio: Gradients of the video-audio loss over the variables, float32.
      video_text: Gradients of the video-text loss over the same variables.
      gamma: The threshold at this step.
      indicator: "cosine" (the text of the source) or "dot" (its pseudo-code).

    Returns:
      The update over the variables, zero if the step is skipped, and whether it is taken, [] bool.
    """
    g_va, g_vt = flatten(video_audio), flatten(video_text)
    keep = indicate(g_va, g_vt, indicator) > gamma
    # Our choice: a loss without gradient cannot disagree.
    keep = keep | (tf.norm(g_va) == 0) | (tf.norm(g_vt) == 0)
    update = tf.where(keep, g_va + g_vt, tf.zeros_like(g_va))
    return unflatten(update, like=video_audio), keep


def select_and_realign(
    video_audio: Gradients, video_text: Gradients, gamma: float, indicator: str = "cosine"
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Both: Algorithm 2 decides whether the step is taken, Algorithm 1 what it is. See `select`."""
    _, keep = select(video_audio, video_text, gamma, indicator)
    realigned = realign(video_audio, video_text)
    return [tf.where(keep, tensor, tf.zeros_like(tensor)) for tensor in realigned], keep


def indicate(g_va: tf.Tensor, g_vt: tf.Tensor, indicator: str) -> tf.Tensor:
    """Agreement of two flat gradients, [] float32: cosine (zero if one is zero) or dot product."""
    dot = tf.reduce_sum(g_va * g_vt)
    if indicator == "dot":
        return dot
    return tf.math.divide_no_nan(dot, tf.norm(g_va) * tf.norm(g_vt))


def flatten(gradients: Gradients) -> tf.Tensor:
    """All gradients in one vector, [parameters]."""
    return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)


def unflatten(vector: tf.Tensor, like: Gradients) -> list[tf.Tensor]:
    """Cuts a vector, [parameters], into the shapes of `like`."""
    parts = tf.split(vector, [gradient.shape.num_elements() for gradient in like])
    return [tf.reshape(part, gradient.shape) for part, gradient in zip(parts, like, strict=True)]
