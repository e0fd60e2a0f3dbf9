"""Statistics over seeds: intervals of means and shares, paired differences, equivalence, correction for many comparisons."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
BETTER, WORSE, EQUAL, UNDECIDED, SAME = "better", "worse", "equal", "undecided", "same"
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
      equivalence_p_value: Of the test that the mean difference is smaller than the margin; `None` without a margin.
    """

    interval: Interval
    p_value: float
    same: bool
    equivalence_p_value: float | None = None


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], margin: float | None = None
) -> Difference | None:
    """Compares figures with those of a baseline, seed by seed.

    Args:
      values: Seed to figure.
      baseline: The same; seeds that only one of them has are skipped.
      margin: Differences smaller than this do not matter; `None` for no test of equivalence.

    Returns:
      `None` if no seed has both.
    """
    differences = [values[seed] - baseline[seed] for seed in values if seed in baseline]
    if not differences:
        return None
    equivalent = None if margin is None else equivalence_p_value(differences, margin)
    return Difference(interval(differences), _difference_p_value(differences), not any(differences), equivalent)


def _difference_p_value(differences: Sequence[float]) -> float:
    if len(differences) < 2 or not any(differences):
        return 1.0
    if np.ptp(differences) < _EQUAL:
        return 2 * 0.5 ** len(differences)
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def equivalence_p_value(differences: Sequence[float], margin: float) -> float:
    """Tests whether a mean lies within ± `margin`, by two one-sided t tests.

    Source: Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach for assessing the
    equivalence of average bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15.

    Args:
      differences: One per seed.
      margin: Above 0.

    Returns:
      The larger of the two p values; of sign tests where all differences are equal, 1 for fewer than two.
    """
    if len(differences) < 2:
        return 1.0
    if np.ptp(differences) < _EQUAL:
        return 0.5 ** len(differences) if abs(differences[0]) < margin else 1.0
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    return float(max(above, below))


class Share(NamedTuple):
    """A ratio of two means over the same seeds, with its confidence interval; both bounds are NaN where it has no end."""

    ratio: float
    low: float
    high: float
    seeds: int


def share(parts: Sequence[float], wholes: Sequence[float]) -> Share:
    """Returns the ratio of two means with Fieller's `CONFIDENCE` interval for pairs.

    The interval holds every ratio r for which a paired t test does not tell `parts` from r times `wholes`. It has ends only
    where the mean of `wholes` differs from 0 by more than chance.

    Source: Fieller (1954), "Some problems in interval estimation", Journal of the Royal Statistical Society B 16.

    Args:
      parts: One per seed.
      wholes: One per seed; their mean is not 0.

    Raises:
      ValueError: There are no values, or the mean of `wholes` is 0.
    """
    count, whole = len(parts), float(np.mean(wholes)) if len(wholes) else 0.0
    if whole == 0:
        raise ValueError("a share needs at least one pair of values, and wholes whose mean is not 0")
    part = float(np.mean(parts))
    if count < 2:
        return Share(part / whole, math.nan, math.nan, count)
    errors = np.cov(parts, wholes) / count * stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1) ** 2
    square, half, constant = whole**2 - errors[1, 1], part * whole - errors[0, 1], part**2 - errors[0, 0]
    if square <= 0:
        return Share(part / whole, math.nan, math.nan, count)
    root = math.sqrt(max(0.0, half**2 - square * constant))
    return Share(part / whole, float((half - root) / square), float((half + root) / square), count)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p values corrected by Holm's method: the chance of any false finding among all of them stays bounded.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def verdicts(differences: Sequence[Difference], higher_is_better: bool, family: int | None = None) -> list[str]:
    """Says of each comparison of a family what it shows.

    The tests for a difference are corrected by Holm's method for all comparisons, and so, apart from them, are those for
    equivalence: the chance of any false `BETTER` or `WORSE` in the family stays below 1 - `CONFIDENCE`, and so does the
    chance of any false `EQUAL`.

    Args:
      differences: Those that are tested.
      higher_is_better: Of the figure.
      family: How many comparisons there are in all; `None` if these are all. Those that are tested later change no `BETTER`
        or `WORSE`. An `EQUAL` may still become one of these: a difference that is shown, though smaller than the margin.

    Returns:
      `SAME` where all differences are 0, else `BETTER` or `WORSE` where a difference is shown, else `EQUAL` where
      equivalence is, else `UNDECIDED`.
    """
    untested = [1.0] * ((family or len(differences)) - len(differences))
    p_values = [1.0 if each.equivalence_p_value is None else each.equivalence_p_value for each in differences]
    differ = holm([difference.p_value for difference in differences] + untested)[: len(differences)]
    equivalent = holm(p_values + untested)[: len(differences)]
    return [_verdict(*each, higher_is_better) for each in zip(differences, differ, equivalent, strict=True)]


def _verdict(difference, p_value, equivalence_p_value, higher_is_better):
    if difference.same:
        return SAME
    if p_value < 1 - CONFIDENCE:
        return BETTER if (difference.interval.mean > 0) == higher_is_better else WORSE
    return EQUAL if equivalence_p_value < 1 - CONFIDENCE else UNDECIDED
