"""Backward passes that a layer writes itself."""

import functools
from collections.abc import Callable

import tensorflow as tf


def custom_gradient(function: Callable) -> Callable[..., tf.Tensor]:
    """Does what `tf.custom_gradient` does, and gives the backward pass the name scope of the layer that it belongs to.

    A profile, and the page of `compile_for_tpu`, then show it below that layer, as they show gradients that TensorFlow derives.

    Args:
      function: `(*tensors) -> (result, backward)`, where `backward` makes the gradients of the tensors from that of the result.
    """

    @functools.wraps(function)
    def call(*tensors):
        scope = f"gradient_tape/{tf.get_current_name_scope()}/"

        @tf.custom_gradient
        def with_scope(*tensors):
            result, backward = function(*tensors)

            def scoped(gradient):
                with tf.name_scope(scope):
                    return backward(gradient)

            return result, scoped

        return with_scope(*tensors)

    return call
