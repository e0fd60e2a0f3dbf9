"""Scaled dot-product attention; with dropout, it has a backward pass of its own."""

import tensorflow as tf

from vatt import randomness
from vatt.layers.custom_gradient import custom_gradient
from vatt.tracing import is_for_tpu

# With its exponential, a sum of thousands of them and a gradient over that sum stay within float32.
_LARGEST_SCORE = 40.0


def dot_product_attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    mask: tf.Tensor | None = None,
    score_bias: tf.Tensor | None = None,
    rate: float = 0.0,
    weights_key: randomness.Key | None = None,
) -> tf.Tensor:
    """Returns the values, averaged with the softmax of the scores after dropout on its weights.

    Without dropout it is a plain softmax, differentiated by TensorFlow, which is quicker on CPUs.

    Args:
      query: `[batch, heads, queries, head_dim]`, scaled.
      key: `[batch, heads, tokens, head_dim]`.
      value: Likewise.
      mask: bool [batch, tokens], True where a token may be attended to.
      score_bias: `[1, heads, queries, tokens]`, added to the scores.
      rate: Of the dropout.
      weights_key: Of the dropout, or `None`.

    Returns:
      `[batch, heads, queries, head_dim]`. The softmax is computed in float32, whatever the dtype.
    """
    mask_bias = None if mask is None else tf.where(mask, 0.0, -1e9)[:, tf.newaxis, tf.newaxis, :]
    if weights_key is None or rate == 0.0:
        weights = tf.nn.softmax(_scores(query, key, score_bias, mask_bias))
        return tf.matmul(tf.cast(weights, value.dtype), value)
    return _with_dropout(query, key, value, mask_bias, score_bias, rate, weights_key)


def _scores(rows, columns, *biases):
    scores = tf.cast(tf.matmul(rows, columns, transpose_b=True), tf.float32)
    for bias in biases:
        if bias is not None:
            scores += tf.cast(bias, tf.float32)
    return scores


def _with_dropout(query, key, value, mask_bias, score_bias, rate, weights_key):
    """Computes a softmax, a dropout and a matrix product in less time and memory on TPUs.

    What costs them both is writing and reading matrices of all pairs of tokens. So:

    - The result is divided by the sum of the exponentials, rather than each of them.
    - Of these matrices, the backward pass keeps only halves of the exponentials. The sign of each says whether it was dropped.
    - The sum in the derivative of a softmax is that of the result times its gradient (FlashAttention, arXiv 2205.14135,
      appendix B.4): it reads `[queries, head_dim]` numbers rather than `[queries, tokens]`.
    - Queries are on the last axis, so that sums run over the last but one, which TPUs do faster.
    """

    @custom_gradient
    def attend(query, key, value, *biases):
        turned = [None if bias is None else tf.linalg.matrix_transpose(bias) for bias in (*biases, mask_bias)]
        exponentials = tf.exp(_scores(key, query, *turned) - _shift(query, key, turned))
        total = tf.reduce_sum(exponentials, axis=-2)[..., tf.newaxis]
        kept = randomness.kept(exponentials, rate, weights_key)
        signed = tf.cast(exponentials * (tf.cast(kept, tf.float32) - 0.5), value.dtype)
        total *= 0.5 * (1.0 - rate)
        mixed = _divided(tf.matmul(tf.nn.relu(signed), value, transpose_a=True), total)
        return mixed, lambda gradient: _backward(query, key, value, biases, signed, total, mixed, gradient, rate)

    return attend(query, key, value, *([] if score_bias is None else [score_bias]))


def _shift(query, key, turned):
    """Returns what a query's scores are less by in the exponentials: float32 `[batch, heads, 1, queries]`.

    It changes no result. The maximum of the scores costs a TPU as much as the exponentials: all scores have to be written before
    the first of them is taken, and read again. None is larger than the longest query times the longest key. So as long as
    that is small, the exponentials are taken as they are.
    """
    exact = lambda: tf.reduce_max(_scores(key, query, *turned), axis=-2, keepdims=True)  # noqa: E731
    if query.dtype == tf.float16 or any(bias is not None for bias in turned):
        return exact()
    none = lambda: tf.zeros_like(query[:, :, tf.newaxis, :, 0], tf.float32)  # noqa: E731
    # `compile_for_tpu` knows the name, and leaves the exact maximum out of its estimate.
    return tf.cond(_longest(query) * _longest(key) <= _LARGEST_SCORE, none, exact, name="seldom")


def _longest(rows):
    return tf.sqrt(tf.reduce_max(tf.reduce_sum(tf.square(tf.cast(rows, tf.float32)), axis=-1)))


def _divided(values, total):
    return tf.cast(tf.cast(values, tf.float32) / total, values.dtype)


def _backward(query, key, value, biases, signed, total, mixed, gradient, rate):
    """Returns the gradients of the inputs.

    The gradient of the scores is K (value G' / S) - E (sum of mixed * G / S). E: the exponentials, S: their sums, G: the
    gradient of `mixed`, K: what the dropout makes of E, 0 or E / (1 - rate). `signed` is E / 2, or -E / 2 where K is 0, and
    `total` is S (1 - rate) / 2.

    A TPU makes it in both products that read it, rather than write and read it (1.9 of 10 ms for a block of the paper's video):
    where the query's gradient is divided by S after its product, no two products are equal, and none is kept for the other.
    """
    of_products = _divided(gradient, total)
    of_scores = _of_scores(value, signed, mixed, of_products, rate)
    of_biases = [
        tf.cast(tf.linalg.matrix_transpose(tf.reduce_sum(of_scores, axis=0, keepdims=True)), bias.dtype)
        for bias in biases
    ]
    of_scores = tf.cast(of_scores, query.dtype)
    if is_for_tpu():
        of_undivided = tf.cast(_of_scores(value, signed, mixed, gradient, rate), query.dtype)
        of_query = _divided(tf.matmul(of_undivided, key, transpose_a=True), total)
    else:
        of_query = tf.matmul(of_scores, key, transpose_a=True)
    of_value = tf.matmul(tf.nn.relu(signed), of_products)
    return of_query, tf.matmul(of_scores, query), of_value, *of_biases


def _of_scores(value, signed, mixed, of_mixed, rate):
    shared = tf.reduce_sum(tf.cast(of_mixed, tf.float32) * tf.cast(mixed, tf.float32), axis=-1)[..., tf.newaxis, :]
    of_weights = tf.cast(tf.matmul(value, of_mixed, transpose_b=True), tf.float32)
    kept, exponentials = tf.cast(tf.nn.relu(signed), tf.float32), tf.cast(tf.abs(signed), tf.float32)
    return kept * of_weights - exponentials * ((1.0 - rate) * shared)
