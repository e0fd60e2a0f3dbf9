import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import bootstrap, rankdata

from experiments.inference.retrieval import (
    best_own_chance,
    best_own_ranks,
    intervals,
    mean_similarity_ranks,
    metrics,
    normalized,
    ranks,
    top_clips,
)


def brute_force_ranks(queries, gallery):
    found = []
    for i, query in enumerate(queries):
        cosines = [query @ clip / np.linalg.norm(query) / np.linalg.norm(clip) for clip in gallery]
        found.append(sum(cosine >= cosines[i] - 1e-9 for cosine in cosines))
    return found


@pytest.mark.parametrize("clips", [1, 7, 150])
def test_ranks_agree_with_brute_force(clips):
    generator = np.random.default_rng(clips)
    gallery = generator.normal(size=(clips, 5)) * generator.uniform(0.1, 10, size=(clips, 1))
    queries = gallery + generator.normal(size=(clips, 5))
    assert ranks(queries, gallery).tolist() == brute_force_ranks(queries, gallery)


def test_no_query_is_dropped_where_the_queries_are_taken_in_parts(monkeypatch):
    generator = np.random.default_rng(0)
    queries, gallery = generator.normal(size=(2, 10, 4))
    expected = ranks(queries, gallery)
    monkeypatch.setattr("experiments.inference.retrieval._QUERIES_AT_ONCE", 4)
    assert ranks(queries, gallery).tolist() == expected.tolist()


def test_a_known_gallery():
    gallery = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    queries = np.array([[2.0, 0.1], [1.0, 0.0], [1.0, 0.0]])
    assert ranks(queries, gallery).tolist() == [1, 2, 3]
    assert top_clips(queries, gallery, 2).tolist() == [[0, 1], [0, 1], [0, 1]]


def test_ties_stand_before_the_right_clip():
    gallery = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert ranks(gallery, gallery).tolist() == [2, 2, 1]


def test_a_model_that_collapsed_is_last_everywhere():
    same = np.full((300, 24), 0.3, np.float32) + np.arange(24, dtype=np.float32)
    found = ranks(same, same)
    assert set(found) == {300}
    assert metrics(found, 300)["r10"] == 0.0


def test_embeddings_of_zeros_find_nothing():
    gallery = np.random.default_rng(0).normal(size=(5, 3))
    assert ranks(np.zeros((5, 3)), gallery).tolist() == [5] * 5
    assert not normalized(np.zeros((2, 3))).any()


def test_metrics_and_chance():
    found = metrics(np.array([1, 2, 5, 6, 10, 11]), gallery=20)
    assert found == {
        "r1": 1 / 6, "r5": 3 / 6, "r10": 5 / 6, "median_rank": 5.5, "mean_rank": 35 / 6, "gallery": 20,
        "chance": {"r1": 0.05, "r5": 0.25, "r10": 0.5, "median_rank": 10.5, "mean_rank": 10.5},
    }  # fmt: skip


def test_chance_is_at_most_certain():
    chance = metrics(np.array([1, 2, 3]), gallery=3)["chance"]
    assert chance == {"r1": 1 / 3, "r5": 1.0, "r10": 1.0, "median_rank": 2.0, "mean_rank": 2.0}


def test_chance_is_what_random_embeddings_get():
    generator = np.random.default_rng(3)
    found = metrics(ranks(*generator.normal(size=(2, 2000, 8))), gallery=2000)
    assert found["median_rank"] == pytest.approx(found["chance"]["median_rank"], rel=0.08)
    assert found["r10"] == pytest.approx(found["chance"]["r10"], abs=0.006)


def test_several_queries_may_ask_for_one_clip():
    generator = np.random.default_rng(1)
    gallery, own = generator.normal(size=(7, 5)), np.array([3, 0, 0, 6, 3])
    queries = gallery[own] + generator.normal(size=(5, 5))
    expected = [brute_force_ranks([query] * 7, gallery)[clip] for query, clip in zip(queries, own, strict=True)]
    assert ranks(queries, gallery, own).tolist() == expected


def test_averaged_similarities_are_means_over_the_windows():
    generator = np.random.default_rng(2)
    windows = generator.normal(size=(9, 4, 5)) * generator.uniform(0.1, 10, size=(9, 4, 1))
    queries, own = generator.normal(size=(13, 5)), generator.integers(0, 9, 13)
    cosines = 1 - cdist(queries, windows.reshape(36, 5), "cosine").reshape(13, 9, 4).mean(axis=2)
    expected = rankdata(-cosines, method="max", axis=1)[np.arange(13), own]
    assert mean_similarity_ranks(queries, windows, own).tolist() == expected.tolist()
    assert mean_similarity_ranks(queries, windows, own).tolist() != ranks(queries, windows.mean(axis=1), own).tolist()


def exact_similarity(query, clip):
    """The cosine of whole numbers, squared and with its sign, as a fraction, so that ties are ties."""
    product = sum(int(a) * int(b) for a, b in zip(query, clip, strict=True))
    norms = sum(int(a) ** 2 for a in query) * sum(int(b) ** 2 for b in clip)
    return Fraction(product * abs(product), norms) if norms else Fraction(0)


def exact_figures(queries, gallery, own):
    """Figures of retrieval by counting, without NumPy's ranks, sorting or products."""
    found = []
    for query, right in zip(queries, own, strict=True):
        similarities = [exact_similarity(query, clip) for clip in gallery]
        found.append(sum(similarity >= similarities[right] for similarity in similarities))
    ordered, count = sorted(found), len(found)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    recalls = {f"r{k}": sum(rank <= k for rank in found) / count for k in (1, 5, 10)}
    return found, {**recalls, "median_rank": middle, "mean_rank": sum(found) / count}


def test_a_thousand_cases_with_ties_agree_with_exact_counting():
    tied = 0
    for case in range(1000):
        generator = np.random.default_rng(case)
        clips, queries, dim = generator.integers(1, 16), generator.integers(1, 8), generator.integers(1, 4)
        gallery = generator.integers(-2, 3, size=(clips, dim))
        asked, own = generator.integers(-2, 3, size=(queries, dim)), generator.integers(0, clips, queries)
        expected, figures = exact_figures(asked, gallery, own)
        found = ranks(asked.astype(np.float32), gallery.astype(np.float32), own)
        assert found.tolist() == expected, case
        assert {name: metrics(found, clips)[name] for name in figures} == pytest.approx(figures)
        strictly = [
            1 + sum(exact_similarity(query, clip) > exact_similarity(query, gallery[right]) for clip in gallery)
            for query, right in zip(asked, own, strict=True)
        ]
        tied += strictly != expected
    assert tied > 500


def test_intervals_are_those_of_the_percentile_bootstrap():
    found = np.random.default_rng(4).geometric(0.08, size=300)
    ours = intervals(found)
    assert ours == intervals(found)
    for name, statistic in {"r10": lambda x, axis: np.mean(x <= 10, axis=axis), "mean_rank": np.mean}.items():
        theirs = bootstrap((found,), statistic, method="percentile", n_resamples=5000, rng=1).confidence_interval
        spread = theirs.high - theirs.low
        assert list(ours[name].values()) == pytest.approx([theirs.low, theirs.high], abs=0.12 * spread)
    assert all(
        ours[name]["low"] <= value <= ours[name]["high"] for name, value in metrics(found, 300).items() if name in ours
    )


def test_queries_of_one_clip_are_drawn_together():
    own = np.repeat(np.arange(40), 25)
    of_clips = np.random.default_rng(0).integers(1, 20, size=40)
    assert intervals(of_clips[own], own) == intervals(of_clips)
    apart = intervals(of_clips[own])["r10"]
    together = intervals(of_clips[own], own)["r10"]
    assert together["high"] - together["low"] > 3 * (apart["high"] - apart["low"])
    assert intervals(np.full(7, 30))["r10"] == {"low": 0.0, "high": 0.0}


def test_the_best_of_several_own_entries_counts():
    generator = np.random.default_rng(5)
    for _ in range(50):
        asked = generator.integers(-2, 3, size=(4, 2))
        asks_for = np.concatenate([np.arange(4), generator.integers(0, 4, 5)])
        gallery = generator.integers(-2, 3, size=(9, 2))
        expected = []
        for number, query in enumerate(asked):
            similarities = [exact_similarity(query, entry) for entry in gallery]
            best = max(value for value, owner in zip(similarities, asks_for, strict=True) if owner == number)
            others = [value for value, owner in zip(similarities, asks_for, strict=True) if owner != number]
            expected.append(1 + sum(value >= best for value in others))
        assert best_own_ranks(asked.astype(np.float32), gallery.astype(np.float32), asks_for).tolist() == expected


def test_chance_of_the_best_own_entry_is_that_of_all_orders():
    owners = (0, 0, 1, 1, 1)
    firsts = [[order.index(owner) + 1 for owner in (0, 1)] for order in set(itertools.permutations(owners))]
    found = best_own_chance(np.array([2, 3]), 5)
    assert found["r1"] == pytest.approx(np.mean(np.array(firsts) <= 1)) and found["r5"] == found["r10"] == 1.0
    assert found["mean_rank"] == pytest.approx(np.mean(firsts)) and found["median_rank"] == np.median(firsts)
    alone = best_own_chance(np.ones(7, int), 20)
    assert alone == pytest.approx(metrics(np.arange(1, 21), 20)["chance"])
