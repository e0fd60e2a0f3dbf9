import itertools
import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from experiments.evaluation.statistics import (
    BETTER,
    EQUAL,
    SAME,
    UNDECIDED,
    WORSE,
    equivalence_p_value,
    holm,
    interval,
    paired_difference,
    share,
    verdicts,
)


def test_an_interval_is_students():
    found = interval([1.0, 2.0, 4.0])
    # Mean 7/3, deviation sqrt(7/3), Student's t with two degrees of freedom: 4.302653.
    assert found.mean == pytest.approx(7 / 3) and found.seeds == 3
    assert found.half_width == pytest.approx(4.302653 * math.sqrt(7 / 3) / math.sqrt(3), rel=1e-6)
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem([1.0, 2.0, 4.0]))
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high))


def test_an_interval_covers_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(3.0, 2.0, [4000, 5])
    covered = [abs(found.mean - 3.0) <= found.half_width for found in map(interval, draws)]
    assert 0.94 < np.mean(covered) < 0.96


def test_one_value_has_no_interval_and_none_is_refused():
    assert interval([5.0])[::2] == (5.0, 1) and math.isnan(interval([5.0]).half_width)
    with pytest.raises(ValueError, match="at least one value"):
        interval([])


def test_differences_are_paired_by_seed():
    values, baseline = {3: 5.0, 1: 4.0, 2: 9.0, 7: 100.0}, {1: 3.0, 2: 6.0, 3: 5.5, 8: -100.0}
    found = paired_difference(values, baseline)
    assert found.interval == interval([-0.5, 1.0, 3.0])
    assert found.p_value == pytest.approx(stats.ttest_rel([5.0, 4.0, 9.0], [5.5, 3.0, 6.0]).pvalue) and not found.same
    assert paired_difference({1: 1.0}, {2: 1.0}) is None


def test_differences_without_spread_are_not_taken_for_certain():
    same = paired_difference({1: 0.3, 2: 0.5}, {1: 0.3, 2: 0.5})
    assert same.same and same.p_value == 1.0
    equal = paired_difference({1: 0.3, 2: 0.5, 3: 0.7}, {1: 0.2, 2: 0.4, 3: 0.6})
    assert not equal.same and equal.p_value == pytest.approx(stats.binomtest(3, 3).pvalue)
    alone = paired_difference({1: 0.3}, {1: 0.2})
    assert not alone.same and alone.p_value == 1.0


def test_holm_by_hand_and_in_any_order():
    # Smallest first: 4 x 0.005, 3 x 0.01, 2 x 0.03, then 0.04, which may not be below the one before.
    p_values, corrected = [0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]
    for order in itertools.permutations(range(4)):
        assert holm([p_values[i] for i in order]) == pytest.approx([corrected[i] for i in order])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_holm_bounds_the_chance_of_any_false_finding():
    draws = np.random.default_rng(1).uniform(size=[4000, 10])
    assert np.mean([min(holm(row)) < 0.05 for row in draws]) < 0.06


def test_verdicts_look_at_the_whole_family():
    clear = paired_difference({seed: seed + 10.0 + 0.1 * (seed % 2) for seed in range(5)}, dict(enumerate(range(5))))
    weak = paired_difference(dict(enumerate([1.0, 2.0, 0.4, 1.5, 0.2])), dict.fromkeys(range(5), 0.0))
    same = paired_difference({1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.0})
    assert 0.025 < weak.p_value < 0.05
    assert verdicts([weak], higher_is_better=True) == [BETTER]  # alone
    assert verdicts([weak, clear, same], higher_is_better=True) == [UNDECIDED, BETTER, SAME]
    assert verdicts([clear], higher_is_better=False) == [WORSE]
    assert verdicts([weak, clear], higher_is_better=True, family=3) == [UNDECIDED, BETTER]
    assert verdicts([weak], higher_is_better=True, family=2) == [UNDECIDED]


def upper_tail(t: float, freedom: int) -> float:
    """Student's t distribution by the incomplete beta function."""
    tail = special.betainc(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    return tail if t > 0 else 1 - tail


@pytest.mark.parametrize("mean, spread, count", [(0.0, 2.0, 24), (1.5, 3.0, 8), (-2.9, 1.0, 24), (4.0, 2.0, 8)])
def test_equivalence_is_two_one_sided_tests(mean, spread, count):
    draws = np.random.default_rng(count).normal(mean, spread, count)
    error = math.sqrt(sum((draws - draws.mean()) ** 2) / (count - 1) / count)
    tails = [upper_tail((3.0 - side * draws.mean()) / error, count - 1) for side in (-1, 1)]
    assert equivalence_p_value(draws, 3.0) == pytest.approx(max(tails), rel=1e-9)
    # At 5 % it is the same as a 90 % interval that lies within the margin.
    low, high = stats.t.interval(0.9, count - 1, loc=draws.mean(), scale=error)
    assert (equivalence_p_value(draws, 3.0) < 0.05) == (-3.0 < low and high < 3.0)


def test_equivalence_is_rarely_claimed_at_the_margin_and_often_at_none():
    def claimed(mean):
        draws = np.random.default_rng(2).normal(mean, 4.0, [2000, 24])
        return np.mean([equivalence_p_value(row, 3.0) < 0.05 for row in draws])

    assert 0.035 < claimed(3.0) < 0.065 and 0.035 < claimed(-3.0) < 0.065 and claimed(0.0) > 0.9


def test_equivalence_without_spread_or_seeds_is_not_taken_for_certain():
    assert equivalence_p_value([1.0] * 5, 3.0) == 0.5**5 and equivalence_p_value([4.0] * 5, 3.0) == 1.0
    assert equivalence_p_value([0.1], 3.0) == 1.0
    assert paired_difference({1: 1.0, 2: 2.0}, {1: 0.0, 2: 3.0}).equivalence_p_value is None


@pytest.mark.parametrize("seed", range(4))
def test_a_share_holds_the_ratios_that_a_paired_test_does_not_refuse(seed):
    generator = np.random.default_rng(seed)
    wholes = generator.normal(10.0, 3.0, 8)
    parts = 0.4 * wholes + generator.normal(0.0, 2.0, 8)
    found = share(parts, wholes)
    assert found.ratio == pytest.approx(sum(parts) / sum(wholes)) and found.seeds == 8

    def excess(ratio):
        return stats.ttest_1samp(parts - ratio * wholes, 0.0).pvalue - 0.05

    assert found.low == pytest.approx(optimize.brentq(excess, found.ratio - 5, found.ratio, xtol=1e-12))
    assert found.high == pytest.approx(optimize.brentq(excess, found.ratio, found.ratio + 5, xtol=1e-12))


def test_a_share_of_what_may_be_nothing_has_no_interval():
    for found in (share([1.0, 2.0, 0.0], [3.0, -2.0, 1.0]), share([1.0], [2.0])):
        assert math.isnan(found.low) and math.isnan(found.high)
    for parts, wholes in (([], []), ([1.0, 2.0], [1.0, -1.0])):
        with pytest.raises(ValueError, match="mean is not 0"):
            share(parts, wholes)


def test_every_comparison_ends_in_one_of_four_ways():
    generator = np.random.default_rng(3)
    draws = {
        name: generator.normal(*of, 24) for name, of in dict(up=(6, 2), down=(-6, 2), near=(0, 2), wide=(2, 12)).items()
    }
    differences = [
        paired_difference(dict(enumerate(row)), dict.fromkeys(range(24), 0.0), 3.0) for row in draws.values()
    ]
    assert verdicts(differences, higher_is_better=True) == [BETTER, WORSE, EQUAL, UNDECIDED]
    # By hand: the smallest of four p values counts four times, and a later one never less than one before it.
    equivalent = [each.equivalence_p_value for each in differences]
    assert equivalent[2] == min(equivalent) and 4 * equivalent[2] < 0.05 < min(equivalent[:2] + equivalent[3:])
    # A clear case is corrected away in a large enough family.
    crowd = [differences[2]._replace(p_value=0.5, equivalence_p_value=0.02)] * 3
    assert verdicts(crowd[:1], True) == [EQUAL] and verdicts(crowd, True) == [UNDECIDED] * 3
    assert verdicts(crowd[:1], True, family=3) == [UNDECIDED]
