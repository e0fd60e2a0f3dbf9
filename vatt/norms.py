"""Norms of a token's values. Both compute in float32."""

import tensorflow as tf

from vatt.custom_gradient import custom_gradient
from vatt.keras import keras


class LayerNormalization(keras.layers.LayerNormalization):
    """Keras' layer, over the last axis, with a backward pass of its own, which takes half the operations."""

    def __init__(self):
        super().__init__(epsilon=1e-6)

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns `[..., width]` of `[..., width]`, computed in float32."""
        values, scale, offset = (tf.cast(value, tf.float32) for value in (tokens, self.gamma, self.beta))
        return tf.cast(_normalized(values, scale, offset, self.epsilon), self.compute_dtype)


def _normalized(values, scale, offset, epsilon):
    @custom_gradient
    def normalized(values, scale, offset):
        centered = values - tf.reduce_mean(values, axis=-1, keepdims=True)
        factor = tf.math.rsqrt(tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True) + epsilon)
        normal = centered * factor

        def backward(gradient):
            axes = list(range(gradient.shape.rank - 1))
            scaled, products = gradient * scale, gradient * normal
            shared = tf.reduce_mean(products * scale, axis=-1, keepdims=True)
            of_values = factor * (scaled - tf.reduce_mean(scaled, axis=-1, keepdims=True) - normal * shared)
            return of_values, tf.reduce_sum(products, axis=axes), tf.reduce_sum(gradient, axis=axes)

        return normal * scale + offset, backward

    return normalized(values, scale, offset)


class RMSNorm(keras.layers.Layer):
    """Divides each token by the root mean square of its values, and scales (T5; no mean is taken off, nothing added)."""

    def build(self, input_shape):
        """Creates the weight."""
        self.scale = self.add_weight("scale", (input_shape[-1],), initializer="ones")

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns `[..., width]` of `[..., width]`, computed in float32."""
        values = tf.cast(tokens, tf.float32)
        values *= tf.math.rsqrt(tf.reduce_mean(tf.square(values), axis=-1, keepdims=True) + 1e-6)
        return tf.cast(values, tokens.dtype) * tf.cast(self.scale, tokens.dtype)
