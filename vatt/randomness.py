"""Stateless random draws: every draw is a function of a seed that names what it is for."""

import tensorflow as tf

from vatt.keras import keras

# What a draw inside the model is for. The numbers are part of a run's identity: changing one changes every later draw.
VIDEO, AUDIO, TEXT = 0, 1, 2
POSITION, DROP_TOKEN, ENCODER, BLOCK_OUTPUT = 10, 11, 12, 13
ATTENTION, FEED_FORWARD = 20, 21


def fold(seed: tf.Tensor | None, *purposes: int) -> tf.Tensor | None:
    """Returns the seed, int32 [2], of a narrower purpose; `None` (no random draws) stays `None`."""
    for purpose in purposes:
        seed = None if seed is None else tf.random.fold_in(seed, purpose)
    return seed


def dropout(values: tf.Tensor, rate: float, seed: tf.Tensor | None) -> tf.Tensor:
    """Zeroes a share `rate` of `values` and scales up the rest; does nothing where `seed` is `None`.

    Keras' own Dropout draws from a stateful generator that a checkpoint does not carry, so a resumed run would differ.
    """
    if seed is None or rate == 0.0:
        return values
    return tf.nn.experimental.stateless_dropout(values, rate, seed, rng_alg="philox")


def set_initial_seed(seed: int) -> None:
    """Makes the initial weights a function of `seed` (the only draws that are made before the first step)."""
    keras.utils.set_random_seed(seed)
