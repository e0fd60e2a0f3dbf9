"""What is remembered of each clip: how well its text and its sound have fitted its video so far."""

from collections.abc import Mapping

import tensorflow as tf

from vatt.contrastive.clip_pairs import gather, global_places, own_pairs

_VISITS = 4

Ranks = Mapping[str, tuple[tf.Tensor, tf.Tensor]]
"""What `vatt.pair_ranks` returns."""


class RankMemory(tf.Module):
    """The ranks of each clip, averaged over the times that it came.

    Our choice: the mean over the first four times, then a moving average in which the newest rank weighs a quarter, so that
    what an untrained model thought is forgotten. A clip's row is a hash of its name, so that the table, 16 bytes a row, is no
    larger for more clips. Two clips whose names fall into one row share their average: of n clips in m rows about
    exp(-n / m) have a row of their own. The variables are part of checkpoints, and alike on all replicas.

    Args:
      slots: Rows of the table.
      objectives: Names of the losses.
    """

    def __init__(self, slots: int, objectives: tuple[str, ...]):
        super().__init__(name="rank_memory")
        self.objectives = objectives
        self.means, self.visits = (
            tf.Variable(
                tf.zeros([slots, len(objectives)]), trainable=False, name=name,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for name in ("means", "visits")
        )  # fmt: skip

    def averaged(self, slots: tf.Tensor, ranks: Ranks) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """Adds a batch to the table, and returns the averages of its clips; call it in the replica context.

        Args:
          slots: int32 [batch], the row of each of this replica's clips.
          ranks: Their ranks in this batch.

        Returns:
          As `ranks`, with the averages in their place.
        """
        rank, ranked = (
            tf.stack([tf.cast(ranks[name][place], tf.float32) for name in self.objectives], axis=1)
            for place in range(2)
        )
        means = self._remember(gather(slots), gather(rank), gather(ranked))
        own = own_pairs(global_places(tf.shape(rank)[0]), tf.shape(means)[0])[..., tf.newaxis]
        mine = tf.unstack(tf.reduce_sum(tf.where(own, means[tf.newaxis], 0.0), axis=1), axis=1)
        return {name: (mine[place], ranks[name][1]) for place, name in enumerate(self.objectives)}

    def _remember(self, slots, rank, ranked):
        """Moves the rows of all replicas' clips; returns them, [clips, objectives]."""
        # Clips of one row move it by their mean, so that writing it several times writes the same.
        same = tf.cast(slots[:, tf.newaxis] == slots[tf.newaxis], tf.float32)[..., tf.newaxis]
        total, count = (tf.reduce_sum(same * each[tf.newaxis], axis=1) for each in (rank * ranked, ranked))
        all_means, all_visits = tf.convert_to_tensor(self.means), tf.convert_to_tensor(self.visits)
        before, visits = tf.gather(all_means, slots), tf.gather(all_visits, slots)
        visits = tf.minimum(visits + tf.cast(count > 0.0, tf.float32), _VISITS)
        moved = before + tf.math.divide_no_nan(tf.math.divide_no_nan(total, count) - before, visits)
        means = tf.where(count > 0.0, moved, before)
        rows = slots[:, tf.newaxis]
        self.means.assign(tf.tensor_scatter_nd_update(all_means, rows, means))
        self.visits.assign(tf.tensor_scatter_nd_update(all_visits, rows, visits))
        return means
