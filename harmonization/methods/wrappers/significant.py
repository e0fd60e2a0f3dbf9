"""Significant: any method, which acts only where a conflict is not noise."""

from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.methods.given_weights.sum import Sum
from harmonization.significance import estimate_statistics


class Significant(Harmonizer):
    """Lets another method decide in the steps whose conflict is significant, and takes the plain sum in all others.

    Rule: w as the method if p < level, with p of the one-sided t-test of `part_statistics` over the parts of the
      batch, else 1; where the test says no, a step that the method would skip is taken.
    Source: ours. The test is a t-test on averages of products of different parts, which have no bias.
    Promises: without a true conflict, acts in a share `level` of the steps at most.
    Costs: those of the method, and the gradients of all parts of the batch.
    Not for: batches in few parts, where hardly any conflict is significant; see docs/harmonization.md for its power.

    Where the parts come from: losses of shape [parts] in `minimize`, `gradient_parts` in `HarmonizedModel.compile` and in
    `pretrain`, `part_gram` in `harmonize`. For more than two objectives the smallest p counts, times the number of pairs
    (Bonferroni). Everything else that the methods decide or learn stays as it is, whichever of them acts.

    Args:
      method: The other method.
      level: Of the test, between 0 and 1.
      otherwise: The method where no conflict is significant; `None` stands for `Sum`. For a method whose weights add up
        to 1, use `Mean`. Not one that changes the update after its decision (`DGL`, `OGMGE`).

    Raises:
      ValueError: If a method is none or cannot be used here, or the level is out of its range.
    """

    needs_parts = True

    def __init__(
        self, method: Harmonizer, level: float = 0.05, otherwise: Harmonizer | None = None, name: str | None = None
    ):
        super().__init__(name=name)
        self._method, self._level, self._otherwise = method, float(level), Sum() if otherwise is None else otherwise
        for each in (self._method, self._otherwise):
            if not isinstance(each, Harmonizer):
                raise ValueError(f"`method` and `otherwise` should be Harmonizers, as `get` returns. Found {each!r}.")
        if not 0.0 < self._level < 1.0:
            raise ValueError(f"`level` should be between 0 and 1. Found {level}.")
        if self._otherwise.changes_update:
            raise ValueError(
                f"`otherwise` should not change the update after its decision, as {type(self._otherwise).__name__} does."
            )
        self.losses_after = self._method.losses_after or self._otherwise.losses_after
        self.changes_update = self._method.changes_update

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        self._method.build(objectives, groups)
        self._otherwise.build(objectives, groups)

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without parts."""
        if group.gram_estimates is None:
            raise ValueError(
                "Significant needs the gradients of the batch's parts. Pass `part_gram=` to `harmonize`, losses of shape "
                "[parts] to `minimize`, or `gradient_parts=` to `compile`."
            )
        acts = estimate_statistics(group.gram_estimates, group.gram)["conflict_p"] < self._level
        one, other = self._method.decide(group), self._otherwise.decide(group)
        scales = None
        if one.scales is not None or other.scales is not None:
            scales = tf.where(acts, _scales(one, group), _scales(other, group))
        return Decision(
            weights=tf.where(acts, one.weights, other.weights),
            keep=tf.where(acts, one.keep, other.keep),
            scales=scales,
            state=[*one.state, *other.state],
        )

    def finish(self, update: list[tf.Tensor | None], group: Group) -> list[tf.Tensor | None]:
        """See `Harmonizer.finish`."""
        return self._method.finish(update, group)

    def after_step(self, losses: tf.Tensor) -> None:
        """See `Harmonizer.after_step`."""
        for each in (self._method, self._otherwise):
            each.after_step(losses)


def _scales(decision: Decision, group: Group) -> tf.Tensor:
    return tf.ones(group.variable_gram.shape[:1]) if decision.scales is None else decision.scales
