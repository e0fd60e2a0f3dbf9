import numpy as np
import pytest
import tensorflow as tf

from harmonization import ConstantSchedule, CosineSchedule, LinearSchedule, StepSchedule


def _values(schedule, steps):
    gamma = tf.function(schedule)
    return [float(gamma(tf.constant(step, tf.int64))) for step in steps]


def test_constant():
    assert _values(ConstantSchedule(0.25), (0, 10**9)) == [0.25, 0.25]


def test_linear_goes_from_minus_0_3_to_0():
    schedule = LinearSchedule(steps=100)
    np.testing.assert_allclose(_values(schedule, (0, 50, 75, 100, 10**12)), [-0.3, -0.15, -0.075, 0, 0], atol=1e-7)
    assert _values(schedule, [100]) == [0.0]


def test_linear_is_exact_beyond_the_integers_of_float32():
    schedule = LinearSchedule(steps=2**30, start=0.0, end=0.5)
    np.testing.assert_allclose(_values(schedule, (2**29, 2**30)), [0.25, 0.5], rtol=1e-6)


def test_cosine_is_slow_at_both_ends():
    got = _values(CosineSchedule(100, -0.5, 0.5), (0, 10, 50, 90, 100, 500))
    edge = 0.5 * np.cos(np.pi / 10)
    np.testing.assert_allclose(got, [-0.5, -edge, 0, edge, 0.5, 0.5], atol=1e-6)


def test_step_changes_at_its_boundaries():
    schedule = StepSchedule((10, 20), (-0.5, 0.0, 0.25))
    assert _values(schedule, (0, 9, 10, 19, 20, 99)) == [-0.5, -0.5, 0.0, 0.0, 0.25, 0.25]


@pytest.mark.parametrize("schedule", [LinearSchedule(37), CosineSchedule(37), StepSchedule((5, 9), (-1, 0, 0))])
def test_never_decreases(schedule):
    assert np.all(np.diff(_values(schedule, range(0, 50))) >= 0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LinearSchedule(10, 0.5, 0.0), "not below it. Found start=0.5, end=0.0"),
        (lambda: CosineSchedule(10, float("nan"), 0.0), "finite `start`"),
        (lambda: LinearSchedule(0), "`steps` should be a whole number >= 1. Found 0"),
        (lambda: LinearSchedule(1.5), "`steps` should be a whole number >= 1. Found 1.5"),
        (lambda: ConstantSchedule(float("inf")), "finite `start`"),
        (lambda: StepSchedule((10,), (0.0,)), "one entry more.*Found 1 values and 1 boundaries"),
        (lambda: StepSchedule((10, 5), (0, 1, 2)), r"strictly increasing.*Found \(10, 5\)"),
        (lambda: StepSchedule((0,), (0, 1)), r"steps >= 1. Found \(0,\)"),
        (lambda: StepSchedule((5,), (1, 0)), r"`values` should not decrease. Found \(1.0, 0.0\)"),
    ],
)
def test_refuses_what_is_no_schedule(build, message):
    with pytest.raises(ValueError, match=message):
        build()
