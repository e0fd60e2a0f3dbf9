"""Scaled dot-product attention with a backward pass of its own, which keeps one matrix of scores per block and reads it less often."""

import tensorflow as tf

from vatt import randomness


def dot_product_attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    mask: tf.Tensor | None = None,
    score_bias: tf.Tensor | None = None,
    rate: float = 0.0,
    weights_key: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns the values, averaged with the softmax of the scores after dropout on its weights.

    The same function as a softmax, a dropout and a matrix product, which TPUs compute in less time and memory, since they
    are short of both where a matrix of all pairs of tokens is written and read:

    - The exponentials of the scores stay without their sum, by which the result is divided.
    - The backward pass keeps only the exponentials; the sign of each says whether it was dropped out.
    - The sum that the derivative of a softmax contains is that of the result times its gradient (FlashAttention, arXiv
      2205.14135, appendix B.4): [tokens, head_dim] numbers in place of [tokens, tokens].
    - The queries run fastest, so that all sums run over the slower axis.

    Args:
      query: `[batch, heads, queries, head_dim]`, scaled.
      key: `[batch, heads, tokens, head_dim]`.
      value: Likewise.
      mask: bool [batch, tokens], True where a token may be attended to.
      score_bias: `[1, heads, queries, tokens]`, added to the scores.
      rate: Of the dropout.
      weights_key: uint64 [1], of the dropout, or `None`.

    Returns:
      `[batch, heads, queries, head_dim]`. The softmax is computed in float32, whatever the dtype.
    """
    dropped_out = weights_key is not None and rate > 0.0
    scale = randomness.kept_scale(rate) if dropped_out else 1.0

    # A profile is to show the backward pass below the block that it belongs to.
    scope = f"gradient_tape/{tf.get_current_name_scope()}/"

    @tf.custom_gradient
    def attend(query, key, value, *biases):
        exponentials, total = _exponentials(_scores(query, key, mask, biases))
        if dropped_out:
            exponentials = randomness.dropout(exponentials, rate, weights_key, negate=True)
        exponentials = tf.cast(exponentials, value.dtype)
        kept = tf.nn.relu(exponentials) if dropped_out else exponentials
        mixed = _divided(tf.matmul(kept, value, transpose_a=True), total)

        def backward(gradient):
            with tf.name_scope(scope):
                return _backward(query, key, value, biases, exponentials, kept, total, mixed, gradient, scale)

        return mixed, backward

    return attend(query, key, value, *([] if score_bias is None else [score_bias]))


def _scores(query, key, mask, biases):
    """Returns float32 `[batch, heads, tokens, queries]`."""
    scores = tf.cast(tf.matmul(key, query, transpose_b=True), tf.float32)
    for bias in biases:
        scores += tf.cast(tf.linalg.matrix_transpose(bias), tf.float32)
    if mask is not None:
        scores += tf.where(mask, 0.0, -1e9)[:, tf.newaxis, :, tf.newaxis]
    return scores


def _exponentials(scores):
    """Returns the exponentials, none above 1, and their sums `[batch, heads, queries, 1]`."""
    exponentials = tf.exp(scores - tf.reduce_max(scores, axis=-2, keepdims=True))
    return exponentials, tf.reduce_sum(exponentials, axis=-2)[..., tf.newaxis]


def _divided(values, total):
    return tf.cast(tf.cast(values, tf.float32) / total, values.dtype)


def _backward(query, key, value, biases, exponentials, kept, total, mixed, gradient, scale):
    """Returns the gradients of the inputs.

    With E the exponentials, S their sums, K the kept ones, which are E or 0, times `scale`, and G the gradient: those of
    the scores are K (value G' / S) - E (sum of mixed * G) / S.
    """
    of_products = _divided(gradient, total)
    shared = tf.reduce_sum(tf.cast(gradient, tf.float32) * tf.cast(mixed, tf.float32), axis=-1, keepdims=True) / total
    shared = tf.linalg.matrix_transpose(shared)
    of_weights = tf.cast(tf.matmul(value, of_products, transpose_b=True), tf.float32)
    signed = tf.cast(exponentials, tf.float32)
    if scale == 1.0:
        of_scores = signed * (of_weights - shared)
    else:  # K (value G' / S - shared / scale) where K is not 0, and -E shared elsewhere, without asking for either
        of_scores = tf.nn.relu(signed) * (of_weights - (1.0 + 1.0 / scale) * shared) + signed * shared
    of_biases = [
        tf.cast(tf.linalg.matrix_transpose(tf.reduce_sum(of_scores, axis=0, keepdims=True)), bias.dtype)
        for bias in biases
    ]
    of_scores = tf.cast(of_scores, query.dtype)
    of_query = tf.matmul(of_scores, key, transpose_a=True)
    return of_query, tf.matmul(of_scores, query), tf.matmul(kept, of_products), *of_biases
