"""DropToken: train on a random share of a clip's tokens (VATT, section 3.2)."""

import tensorflow as tf

from vatt import randomness


def kept_tokens(tokens: int, drop_token_rate: float) -> int:
    """How many of `tokens` stay, at least one; VATT rounds down."""
    return max(1, int(tokens * (1.0 - drop_token_rate) + 1e-6))


def choose_tokens(batch: int | tf.Tensor, tokens: int, kept: int, key: randomness.Key, shared: bool) -> tf.Tensor:
    """Draws which tokens stay, uniformly and without replacement.

    Args:
      batch: Clips in the batch.
      tokens: Tokens of a clip.
      kept: How many of them stay.
      key: Of the draw.
      shared: One subset for the whole batch, as in the published code, instead of one per clip, as the paper describes.

    Returns:
      int32 [batch, kept], positions in ascending order.
    """
    bits = randomness.shared_bits([1, tokens], key) if shared else randomness.clip_bits([batch, tokens], key)
    draws = tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32)  # which holds 24 bits
    chosen = tf.sort(tf.math.top_k(draws, kept).indices, axis=1)
    return tf.broadcast_to(chosen, [batch, kept])
