"""Diagnostics of the objectives' gradients: norms, cosines and conflicts, also layer by layer."""

import tensorflow as tf

from harmonization.groups import Groups
from harmonization.harmonizer import (
    defined_pairs,
    gradient_norms,
    pairwise_cosines,
    smallest_over_pairs,
)


def gram_statistics(gram: tf.Tensor) -> dict[str, tf.Tensor]:
    """Computes norms, cosines and conflicts of gradients from their inner products.

    Args:
      gram: [..., objectives, objectives] float32. Where one of a matrix's entries is not finite, no
        pair counts as defined; the norms still show which objective is the cause.

    Returns:
      norms: [..., objectives] float32; zero below 1.1e-19.
      cosines: [..., objectives, objectives] float32; zero where a gradient is zero.
      cosine: [...] float32, the smallest cosine of two objectives (of two objectives: the cosine);
        zero if none is defined.
      defined: [...] bool, whether there are two objectives whose gradients are not zero.
      conflict: [...] bool, whether two gradients point apart (`cosine < 0`).
    """
    finite = tf.reduce_all(tf.math.is_finite(gram), axis=[-2, -1], keepdims=True)
    judged = tf.where(finite, gram, 0.0)
    cosines = pairwise_cosines(judged)
    pairs = defined_pairs(judged)
    smallest = smallest_over_pairs(cosines, pairs)
    return {
        "norms": gradient_norms(gram),
        "cosines": cosines,
        "cosine": smallest,
        "defined": tf.reduce_any(pairs, axis=[-2, -1]),
        "conflict": smallest < 0.0,
    }


def layer_statistics(variable_gram: tf.Tensor, layers: Groups) -> dict[str, tf.Tensor]:
    """Computes `gram_statistics` layer by layer, whatever groups the gradients were harmonized in.

    Costs two small operations on [layers, variables, objectives, objectives] numbers and reads no
    gradient again.

    Args:
      variable_gram: [variables, objectives, objectives] float32, from the report of `harmonize`.
      layers: Names of the layers, with the indices of the variables in each.

    Returns:
      What `gram_statistics` returns, with a leading `[layers]` axis in the order of `layers`.

    Raises:
      ValueError: If there is no layer, a layer has no variable, or an index is out of range.
    """
    if not layers:
        raise ValueError("`layers` should name at least one layer. Found none.")
    variables = variable_gram.shape[0]
    for name, indices in layers.items():
        if not len(indices) or not 0 <= min(indices) <= max(indices) < variables:
            raise ValueError(f"Layer {name!r} should have indices from 0 to {variables - 1}. Found {list(indices)}.")
    inside = [[index in indices for index in range(variables)] for indices in map(set, layers.values())]
    # Not a product with a matrix of zeros and ones: one layer's NaN would reach all others.
    chosen = tf.where(tf.constant(inside)[:, :, None, None], variable_gram, 0.0)
    return gram_statistics(tf.reduce_sum(chosen, axis=1))
