"""CR-MOGM: any method, with weights averaged over the steps."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.methods.mgda import MGDA
from harmonization.state import check_made_for, own_entries, state_variables, with_own_entries


class CRMOGM(Harmonizer):
    """Averages another method's weights over the steps, so that noise in the gradients moves them less.

    Rule: w(t) = momentum w(t - 1) + (1 - momentum) w, where w are the other method's weights in this
      step; in the first step w(t) = w.
    Source: Zhou et al. (2022, NeurIPS), "On the Convergence of Stochastic Multi-Objective Gradient
      Manipulation and Beyond" (CR-MOGM).
    Promises: weights between the smallest and the largest that the method has given; a momentum of 0 is the
      method itself.
    Costs: those of the method, and a number of state per objective.
    Not for: methods whose weights follow the lengths of the gradients (`NashMTL`, `FairGrad`), since an old
      weight does not fit a gradient of another length; and for promises about a single step, such
      as that no gradient is in conflict, which an average does not keep.

    Everything else that the method decides (whether the step is taken, scales, noise) stays as it is.

    Args:
      method: The other method; `None` stands for `MGDA`.
      momentum: Share of the past, from 0 to below 1.

    Raises:
      ValueError: If the method is none, or the momentum out of its range.
    """

    def __init__(self, method: Harmonizer | None = None, momentum: float = 0.9, name: str | None = None):
        super().__init__(name=name)
        self._method, self._momentum = MGDA() if method is None else method, float(momentum)
        self._average = None
        if not isinstance(self._method, Harmonizer):
            raise ValueError(f"`method` should be a Harmonizer, as `harmonization.get` returns. Found {method!r}.")
        if not 0.0 <= self._momentum < 1.0:
            raise ValueError(f"`momentum` should be from 0 to below 1. Found {momentum}.")
        self.losses_after, self.needs_parts = self._method.losses_after, self._method.needs_parts
        self.changes_update = self._method.changes_update

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        self._method.build(objectives, groups)
        if self._average is not None:
            return check_made_for(self._average, objectives, groups)
        # Rows: the average, and 1 where there is one.
        self._average = state_variables(tf.zeros([2, objectives]), groups, "cr_mogm_average")

    def needs_gram(self, groups: Mapping[str, Sequence[int]] | None) -> bool:
        """See `Harmonizer.needs_gram`: if the method does."""
        return self._method.needs_gram(groups)

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`."""
        decision, variable = self._method.decide(group), self._average[group.name]
        everyone = tf.unstack(tf.convert_to_tensor(variable))
        average, known = (own_entries(row, group) for row in everyone)
        averaged = self._momentum * average + (1.0 - self._momentum) * decision.weights
        weights = tf.where(known > 0.0, averaged, decision.weights)
        rows = (weights, tf.ones_like(known))
        new = [with_own_entries(row, own, group) for row, own in zip(everyone, rows, strict=True)]
        return decision._replace(weights=weights, state=[*decision.state, (variable, tf.stack(new))])

    def finish(self, update: list[tf.Tensor | None], group: Group) -> list[tf.Tensor | None]:
        """See `Harmonizer.finish`."""
        return self._method.finish(update, group)

    def after_step(self, losses: tf.Tensor) -> None:
        """See `Harmonizer.after_step`."""
        self._method.after_step(losses)
