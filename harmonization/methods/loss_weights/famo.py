"""FAMO: weights that even out how fast the logarithms of the losses fall."""

import math
from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group, gradient_norms
from harmonization.methods.loss_weights.base import LossWeights, check_length, plain_numbers
from harmonization.state import adam_step, check_made_for, own_entries, state_variables, with_own_entries

OUT = tf.float32.min / 4
"""A logit whose share is zero, yet equal shares if all are out."""


class FAMO(LossWeights):
    """Learns weights under which the logarithms of all losses fall equally fast.

    Rule: w_i = c z_i / D_i with z = softmax(logits), D_i = L_i - b_i + epsilon, c = 1 / sum_i z_i / D_i.
      After the update, Adam moves the logits down the slope z_i (p_i - sum_j z_j p_j) + decay *
      logit_i, where p_i = log D_i before - log D_i after, on the same batch.
    Source: Liu, Feng, Stone and Liu (2023, NeurIPS), "FAMO: Fast Adaptive Multitask Optimization",
      Algorithm 1; Adam for the logits and its defaults as in LibMTL and TorchJD.
    Promises: positive weights that add up to 1, whatever the scales of the losses.
    Costs: one backward pass of the weighted loss, unless there are groups or the gradients are to be
      measured; one additional forward pass (the losses after the update) and a few numbers of state.
    Not for: losses that reach or pass their lower bounds, or batches so small that a loss moves by
      chance more than by the update.

    Call `after_step(losses)` after every step, with the losses of the same global batch under the
    updated weights. `decide` puts the losses before the update into the state and marks them as waiting,
    and `harmonize` assigns state only in a step that is taken. So after a gated or non-finite step
    nothing waits and `after_step` changes nothing. Without `after_step` the logits never move.

    Our choices: an objective whose gradient is zero or whose loss is not finite takes no part in
    the step (the rule would give a loss of zero all the weight), and neither its logit nor its
    Adam moments move. With one backward pass, where no gradient is at hand, a loss that is not above
    its bound stands for a gradient of zero. Losses below their bounds count as at the bounds. Every group of variables
    learns logits of its own over the objectives that reach it: one group of all is the source's
    method, and a group that one objective reaches gets its plain gradient.

    Args:
      learning_rate: Of the logits.
      weight_decay: Pulls the logits to zero; the source tries 1e-4, 1e-3 and 1e-2.
      lower_bounds: Bounds below which no loss can fall, b_i; a number, or one per objective.
      epsilon: Keeps D_i positive, > 0.

    Raises:
      ValueError: If an option is not finite, or a rate is negative or epsilon not positive.
    """

    losses_after = True

    def __init__(
        self,
        learning_rate: float = 0.025,
        weight_decay: float = 1e-3,
        lower_bounds: float | Sequence[float] = 0.0,
        epsilon: float = 1e-8,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self._learning_rate, self._weight_decay = float(learning_rate), float(weight_decay)
        self._epsilon = float(epsilon)
        self._bounds = plain_numbers(lower_bounds)
        self._learned, self._waiting = None, None
        numbers = (learning_rate, weight_decay, epsilon, *tf.nest.flatten(self._bounds))
        finite = all(math.isfinite(number) for number in numbers)
        if not finite or learning_rate < 0 or weight_decay < 0 or epsilon <= 0:
            raise ValueError(
                "`learning_rate` and `weight_decay` should be finite numbers >= 0, `epsilon` > 0, "
                f"`lower_bounds` finite. Found {learning_rate}, {weight_decay}, {epsilon}, {lower_bounds}."
            )

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        check_length("lower_bounds", self._bounds, objectives)
        if self._learned is not None:
            return check_made_for(self._learned, objectives, groups)
        # Rows: the logits, Adam's mean and mean square of their slopes, the number of Adam's steps.
        self._learned = state_variables(tf.zeros([4, objectives]), groups, "famo_learned")
        # Rows: log D before the update, and 1 where it waits for the one after, else 0.
        self._waiting = state_variables(tf.zeros([2, objectives]), groups, "famo_waiting")

    def weigh(self, losses: tf.Tensor, group: Group) -> Decision:
        """See `LossWeights.weigh`."""
        waiting = self._waiting[group.name]
        usable = self._has_gradient(group) & tf.math.is_finite(losses)
        logs = tf.where(usable, self._log_distance(losses, group), 0.0)
        logits = own_entries(self._learned[group.name], group)[0]
        weights = tf.nn.softmax(tf.where(usable, logits - logs, OUT))
        nothing = tf.zeros(waiting.shape[1:])
        rows = [with_own_entries(nothing, row, group) for row in (logs, tf.cast(usable, tf.float32))]
        return Decision(weights, state=[(waiting, tf.stack(rows))])

    def after_step(self, losses: tf.Tensor) -> None:
        """See `Harmonizer.after_step`. After a step that was not taken it does nothing."""
        if self._learned is None:
            raise ValueError("`after_step` should follow a step of `harmonize`. Found none.")
        losses = tf.convert_to_tensor(losses, tf.float32)
        logs = self._log_distance(losses)
        for learned, waiting in zip(self._learned.values(), self._waiting.values(), strict=True):
            logs_before, waits = tf.unstack(waiting)
            usable = (waits > 0.0) & tf.math.is_finite(losses)
            progress = tf.where(usable, logs_before - logs, 0.0)
            learned.assign(tf.where(usable, self._learn(learned, progress, usable), learned))
            waiting.assign(tf.zeros_like(waiting))

    def _has_gradient(self, group: Group) -> tf.Tensor:
        if group.gram is None:
            return self._distance(group.losses, group) > 0.0
        return gradient_norms(group.gram) > 0.0

    def _log_distance(self, losses: tf.Tensor, group: Group | None = None) -> tf.Tensor:
        return tf.math.log(self._distance(losses, group) + self._epsilon)

    def _distance(self, losses: tf.Tensor, group: Group | None) -> tf.Tensor:
        """How far the losses are above their bounds."""
        bounds = tf.constant(self._bounds, tf.float32)
        if group is not None and bounds.shape.rank:
            bounds = own_entries(bounds, group)
        return tf.nn.relu(losses - bounds)

    def _learn(self, learned, progress: tf.Tensor, usable: tf.Tensor) -> tf.Tensor:
        logits, mean, square, updates = tf.unstack(learned)
        shares = tf.nn.softmax(tf.where(usable, logits, OUT))
        slope = shares * (progress - tf.reduce_sum(shares * progress)) + self._weight_decay * logits
        step, *moments = adam_step(slope, mean, square, updates, self._learning_rate)
        return tf.stack([logits - step, *moments])
