"""The losses of a Keras model's outputs one by one; Keras itself gives their sum only."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


def output_losses(
    losses: Any, loss_weights: Any, targets: Any, outputs: Any, sample_weight: Any, names: Sequence
) -> list[tf.Tensor]:
    """The loss of every output that has one, as Keras computes it: the mean over batch and places.

    Args:
      losses: One Keras loss, the name of one or a function (true values, predictions) ->
        [batch, ...] per output; `None` for an output without loss. This and the following are
        dicts by the outputs' names, or lists in their order.
      loss_weights: Factors on the losses, or `None`.
      targets: True values.
      outputs: Predictions.
      sample_weight: [batch] tensors, or one tensor for all outputs, or `None`.
      names: The outputs' names in their order.

    Returns:
      [] float32 tensors. Their sums over the replicas are the losses of the global batch.

    Raises:
      ValueError: If no output has a loss, or targets are missing.
    """
    columns = (losses, loss_weights, targets, outputs, sample_weight)
    rows = zip(names, *(in_order(column, names) for column in columns), strict=True)
    with_loss = [row for row in rows if row[1] is not None]
    if not with_loss:
        raise ValueError(f"At least one of the outputs {list(names)} should have a loss. Found none.")
    return [_output_loss(*row) for row in with_loss]


def in_order(values: Any, names: Sequence) -> list[Any]:
    """Per-output values as a list in the order of the outputs; one tensor stands for all of them."""
    if isinstance(values, Mapping):
        return [values.get(name) for name in names]
    if isinstance(values, (list, tuple)):
        return list(values)
    return [values] * len(names)


def _output_loss(name, loss, loss_weight, target, output, sample_weight) -> tf.Tensor:
    if target is None:
        raise ValueError(f"Output {name!r} has a loss, so there should be true values. Found none.")
    loss = tf.keras.losses.get(loss)
    target = _same_rank(target, output)
    # Calling a Loss instance would reduce in ways that Keras forbids under a distribution strategy.
    values = tf.cast(getattr(loss, "call", loss)(target, output), tf.float32)
    if sample_weight is not None:
        weights = tf.cast(sample_weight, tf.float32)
        values *= tf.reshape(weights, tf.concat([tf.shape(weights), [1] * (values.shape.rank - 1)], 0))
    total = tf.reduce_sum(values)
    if getattr(loss, "reduction", "auto") != "sum":
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        total /= tf.cast(tf.size(values) * replicas, tf.float32)
    return total if loss_weight is None else loss_weight * total


def _same_rank(target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Targets [batch] for outputs [batch, 1] as [batch, 1]; else the loss would compare all pairs."""
    target = tf.convert_to_tensor(target)
    if output.shape[-1] == 1 and target.shape.rank == output.shape.rank - 1:
        return target[..., None]
    return target
