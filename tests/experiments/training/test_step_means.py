"""Means over the steps that measured something."""

import math

import numpy as np
import pytest

from experiments.training.step_means import conflict_rate, mean_cosine, measured_mean

NAN = math.nan


@pytest.mark.parametrize(
    ("cosines", "mean", "rate"),
    [
        ([-0.5, 0.5, -0.1, NAN], -0.1 / 3, 2 / 3),
        ([0.5] * 4, 0.5, 0),
        ([NAN] * 4, 0, 0),
        ([0.0, -0.5], -0.25, 0.5),
        ([], 0, 0),
    ],
)
def test_only_steps_with_a_cosine_count(cosines, mean, rate):
    cosines = np.array(cosines, np.float64)
    assert mean_cosine(cosines) == pytest.approx(mean) and conflict_rate(cosines) == pytest.approx(rate)


def test_norms_are_averaged_over_the_steps_that_measured_them():
    norms = np.array([[1.0, NAN], [NAN, NAN], [3.0, NAN]])
    np.testing.assert_array_equal(measured_mean(norms), [2.0, NAN])
