"""The update: weighted sums of the objectives' gradients, one variable at a time."""

from collections.abc import Sequence

import tensorflow as tf

from harmonization.gram import widened


def weighted_sum(column: Sequence[tf.Tensor | None], weights: Sequence[tf.Tensor]) -> tf.Tensor | None:
    """Sums the objectives' gradients of one variable.

    Args:
      column: A list over objectives; `None` counts as zero.
      weights: [] float32, one per objective.

    Returns:
      A dense tensor in the gradients' dtype, or `None` if no objective has a gradient.
    """
    present = [objective for objective, gradient in enumerate(column) if gradient is not None]
    if not present:
        return None
    total = _scaled(column[present[0]], weights[present[0]])
    for objective in present[1:]:
        # One after the other: each term has a temporary as large as the variable.
        with tf.control_dependencies([total]):
            total += _scaled(column[objective], weights[objective])
    return tf.cast(total, column[present[0]].dtype)


def _scaled(gradient: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    # NaN times a weight of zero has to be zero. `tf.where` on the sum would cost another pass.
    gradient = widened(gradient)
    return tf.math.multiply_no_nan(gradient, tf.cast(weight, gradient.dtype))
