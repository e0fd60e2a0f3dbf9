"""Fixtures of the harmonization tests: random gradients and what to compare them by."""

import numpy as np
import pytest
import tensorflow as tf

SHAPES = ((3, 4), (5,), (2, 2, 3))


@pytest.fixture
def random_gradients():
    """A function (seed, objectives) -> list over objectives of lists over variables."""

    def draw(seed: int, objectives: int = 2) -> list[list[tf.Tensor]]:
        generator = np.random.default_rng(seed)
        return [[tf.constant(generator.normal(size=shape), tf.float32) for shape in SHAPES] for _ in range(objectives)]

    return draw


@pytest.fixture
def flat():
    """A function from a list of tensors to one float64 NumPy vector."""
    return lambda tensors: np.concatenate([np.ravel(t).astype(np.float64) for t in tensors])


@pytest.fixture
def gram_of():
    """A function from vectors, [objectives, dimension], to their float32 Gram matrix."""

    def gram(vectors):
        vectors = np.asarray(vectors, np.float64)
        return tf.constant(vectors @ vectors.T, tf.float32)

    return gram
