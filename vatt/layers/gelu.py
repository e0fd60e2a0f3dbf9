"""GELU with a derivative that is computed once."""

import math

import tensorflow as tf

from vatt import randomness
from vatt.layers.custom_gradient import custom_gradient


def gelu(values: tf.Tensor, dropout: float = 0.0, key: randomness.Key | None = None) -> tf.Tensor:
    """Returns x times the normal distribution function of x (arXiv 1606.08415; not its approximation with tanh), after a dropout.

    The forward pass keeps the derivative, so that a backward pass is one product. TensorFlow's own `gelu` keeps x and computes the
    derivative in each backward pass, of which a harmonized step has two. What is dropped is dropped of the derivative, too, so
    that no backward pass reads the random words again. Computed in float32, whatever the dtype.

    Args:
      values: Of any shape; `[batch, ...]` with dropout.
      dropout: Rate of `randomness.dropout` on the result.
      key: Of the dropout; `None` for none.
    """

    @custom_gradient
    def with_derivative(values):
        x = tf.cast(values, tf.float32)
        # TensorFlow's own takes `erfc`, which has more digits far below zero, and is slower on CPUs and TPUs.
        distribution = 0.5 + 0.5 * tf.math.erf(math.sqrt(0.5) * x)
        density = tf.exp(-0.5 * tf.square(x)) * (1.0 / math.sqrt(2.0 * math.pi))
        result, derivative = x * distribution, distribution + x * density
        if key is not None and dropout:
            factors = randomness.dropout_factors(x, dropout, key)
            result, derivative = result * factors, derivative * factors
        derivative = tf.cast(derivative, values.dtype)
        return tf.cast(result, values.dtype), lambda gradient: gradient * derivative

    return with_derivative(values)
