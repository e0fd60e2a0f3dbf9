"""Sums over the replicas of a distribution strategy."""

from typing import Any

import tensorflow as tf


def replica_count() -> int:
    """How many replicas there are; raises a ValueError outside the replica context."""
    if tf.distribute.in_cross_replica_context():
        raise ValueError("Sums over the replicas need the replica context. Call this inside `strategy.run`.")
    return tf.distribute.get_replica_context().num_replicas_in_sync


def sum_over_replicas(values: Any) -> Any:
    """Sums a structure of tensors over the replicas; `None` stays `None`.

    Call it in the replica context. All tensors travel in one collective call.

    Args:
      values: A nested structure of tensors and `None`.

    Raises:
      ValueError: If it is called outside the replica context.
    """
    if replica_count() == 1:
        return values
    flat = tf.nest.flatten(values)
    present = [value for value in flat if value is not None]
    summed = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, present))
    return tf.nest.pack_sequence_as(values, [None if value is None else next(summed) for value in flat])
