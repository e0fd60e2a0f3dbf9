"""PCD: the first objective leads, the others are constraints on its descent."""

from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.solvers.normalized import normalized, resolution, to_float32
from harmonization.solvers.quadratic import nonnegative_minimum
from harmonization.state import check_made_for, own_entries, state_variables, with_own_entries


class PCD(Harmonizer):
    """Follows the first objective as far as every other one makes at least a set progress.

    Rule: gradients h_i = g_i / rms of the lengths |g_i| so far; d is the vector nearest to h_1 with
      h_i . d >= tau |h_i|^2 for all others, brought to the length of g_1. For two objectives
      d = h_1 + mu h_2 with mu = max(0, (tau |h_2|^2 - h_1 . h_2) / |h_2|^2).
    Source: "priority-constrained descent" (2026, arXiv 2606.29521); TorchJD has it as PCD.
    Promises: an update as long as the first objective's gradient, which conflicts with no other objective
      unless the constraints contradict each other.
    Costs: one backward pass per objective and the Gram matrix; a number of state per objective; for more
      than two objectives a small quadratic program in the graph.
    Not for: objectives of equal rank. The first one yields wherever another would gain less than tau.

    For more than two objectives the program of constraints is ours, and so are the defaults. In a group of
    variables that the first objective does not reach, the first that does leads. Where the constraints
    contradict each other, the leader's gradient is taken as it is. Without a gradient of the leader no step is
    taken in the group; another zero gradient constrains nothing, and
    counts in no mean (our choices; in TorchJD it counts).

    Args:
      tau: Progress that each other objective has to make, as a share of its own gradient's; >= 0.
      decay: Of the running mean of the squared lengths, from 0 (only this step's length) to below 1.

    Raises:
      ValueError: If an option is out of its range.
    """

    def __init__(self, tau: float = 0.1, decay: float = 0.99, name: str | None = None):
        super().__init__(name=name)
        self._tau, self._decay = float(tau), float(decay)
        self._lengths = None
        if not (0.0 <= self._tau < float("inf") and 0.0 <= self._decay < 1.0):
            raise ValueError(f"`tau` should be finite and >= 0, `decay` from 0 to below 1. Found {tau} and {decay}.")

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        if self._lengths is not None:
            return check_made_for(self._lengths, objectives, groups)
        # Rows: root of the running mean of the squares, and how much of it the steps so far make up.
        self._lengths = state_variables(tf.zeros([2, objectives]), groups, "pcd_lengths")

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`."""
        variable = self._lengths[group.name]
        everyone = tf.unstack(tf.convert_to_tensor(variable))
        norms, cosines = normalized(group.gram)
        mean, share = (tf.cast(own_entries(row, group), tf.float64) for row in everyone)
        present = norms > 0.0
        mean = tf.where(present, tf.sqrt(self._decay * mean**2 + (1.0 - self._decay) * norms**2), mean)
        share = tf.where(present, self._decay * share + (1.0 - self._decay), share)
        lengths = tf.math.divide_no_nan(norms * tf.sqrt(share), mean)
        weights = self._constrained(norms, lengths, cosines)
        new = [
            with_own_entries(row, tf.cast(own, tf.float32), group)
            for row, own in zip(everyone, (mean, share), strict=True)
        ]
        return Decision(to_float32(weights), state=[(variable, tf.stack(new))])

    def _constrained(self, norms, lengths, cosines) -> tf.Tensor:
        """Weights of the gradients, [objectives] float64."""
        objectives = norms.shape[0]
        leader = tf.one_hot(0, objectives, dtype=tf.float64)
        lengths = tf.math.divide_no_nan(lengths, tf.reduce_max(lengths))
        missing = (1.0 - leader) * (self._tau * lengths - cosines[0] * lengths[0])
        if objectives == 2:
            added = tf.nn.relu(missing)
        else:
            others = cosines * (1.0 - leader)[:, None] * (1.0 - leader)[None, :]
            added = nonnegative_minimum(others + tf.linalg.diag(leader), -missing[None])[0]
        along = leader * lengths[0] + added
        square = tf.tensordot(along, tf.linalg.matvec(cosines, along), 1)
        # Terms that all but cancel are no direction.
        clear = square > resolution(objectives) * tf.reduce_sum(along**2)
        along = tf.where(clear, along * tf.math.rsqrt(tf.where(clear, square, 1.0)), leader)
        return tf.math.divide_no_nan(norms[0] * along, norms)
