import itertools
import math

import numpy as np
import pytest
from scipy import stats

from experiments.studies.statistics import BETTER, NOT_SHOWN, SAME, WORSE, holm, interval, paired_difference, verdicts


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
    assert verdicts([weak, clear, same], higher_is_better=True) == [NOT_SHOWN, BETTER, SAME]
    assert verdicts([clear], higher_is_better=False) == [WORSE]
