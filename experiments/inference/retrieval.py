"""Zero-shot retrieval: ranks by cosine similarity, and what is read from them."""

import numpy as np

_QUERIES_AT_ONCE = 1024  # bounds the memory for the similarities
# Similarities nearer than this are ties: float32 cannot tell them apart.
_TIE = 1e-6


def ranks(queries: np.ndarray, gallery: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Returns the rank, from 1, of each query's own clip among all clips of the gallery.

    Our choice for ties: all clips that are as similar as the right one stand before it. So a model that maps everything
    to one point gets the last rank everywhere, not the first.

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
      `r1`, `r5` and `r10` as fractions, `median_rank`, `gallery`; `chance`, what an order drawn at random gets. It is not
      that of a constant answer (`experiments.classifiers.constant_answer`): one that is the same for all clips gives no order.
    """
    recalls = {f"r{k}": float(np.mean(ranks_from_one <= k)) for k in (1, 5, 10)}
    chance = {f"r{k}": min(k / gallery, 1.0) for k in (1, 5, 10)}
    return {
        **recalls,
        "median_rank": float(np.median(ranks_from_one)),
        "gallery": gallery,
        "chance": {**chance, "median_rank": (gallery + 1) / 2},
    }


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Returns `vectors` [..., dim] with an l2 norm of 1; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
