"""What losses and ranks over all pairs of a batch have in common: the other replicas' clips, and the similarities."""

from typing import NamedTuple

import tensorflow as tf

NEVER = -1e9
"""A logit that adds nothing to a log-sum-exp and keeps every gradient finite."""


class PairLogits(NamedTuple):
    """Similarities of this replica's clips divided by the temperature; `NEVER` for what is missing.

    Attributes:
      positives: float32 [batch, candidates], of each clip's video with its own candidates.
      from_video: float32 [batch, global_batch, candidates], of each clip's video with all clips' candidates.
      from_other: float32 [batch, global_batch, candidates], of all clips' videos with each clip's candidates.
      valid: bool [batch], whether a clip has a loss.
      temperature: What the similarities were divided by.
    """

    positives: tf.Tensor
    from_video: tf.Tensor
    from_other: tf.Tensor
    valid: tf.Tensor
    temperature: float

    @property
    def own(self) -> tf.Tensor:
        """Bool [batch, global_batch, 1]: which pairs are of one clip."""
        return own_pairs(tf.shape(self.from_video)[0], tf.shape(self.from_video)[1])


def own_pairs(batch: tf.Tensor, global_batch: tf.Tensor) -> tf.Tensor:
    """Returns bool [batch, global_batch, 1]: which clip of the gathered batch is this replica's clip itself."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    positions = tf.range(batch) + tf.cast(replica, tf.int32) * batch
    return (positions[:, tf.newaxis] == tf.range(global_batch)[tf.newaxis])[..., tf.newaxis]


def gather(values: tf.Tensor) -> tf.Tensor:
    """Concatenates all replicas' `values` along the batch, in the order of their ids; differentiable."""
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return values
    return replica.all_gather(values, axis=0)


def gather_mask(mask: tf.Tensor) -> tf.Tensor:
    """Concatenates all replicas' bool `mask` along the batch."""
    return gather(tf.cast(mask, tf.float32)) > 0.0
