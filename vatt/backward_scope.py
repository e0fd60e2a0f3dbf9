"""Names for the operations of a backward pass that a layer writes itself."""

import tensorflow as tf


def backward_scope() -> str:
    """Returns the scope of the backward pass of what is called now: a profile then shows it below the layer it belongs to.

    TensorFlow gives the gradients that it derives such names, but not those of `tf.custom_gradient`.
    """
    return f"gradient_tape/{tf.get_current_name_scope()}/"
