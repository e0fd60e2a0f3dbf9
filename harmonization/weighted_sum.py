"""Weighted sums of the objectives' gradients, one variable at a time."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from harmonization.gram import widened

_LARGE_NUMBERS = 2**20  # a sum of that many takes milliseconds: compiling it pays


def weighted_sum(column: Sequence[tf.Tensor | None], weights: Sequence[tf.Tensor]) -> tf.Tensor | None:
    """Sums the objectives' gradients of one variable.

    Every operation of a graph on a CPU writes its result to memory: two for each objective. So XLA makes one operation of
    the sum there if the variable is large. It changes nothing in a step that XLA compiles as a whole. Where there are other
    devices, the sum is left to whatever compiles the step.

    Args:
      column: A list over objectives; `None` counts as zero.
      weights: [] float32, one per objective. A gradient whose weight is zero counts as zero, even where it is not finite.

    Returns:
      A dense tensor in the gradients' dtype, or `None` if no objective has a gradient.
    """
    present = [(one, weight) for one, weight in zip(column, weights, strict=True) if one is not None]
    if not present:
        return None
    size = present[0][0].shape.num_elements()
    one_pass = size is not None and size >= _LARGE_NUMBERS and _compiles_on_cpu()
    gradients, scales = zip(*present, strict=True)
    if not one_pass:
        return _added(gradients, scales)
    return _in_one_pass(tuple((one.dtype, *one.shape) for one in gradients))(gradients, scales)


def _added(gradients: Sequence[tf.Tensor], weights: Sequence[tf.Tensor]) -> tf.Tensor:
    total = _scaled(gradients[0], weights[0])
    for gradient, weight in zip(gradients[1:], weights[1:], strict=True):
        # One after the other: each term has a temporary as large as the variable.
        with tf.control_dependencies([total]):
            total += _scaled(gradient, weight)
    return tf.cast(total, gradients[0].dtype)


@functools.cache
def _in_one_pass(_: tuple) -> Callable[..., tf.Tensor]:
    """The compiled sum: one function for all variables of one dtype and shape, so that XLA compiles it once."""
    return tf.function(_added, autograph=False, jit_compile=True)


def _scaled(gradient: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    # NaN times a weight of zero has to be zero. `tf.where` on the sum would cost another pass.
    gradient = widened(gradient)
    return tf.math.multiply_no_nan(gradient, tf.cast(weight, gradient.dtype))


def _compiles_on_cpu() -> bool:
    """Whether CPUs are all there is, and this TensorFlow has XLA for them."""
    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    return kinds == {"CPU"} and not tf.config.functions_run_eagerly() and _has_xla()


@functools.cache
def _has_xla() -> bool:
    try:
        with tf.init_scope():
            tf.function(tf.negative, autograph=False, jit_compile=True)(tf.zeros([]))
    except (tf.errors.OpError, ValueError):
        return False
    return True
