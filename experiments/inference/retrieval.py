"""Zero-shot retrieval: ranks by cosine similarity, and what is read from them."""

from collections.abc import Mapping

import numpy as np

_QUERIES_AT_ONCE = 1024  # bounds the memory for the similarities
# Similarities nearer than this are ties: float32 cannot tell them apart.
_TIE = 1e-6
_RECALLS = (1, 5, 10)
_SEED, _RESAMPLES, _LEVEL = 1, 1000, 0.95


def ranks(queries: np.ndarray, gallery: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Returns the rank, from 1, of each query's own clip among all clips of the gallery.

    Our choice for ties: all clips that are as similar as the right one stand before it. So a model that maps everything
    to one point gets the last rank everywhere, not the first. An embedding of zeros is equally similar, 0, to all.

    Args:
      queries: float [queries, dim].
      gallery: float [clips, dim].
      own: int [queries], the gallery clip that each query asks for; by default query i asks for clip i.

    Returns:
      int64 [queries].
    """
    return _product_ranks(normalized(queries), normalized(gallery), own)


def mean_similarity_ranks(queries: np.ndarray, windows: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Returns the ranks by the mean of a query's similarities to a clip's windows; else like `ranks`.

    Args:
      queries: float [queries, dim].
      windows: float [clips, windows, dim].
      own: int [queries], as for `ranks`.
    """
    # The mean of inner products is the inner product with the mean.
    return _product_ranks(normalized(queries), normalized(windows).mean(axis=1), own)


def best_own_ranks(queries: np.ndarray, gallery: np.ndarray, asks_for: np.ndarray) -> np.ndarray:
    """Returns the rank, from 1, of the best of each query's own entries, such as a video's sentences among all sentences.

    Ties are as in `ranks`: all entries of others that are as similar stand before it. Its own never do.

    Args:
      queries: float [queries, dim].
      gallery: float [entries, dim]; every query has an entry of its own at least.
      asks_for: int [entries], the query that each entry belongs to.

    Returns:
      int64 [queries].
    """
    queries, gallery, found = normalized(queries), normalized(gallery), np.empty(len(queries), np.int64)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        rows = np.arange(start, min(start + _QUERIES_AT_ONCE, len(queries)))
        similarities, own = queries[rows] @ gallery.T, asks_for == rows[:, np.newaxis]
        best = np.max(similarities, axis=1, where=own, initial=-np.inf, keepdims=True)
        found[rows] = 1 + np.sum((similarities > best - _TIE) & ~own, axis=1)
    return found


def _product_ranks(queries, gallery, own):
    own = np.arange(len(queries)) if own is None else own
    found = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        rows = slice(start, start + _QUERIES_AT_ONCE)
        similarities = queries[rows] @ gallery.T
        right = np.sum(queries[rows] * gallery[own[rows]], axis=1, keepdims=True)
        # The own clip's similarity, computed twice, may differ by rounding; it always counts.
        found[rows] = np.maximum(np.sum(similarities > right - _TIE, axis=1), 1)
    return found


def top_clips(queries: np.ndarray, gallery: np.ndarray, count: int) -> np.ndarray:
    """Returns the `count` most similar gallery clips of each query, best first: int64 [queries, count]."""
    return np.argsort(-cosines(queries, gallery), axis=1, kind="stable")[:, :count]


def cosines(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Returns the cosine similarity of every query and every clip: [queries, clips]."""
    return normalized(queries) @ normalized(gallery).T


def metrics(ranks_from_one: np.ndarray, gallery: int) -> dict:
    """Summarizes ranks.

    Args:
      ranks_from_one: int [queries].
      gallery: How many clips were ranked.

    Returns:
      `r1`, `r5` and `r10` as fractions, `median_rank`, `mean_rank`, `gallery`; `chance`, what an order drawn at random gets.
      It is not that of a constant answer (`experiments.classifiers.constant_answer`): one that is the same for all clips
      gives no order.
    """
    middle = (gallery + 1) / 2
    return {
        **_summary(ranks_from_one),
        "gallery": gallery,
        "chance": {f"r{k}": min(k / gallery, 1.0) for k in _RECALLS} | {"median_rank": middle, "mean_rank": middle},
    }


def best_own_chance(counts: np.ndarray, entries: int) -> dict[str, float]:
    """Returns what an order drawn at random gets where ranks are `best_own_ranks`.

    Args:
      counts: int [queries], how many entries each query has of its own; at least one.
      entries: Of all queries together, or more.

    Returns:
      `r1`, `r5`, `r10`, `median_rank` and `mean_rank`.
    """
    places = np.arange(entries)[:, np.newaxis]
    kinds, shares = np.unique(counts, return_counts=True)
    # The probability that none of the entries up to a place is the query's own.
    misses = np.cumprod(np.maximum(entries - kinds - places, 0) / (entries - places), axis=0)
    found = 1 - misses @ (shares / len(counts))
    # They differ if exactly half of the probability lies below.
    middles = np.argmax(found >= 0.5 - _TIE), np.argmax(found > 0.5 + _TIE)
    return {f"r{k}": float(found[min(k, entries) - 1]) for k in _RECALLS} | {
        "median_rank": float(1 + np.mean(middles)),
        "mean_rank": float(np.mean((entries + 1) / (counts + 1))),
    }


def intervals(ranks_from_one: np.ndarray, own: np.ndarray | None = None) -> dict[str, dict[str, float]]:
    """Returns 95 % confidence intervals of the figures of `metrics`, by the percentile bootstrap over clips.

    Clips are drawn again, each with all of its queries; the gallery stays as it is. So an interval says how much the
    figure depends on which clips were asked for, not on the training: for that, train with other seeds. Where all
    clips agree, as with R@10 of 0, the interval is a single point, which is too narrow. The draws are keyed by the
    number of clips alone, so that all directions between the same clips are resampled alike.

    Args:
      ranks_from_one: int [queries].
      own: int [queries], the clip of each query; by default each has its own.

    Returns:
      For `r1`, `r5`, `r10`, `median_rank` and `mean_rank`: `low` and `high`.
    """
    clips, clip_of_query = np.unique(np.arange(len(ranks_from_one)) if own is None else own, return_inverse=True)
    generator = np.random.default_rng([_SEED, len(clips)])
    drawn = []
    for _ in range(_RESAMPLES):
        times = np.bincount(generator.integers(len(clips), size=len(clips)), minlength=len(clips))
        drawn.append(_summary(np.repeat(ranks_from_one, times[clip_of_query])))
    tails = [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]
    bounds = {name: np.quantile([each[name] for each in drawn], tails) for name in drawn[0]}
    return {name: {"low": float(low), "high": float(high)} for name, (low, high) in bounds.items()}


def _summary(ranks_from_one: np.ndarray) -> Mapping[str, float]:
    recalls = {f"r{k}": float(np.mean(ranks_from_one <= k)) for k in _RECALLS}
    return {**recalls, "median_rank": float(np.median(ranks_from_one)), "mean_rank": float(np.mean(ranks_from_one))}


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Returns `vectors` [..., dim] with an l2 norm of 1; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
