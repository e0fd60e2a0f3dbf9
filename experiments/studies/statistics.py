"""The study's statistics: intervals of means, paired differences, correction for many comparisons."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
BETTER, WORSE, NOT_SHOWN, SAME = "better", "worse", "not shown", "same"
_EQUAL = 1e-12  # shares of a few hundred clips differ by more, or by rounding


class Interval(NamedTuple):
    """A mean over seeds with its confidence interval, mean ± half_width; the latter is NaN for fewer than two seeds."""

    mean: float
    half_width: float
    seeds: int


def interval(values: Sequence[float]) -> Interval:
    """Returns the mean of values and half the width of its `CONFIDENCE` interval, by Student's t.

    That of means over few seeds; it takes them as draws from a normal distribution. A bootstrap over five values would be
    too narrow.

    Raises:
      ValueError: There are no values.
    """
    count = len(values)
    if count == 0:
        raise ValueError("an interval needs at least one value")
    mean = float(np.mean(values))
    if count < 2:
        return Interval(mean, math.nan, count)
    error = np.std(values, ddof=1) / math.sqrt(count)
    return Interval(mean, float(stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1) * error), count)


class Difference(NamedTuple):
    """A comparison with a baseline over the same seeds.

    Attributes:
      interval: Of the differences; not corrected for other comparisons.
      p_value: Of the paired t test; where all differences are equal, which a t test cannot take, of the sign test. 1 where
        all differences are 0 or there are fewer than two.
      same: Whether all differences are 0.
    """

    interval: Interval
    p_value: float
    same: bool


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """Compares figures with those of a baseline, seed by seed.

    Args:
      values: Seed to figure.
      baseline: The same; seeds that only one of them has are skipped.

    Returns:
      `None` if no seed has both.
    """
    differences = [values[seed] - baseline[seed] for seed in values if seed in baseline]
    if not differences:
        return None
    found = interval(differences)
    if found.seeds < 2 or not any(differences):
        return Difference(found, 1.0, not any(differences))
    if np.ptp(differences) < _EQUAL:
        return Difference(found, 2 * 0.5**found.seeds, False)
    return Difference(found, float(stats.ttest_1samp(differences, 0.0).pvalue), False)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p values corrected by Holm's method: the chance of any false finding among all of them stays bounded.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def verdicts(differences: Sequence[Difference], higher_is_better: bool) -> list[str]:
    """Says of each comparison of a family what it shows, corrected by Holm's method for all of them.

    Returns:
      `BETTER` or `WORSE` where the corrected p value is below 1 - `CONFIDENCE`, `SAME` where all differences are 0, else
      `NOT_SHOWN`.
    """
    corrected = holm([difference.p_value for difference in differences])
    return [_verdict(*each, higher_is_better) for each in zip(differences, corrected, strict=True)]


def _verdict(difference, p_value, higher_is_better):
    if difference.same:
        return SAME
    if p_value >= 1 - CONFIDENCE:
        return NOT_SHOWN
    return BETTER if (difference.interval.mean > 0) == higher_is_better else WORSE
