"""Base class of the methods that look at the losses only."""

from collections.abc import Sequence

import tensorflow as tf

from harmonization.groups import Groups
from harmonization.harmonizer import Decision, Group, Harmonizer


class LossWeights(Harmonizer):
    """Base class of the methods that need the losses only. A subclass implements `weigh`."""

    def weigh(self, losses: tf.Tensor, group: Group) -> Decision:
        """Weights of the objectives.

        Args:
          losses: [objectives] float32, of the objectives that take part in the group.
          group: The group.

        Returns:
          The decision, with finite weights also for losses that are not finite.
        """
        raise NotImplementedError(f"{type(self).__name__} should implement `weigh`.")

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without losses."""
        if group.losses is None:
            raise ValueError(f"{type(self).__name__} needs the losses. Pass `losses=` to `harmonize`.")
        return self.weigh(group.losses, group)

    def needs_gram(self, groups: Groups | None) -> bool:
        """See `Harmonizer.needs_gram`: with groups, each of which weighs the objectives that reach it."""
        return groups is not None


def plain_numbers(option: float | Sequence[float]) -> float | tuple[float, ...]:
    """One value, or one per objective, as plain floats, also of an array."""
    try:
        values = tuple(option)
    except TypeError:  # one value
        return float(option)
    return tuple(map(float, values))


def check_length(name: str, values: float | Sequence, objectives: int) -> None:
    """Raises a ValueError unless there is one value, or one per objective."""
    if isinstance(values, (list, tuple)) and len(values) != objectives:
        raise ValueError(f"`{name}` should be one value or one per objective ({objectives}). Found {values}.")
