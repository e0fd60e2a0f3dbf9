"""Which set each clip of a mixture comes from: a fixed pattern, so any place in it can be computed directly."""

from __future__ import annotations

import dataclasses
import fractions
import math
import numbers
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from data.errors import DataError

_LONGEST_PERIOD = 1000


def whole_shares(weights: Sequence[float]) -> tuple[int, ...]:
    """Returns the smallest whole numbers in the ratio of the weights.

    Weights whose ratio needs numbers that add up to more than 1000 are rounded to thousandths of their
    sum (our choice): the pattern stays short, and no share is off by more than 0.1 %.

    Raises:
      DataError: A weight is no number above 0, or too small for one turn in 1000.
    """
    for weight in weights:
        number = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
        if not number or not 0 < weight < math.inf:
            raise DataError(f"The weights of a mixture should be numbers > 0. Found {tuple(weights)!r}.")
    exact = [fractions.Fraction(str(weight)) for weight in weights]
    shares = _in_lowest_terms([weight / sum(exact) for weight in exact])
    if sum(shares) > _LONGEST_PERIOD:
        shares = _thousandths([weight / sum(exact) for weight in exact])
    if not all(shares):
        raise DataError(
            f"The weights of a mixture should each be about a thousandth of their sum or more. Found {tuple(weights)!r}."
        )
    return tuple(shares)


def _in_lowest_terms(ratios: list[fractions.Fraction]) -> list[int]:
    denominator = math.lcm(*(ratio.denominator for ratio in ratios))
    return [int(ratio * denominator) for ratio in ratios]


def _thousandths(ratios: list[fractions.Fraction]) -> list[int]:
    """Rounds down, then gives what is missing to those that lost most."""
    shares = [math.floor(ratio * _LONGEST_PERIOD) for ratio in ratios]
    lost = sorted(range(len(ratios)), key=lambda index: shares[index] - ratios[index] * _LONGEST_PERIOD)
    for index in lost[: _LONGEST_PERIOD - sum(shares)]:
        shares[index] += 1
    return shares


def smooth_pattern(shares: Sequence[int]) -> np.ndarray:
    """Spreads each set's turns as evenly as they go (smooth weighted round robin, as nginx balances servers).

    Args:
      shares: Turns of each set in a period.

    Returns:
      int32 [sum of the shares], indices of sets. Equal shares are 0, 1, 2, ...; any run of turns, however
      short, holds about as many of each set as its share says.
    """
    shares = np.asarray(shares)
    credit = np.zeros(len(shares), np.int64)
    pattern = np.empty(shares.sum(), np.int32)
    for turn in range(len(pattern)):
        credit += shares
        pattern[turn] = credit.argmax()  # the first of equals
        credit[pattern[turn]] -= len(pattern)
    return pattern


@dataclasses.dataclass(frozen=True, eq=False)
class Mixture:
    """The turns of the sets in one input pipeline, without end.

    Attributes:
      pattern: int32 [period], indices of sets, which repeat.
      sets: How many sets there are.
    """

    pattern: np.ndarray
    sets: int

    def counts(self, place: int) -> list[int]:
        """Returns how many clips of each set come before a place; takes as long for any place."""
        periods, rest = divmod(place, len(self.pattern))
        whole, part = (np.bincount(turns, minlength=self.sets) for turns in (self.pattern, self.pattern[:rest]))
        return [periods * int(a) + int(b) for a, b in zip(whole, part, strict=True)]

    def turns(self, place: int) -> tf.data.Dataset:
        """Returns the indices of the sets, int64 scalars, from a place on."""
        start = place % len(self.pattern)
        pattern = np.roll(self.pattern, -start).astype(np.int64)
        return tf.data.Dataset.from_tensor_slices(pattern).repeat()


def mixture(weights: Sequence[float], batch_size: int, pipelines: int = 1, pipeline: int = 0) -> Mixture:
    """Gives an input pipeline its part of the pattern that goes through the batches of the whole run.

    Every pipeline's batch, and the whole one, hold as many clips of each set as the shares say, to
    within one or so.

    Args:
      weights: The sets' shares; only their ratio matters.
      batch_size: Clips per step over all pipelines.
      pipelines: Input pipelines of the run.
      pipeline: Index of this one.

    Raises:
      DataError: See `whole_shares`.
    """
    pattern = smooth_pattern(whole_shares(weights))
    own = batch_size // pipelines
    steps = len(pattern) // math.gcd(len(pattern), batch_size) if pipelines > 1 else 1
    length = own if pipelines > 1 else len(pattern)
    places = batch_size * np.arange(steps)[:, None] + own * pipeline + np.arange(length)
    return Mixture(pattern[places.reshape(-1) % len(pattern)], len(weights))
