"""What losses and ranks over all pairs of a batch have in common: the other replicas' clips, and the similarities."""

from typing import NamedTuple

import tensorflow as tf

NEVER = -1e9
"""A logit that adds nothing to a log-sum-exp and keeps every gradient finite."""


class PairLogits(NamedTuple):
    """Similarities of some of this replica's clips divided by the temperature; `NEVER` for what does not count.

    Attributes:
      positives: float32 [clips, candidates], of each clip's video with its own candidates.
      from_video: float32 [clips, candidates, global_batch], of each clip's video with all clips' candidates.
      from_other: float32 [clips, candidates, global_batch], of all clips' videos with each clip's candidates.
      own: Bool [clips, 1, global_batch]: which pairs are of one clip.
      temperature: What the similarities were divided by.
    """

    positives: tf.Tensor
    from_video: tf.Tensor
    from_other: tf.Tensor
    own: tf.Tensor
    temperature: float


def global_places(batch: tf.Tensor) -> tf.Tensor:
    """Returns int32 [batch]: where this replica's clips stand in the gathered batch."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.range(batch) + tf.cast(replica, tf.int32) * batch


def own_pairs(places: tf.Tensor, global_batch: tf.Tensor) -> tf.Tensor:
    """Returns bool [clips, global_batch]: which clip of the gathered batch is the clip itself, by its place there."""
    return places[:, tf.newaxis] == tf.range(global_batch)[tf.newaxis]


def gather(values: tf.Tensor) -> tf.Tensor:
    """Concatenates all replicas' `values` along the batch, in the order of their ids; differentiable."""
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return values
    return replica.all_gather(values, axis=0)


def gather_mask(mask: tf.Tensor) -> tf.Tensor:
    """Concatenates all replicas' bool `mask` along the batch."""
    return gather(tf.cast(mask, tf.float32)) > 0.0
