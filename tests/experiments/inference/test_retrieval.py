import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from experiments.inference.retrieval import mean_similarity_ranks, metrics, normalized, ranks, top_clips


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
        "r1": 1 / 6, "r5": 3 / 6, "r10": 5 / 6, "median_rank": 5.5, "gallery": 20,
        "chance": {"r1": 0.05, "r5": 0.25, "r10": 0.5, "median_rank": 10.5},
    }  # fmt: skip


def test_chance_is_at_most_certain():
    assert metrics(np.array([1, 2, 3]), gallery=3)["chance"] == {"r1": 1 / 3, "r5": 1.0, "r10": 1.0, "median_rank": 2.0}


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
