import numpy as np
import pytest

from data import DataError
from data.pipeline.mixture import mixture, smooth_pattern, whole_shares


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ((1,), (1,)),
        ((2.0, 2.0, 2.0), (1, 1, 1)),
        ((0.7, 0.2, 0.1), (7, 2, 1)),
        ((1, 0.5), (2, 1)),
        ((1 / 3, 2 / 3), (1, 2)),
        ((1, np.pi), (241, 759)),  # no short period
        ((np.float32(3), np.int64(1)), (3, 1)),
        ((999, 1.1), (999, 1)),
    ],
)
def test_weights_become_small_whole_shares(weights, shares):
    assert whole_shares(weights) == shares


@pytest.mark.parametrize("weights", [(1, 0), (1, -1), (1, float("nan")), (1, float("inf")), (1, True), ("1", 1)])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(DataError, match="weights of a mixture should be numbers > 0. Found"):
        whole_shares(weights)


def test_a_weight_too_small_for_any_turn_is_refused():
    with pytest.raises(DataError, match="a thousandth of their sum or more"):
        whole_shares((1, 1e-5))


def test_equal_shares_take_turns_and_others_are_spread():
    assert smooth_pattern((1, 1, 1)).tolist() == [0, 1, 2]
    # By hand, credits before each turn: 5 1 1, 3 2 2, 1 3 3, 6 -3 4, 4 -2 5, 9 -1 -1, 7 0 0.
    assert smooth_pattern((5, 1, 1)).tolist() == [0, 0, 1, 0, 2, 0, 0]


@pytest.mark.parametrize("weights", [(1, 1, 1), (5, 1, 1), (0.7, 0.2, 0.1), (13, 8, 5, 3)])
@pytest.mark.parametrize("pipelines", [1, 2, 4])
def test_every_batch_holds_the_shares(weights, pipelines):
    """Each pipeline's batch and the whole one are off by less than two clips, wherever they lie."""
    batch, steps = 24, 50
    shares = np.array(weights) / sum(weights)
    parts = [mixture(weights, batch, pipelines, pipeline) for pipeline in range(pipelines)]
    own = batch // pipelines
    places = np.arange(steps * own)
    sources = np.stack([part.pattern[places % len(part.pattern)].reshape(steps, own) for part in parts], axis=1)
    for width, rows in ((own, sources.reshape(-1, own)), (batch, sources.reshape(steps, batch))):
        counts = np.stack([np.bincount(row, minlength=len(weights)) for row in rows])
        assert np.abs(counts - shares * width).max() < 2


@pytest.mark.parametrize("pipelines", [1, 2, 3])
def test_counts_and_turns_of_any_place_are_those_of_counting(pipelines):
    for pipeline in range(pipelines):
        part = mixture((4, 2, 1), 6, pipelines, pipeline)
        turns = list(part.turns(0).take(70).as_numpy_iterator())
        for place in (0, 1, 13, 35, 69):
            assert part.counts(place) == np.bincount(turns[:place], minlength=3).tolist()
            assert list(part.turns(place).take(70 - place).as_numpy_iterator()) == turns[place:]
    assert sum(part.counts(7 * 10**15)) == 7 * 10**15
