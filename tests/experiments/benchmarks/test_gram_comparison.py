import numpy as np
import pytest

from experiments.benchmarks.gram_comparison import agreement


def test_agreement_counts_the_steps_in_which_both_have_a_cosine():
    cosines = {
        "exact": np.array([0.3, -0.2, 0.1, np.nan, 0.05]),
        "features": np.array([0.2, 0.1, 0.2, 0.4, np.nan]),
    }
    found = agreement(cosines, gamma=0.15)
    assert (
        found["exact"]["same_sign"] == 1
        and found["exact"]["correlation"] == pytest.approx(1)
        and found["exact"]["steps"] == 4
    )
    features = found["features"]
    assert features["steps"] == 3 and features["conflict_rate"] == 0
    assert features["same_sign"] == pytest.approx(2 / 3)  # all but the second
    assert features["same_gate"] == pytest.approx(2 / 3)  # all but the third
