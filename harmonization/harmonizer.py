"""What every method of gradient harmonization is: a rule from a small matrix to a few numbers."""

from typing import NamedTuple

import tensorflow as tf

SMALLEST_SQUARE = 1.17549435e-38
"""Smallest normal float32. A gradient with a smaller square (norm < 1.1e-19) counts as zero."""


class Decision(NamedTuple):
    """What to do with the gradients of one group of variables.

    The update is `keep * sum_i weights[i] * gradient_i`.

    Attributes:
      weights: [objectives] float32, finite.
      keep: [] bool; False leaves the whole step out.
    """

    weights: tf.Tensor
    keep: tf.Tensor


class Harmonizer(tf.Module):
    """Base class of the methods. A subclass implements `decide`.

    It is a `tf.Module` so that a checkpoint carries the variables of a method that has state; those
    here have none, and their `decide` is a pure function.
    """

    def decide(self, gram: tf.Tensor, step: tf.Tensor | None = None) -> Decision:
        """Weights of the objectives, and whether to take the step at all.

        Args:
          gram: [objectives, objectives] float32, finite, symmetric: the inner products of the
            objectives' gradients in one group of variables. A row of zeros (an objective without
            gradient) must be handled.
          step: [] int64 training step from 0, or `None` for methods that do not need it.
        """
        raise NotImplementedError(f"{type(self).__name__} should implement `decide`.")


def gradient_norms(gram: tf.Tensor) -> tf.Tensor:
    """Euclidean norms of the objectives' gradients; exactly zero below 1.1e-19.

    Args:
      gram: [..., objectives, objectives] float32.

    Returns:
      [..., objectives] float32.
    """
    squares = tf.linalg.diag_part(gram)
    return tf.sqrt(tf.where(squares < SMALLEST_SQUARE, 0.0, squares))


def pairwise_cosines(gram: tf.Tensor) -> tf.Tensor:
    """Cosines between the objectives' gradients, in [-1, 1]; zero where a gradient is zero.

    The value at zero is our choice. Divides by one norm after the other, since their product
    overflows float32 long before the Gram matrix does.

    Args:
      gram: [..., objectives, objectives] float32, finite.

    Returns:
      [..., objectives, objectives] float32, with ones on the diagonal where the gradient is not
      zero.
    """
    norms = gradient_norms(gram)
    by_row = tf.math.divide_no_nan(gram, norms[..., :, None])
    return tf.clip_by_value(tf.math.divide_no_nan(by_row, norms[..., None, :]), -1.0, 1.0)


def defined_pairs(gram: tf.Tensor) -> tf.Tensor:
    """Which pairs of different objectives can be compared: those without a zero gradient.

    Args:
      gram: [objectives, objectives] float32, finite.

    Returns:
      [objectives, objectives] bool, False on the diagonal.
    """
    present = gradient_norms(gram) > 0.0
    different = ~tf.eye(present.shape[0], dtype=tf.bool)
    return different & present[:, None] & present[None, :]


def smallest_over_pairs(values: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
    """The smallest of the selected values, or zero if none is selected.

    Args:
      values: [objectives, objectives] float32.
      pairs: [objectives, objectives] bool.

    Returns:
      [] float32.
    """
    smallest = tf.reduce_min(tf.where(pairs, values, values.dtype.max))
    return tf.where(tf.reduce_any(pairs), smallest, 0.0)
