"""Weights of the clips' text and sound in the training batches."""

import numpy as np
import pytest

import data
from data import DataError, PairWeights

IDS = tuple(f"clip{number:03d}" for number in range(11))


def weights(text, audio, ids=IDS):
    return PairWeights(ids, np.float32(text), np.float32(audio))


@pytest.fixture
def batches(tiny, tiny_spec):
    """A function (pair_weights, sets=1, steps=3, **options) -> batches of 4 clips of 11, whose labels name their thirds."""

    def make(pair_weights, sets=1, steps=3, **options):
        options = dict(batch_size=4, seed=3, shuffle_window=4, video=False) | options
        stream = data.train_batches([tiny[0]] * sets, tiny_spec, tiny[1], pair_weights=pair_weights, **options)
        return list(stream.take(steps).as_numpy_iterator())

    return make


def joined(found, name):
    return np.concatenate([batch[name] for batch in found])


def test_what_weighs_nothing_is_taken_from_its_clip_and_all_else_stays(batches):
    text, audio = np.arange(11) / 10, np.where(np.arange(11) == 4, 0.0, 1.0)
    plain, weighed = batches(None), batches([weights(text, audio)])
    for name in plain[0].keys() - {"has_text", "has_audio"}:
        np.testing.assert_array_equal(joined(weighed, name), joined(plain, name), err_msg=name)
    found = joined(weighed, "text_weight")
    assert sorted(found[:11]) == sorted(np.float32(text))  # an epoch holds every clip once
    np.testing.assert_array_equal(joined(weighed, "has_text"), found > 0)
    np.testing.assert_array_equal(joined(weighed, "has_audio"), joined(weighed, "audio_weight") > 0)
    assert np.flatnonzero(~joined(weighed, "has_audio")[:11]).size == 1
    silent = np.float32(0.4) == found[:11]
    np.testing.assert_array_equal(~joined(weighed, "has_audio")[:11], silent)  # of the same clip


def test_a_later_start_gives_the_same_weights(batches):
    table = [weights(np.arange(11) / 10, np.arange(11) / 20)]
    for late, whole in zip(batches(table, start_step=2, steps=2), batches(table, steps=4)[2:], strict=True):
        assert late.keys() == whole.keys() >= {"text_weight", "audio_weight"}
        for name in late:
            np.testing.assert_array_equal(late[name], whole[name], err_msg=name)


def test_a_clip_has_the_same_row_whenever_it_comes(batches):
    table = [weights(np.arange(11) / 10, np.ones(11))]  # tells the clips apart
    found = batches(table, steps=6, clip_slots=1000)
    rows = {
        (float(clip), int(row))
        for clip, row in zip(joined(found, "text_weight"), joined(found, "clip_slot"), strict=True)
    }
    assert len(rows) == len({row for _, row in rows}) == 11 and all(0 <= row < 1000 for _, row in rows)
    (late,) = batches(table, start_step=5, steps=1, clip_slots=1000)
    np.testing.assert_array_equal(late["clip_slot"], found[5]["clip_slot"], strict=True)
    assert late["clip_slot"].dtype == np.int32 and "clip_slot" not in batches(table)[0]


def test_a_set_of_a_mixture_without_weights_counts_in_full(batches):
    found = batches([weights(np.full(11, 0.5), np.zeros(11)), None], sets=2)
    second = joined(found, "source") == 1
    np.testing.assert_array_equal(joined(found, "text_weight"), np.where(second, 1.0, 0.5))
    np.testing.assert_array_equal(joined(found, "has_audio"), second)
    with pytest.raises(DataError, match=r"one entry for each of the 2 sets\. Found 1"):
        batches([None], sets=2)


def test_clips_that_are_unknown_or_missing_are_named(tiny):
    ones = np.ones(11)
    weights(ones, ones).require_clips(tiny[0], "clips.csv")
    with pytest.raises(DataError, match=r"^clips\.csv should list the 11 clips.*Found 1 missing, such as 'clip000'\."):
        weights(ones[1:], ones[1:], IDS[1:]).require_clips(tiny[0], "clips.csv")
    other = ("other", *IDS[1:])
    with pytest.raises(
        DataError, match=r"Found 1 that are not in it, such as 'other' and 1 missing, such as 'clip000'"
    ):
        weights(ones, ones, other).require_clips(tiny[0], "clips.csv")
