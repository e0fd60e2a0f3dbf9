"""How a clip's own text and sound rank among those of its batch, seen from its video, and back."""

import tensorflow as tf

from vatt.contrastive.clip_pairs import gather, global_places, own_pairs
from vatt.contrastive.losses import compared_pairs
from vatt.contrastive.row_blocks import in_row_blocks


def pair_ranks(
    outputs: dict[str, dict[str, tf.Tensor]], batch: dict[str, tf.Tensor], clips_at_a_time: int | None = None
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Returns, per objective, the rank of each clip's own pair among the pairs of the batch, and whether it has one.

    The rank is the share of the other clips' candidates (text or sound) that are less similar to the clip's video than its
    own, averaged with the share of the other clips' videos that are less similar to its candidates. Ties count one half. It
    is 1 for a pair that fits best of all, and 1/2 on average where video and candidates have nothing to do with each other,
    whatever the model: it needs no scale. Several candidates count as their mean direction. No gradient passes.

    Args:
      outputs: What `VATT.call` returned.
      batch: As in `vatt.losses`. The other clips are those of all replicas.
      clips_at_a_time: As in `vatt.clip_losses`.

    Returns:
      Float32 [batch] in [0, 1] and bool [batch]: False, with rank 0, for a clip that has no candidates, whose similarity is
      not finite, or that is compared with no other.
    """
    return {
        name: _ranks(outputs[name]["video"], other, mask, clips_at_a_time)
        for name, (other, mask) in compared_pairs(outputs, batch).items()
    }


def _ranks(video, other, mask, clips_at_a_time):
    video, other = _unit(video), _mean_direction(other, mask)
    valid = tf.reduce_any(mask, axis=1)
    rows = [video, other, global_places(tf.shape(video)[0])]
    shared = [gather(video), gather(other), gather(tf.cast(valid, tf.float32))]
    ranks = in_row_blocks(_means_of_shares, rows, shared, clips_at_a_time)
    known = valid & (ranks >= 0.0)
    return tf.where(known, ranks, 0.0), known


def _means_of_shares(video, other, places, all_video, all_other, all_valid):
    """The ranks of some clips, float32 [rows]; -1 where one of the shares is unknown."""
    own = own_pairs(places, tf.shape(all_video)[0])
    from_video = tf.einsum("bd,nd->bn", video, all_other)
    from_other = tf.einsum("bd,nd->bn", other, all_video)
    others = tf.cast(~own, tf.float32)
    first, first_known = _share_below(from_video, own, others * all_valid)
    second, second_known = _share_below(from_other, own, others)
    return tf.where(first_known & second_known, (first + second) / 2.0, -1.0)


def _unit(vectors):
    return tf.math.l2_normalize(tf.cast(tf.stop_gradient(vectors), tf.float32), axis=-1)


def _mean_direction(other, mask):
    return _unit(tf.reduce_sum(tf.where(mask[..., tf.newaxis], _unit(other), 0.0), axis=1))


def _share_below(similarities, own, counted):
    """Shares of the counted values of each row that lie below the row's own, [batch], and whether there is one."""
    mine = tf.reduce_sum(tf.where(own, similarities, 0.0), axis=1, keepdims=True)
    below = tf.cast(similarities < mine, tf.float32) + 0.5 * tf.cast(similarities == mine, tf.float32)
    count = tf.reduce_sum(counted, axis=1)
    share = tf.math.divide_no_nan(tf.reduce_sum(below * counted, axis=1), count)
    return share, (count > 0.0) & tf.math.is_finite(mine[:, 0])
