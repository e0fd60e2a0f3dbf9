"""The Gram matrix taken apart into lengths and angles, and weights put together again.

The entries of a Gram matrix span 1e-38 ... 1e38; cosines do not. So the methods solve for the
coefficients of the unit gradients and divide by the norms at the very end. All in float64: the
matrices are tiny, and float32's rounding in the Gram matrix is noise enough.
"""

import tensorflow as tf

from harmonization.harmonizer import gradient_norms

RESOLUTION = 2.0**-22
"""Error to expect in a cosine that was computed from float32 inner products: two roundings."""


EIGENVECTOR_ERROR = 1e-5
"""Error to expect in an eigenvector under XLA (6e-6 seen on a CPU); TensorFlow's own is far smaller."""


def normalized(gram: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Norms of the gradients and cosines between them.

    Args:
      gram: [objectives, objectives] float32, finite, symmetric.

    Returns:
      [objectives] and [objectives, objectives] float64. A zero gradient has norm 0 and cosines 0,
      with itself, too; else the diagonal is 1.
    """
    gram = tf.cast(gram, tf.float64)
    norms = gradient_norms(gram)
    inverse = tf.math.divide_no_nan(tf.ones_like(norms), norms)
    return norms, tf.clip_by_value(inverse[:, None] * gram * inverse[None, :], -1.0, 1.0)


def resolution(objectives: int) -> float:
    """Eigenvalues of the matrix of cosines up to this one cannot be told from zero."""
    return objectives * RESOLUTION


def added_up(rows: tf.Tensor, norms: tf.Tensor) -> tf.Tensor:
    """Weights of the sum of vectors v_i that replace the gradients g_i.

    Args:
      rows: [objectives, objectives] float64. v_i / |g_i| is the sum over k of rows[i, k] u_k, where
        u_k is the unit gradient g_k / |g_k|. Rows and columns of zero gradients are zero off the
        diagonal.
      norms: [objectives] float64, |g_i|.

    Returns:
      [objectives] float64. A zero gradient keeps its diagonal entry.
    """
    ratios = tf.math.divide_no_nan(norms[:, None], norms[None, :])
    return tf.reduce_sum(rows * tf.linalg.set_diag(ratios, tf.ones_like(norms)), axis=0)


def to_float32(weights: tf.Tensor) -> tf.Tensor:
    """Float64 weights in float32; those beyond its range become its largest number."""
    return tf.cast(tf.clip_by_value(weights, tf.float32.min, tf.float32.max), tf.float32)


def check_reduction(reduction: str) -> None:
    """Raises a ValueError unless the reduction is "sum" or "mean"."""
    if reduction not in ("sum", "mean"):
        raise ValueError(f'`reduction` should be "sum" or "mean". Found {reduction!r}.')
