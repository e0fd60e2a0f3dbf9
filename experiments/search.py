"""Finds the clips that fit a sentence, by the cosine in the video-text space."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.retrieval import normalized


@dataclasses.dataclass(frozen=True)
class Hit:
    """A clip that was found: the cosine of its embedding and the sentence's, and where the clip is."""

    similarity: float
    file: str
    start_seconds: float
    end_seconds: float


def best_clips(query: np.ndarray, clips: Mapping[str, np.ndarray], top: int) -> list[Hit]:
    """Returns the `top` most similar clips that have a video, the best first.

    Args:
      query: The sentence's embedding [dim].
      clips: What `experiments.file_embeddings.embed_files` returns.
      top: How many, at most.
    """
    similarities = normalized(clips["video_text_video"]) @ normalized(query)
    found = np.flatnonzero(clips["has_video"])
    order = found[np.argsort(-similarities[found], kind="stable")][:top]
    places = (clips[name] for name in ("file", "start_seconds", "end_seconds"))
    columns = zip(similarities[order], *(values[order] for values in places), strict=True)
    return [Hit(float(similarity), str(file), float(start), float(end)) for similarity, file, start, end in columns]


def format_hits(text: str, hits: Sequence[Hit]) -> str:
    """Returns a table: rank, similarity, file, from - to in seconds."""
    width = max(len(hit.file) for hit in hits)
    lines = [
        f"{rank:4d}  {hit.similarity:+.3f}  {hit.file:{width}}  {hit.start_seconds:.1f} - {hit.end_seconds:.1f} s"
        for rank, hit in enumerate(hits, 1)
    ]
    return "\n".join([text, *lines])
