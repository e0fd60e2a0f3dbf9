"""The six directions of retrieval between text, video and sound, of which the losses train four."""

import dataclasses

import numpy as np

from experiments.inference import retrieval
from experiments.inference.split_embeddings import Embeddings

_PRESENT = {"text": "has_text", "audio": "has_audio"}  # every clip has a video


@dataclasses.dataclass(frozen=True)
class Direction:
    """A modality that asks for a clip by another one of the same clip.

    Attributes:
      query: The modality that asks.
      gallery: The modality that is searched.
      space: In which they are compared, an attribute of `Embeddings`.
      trained: Whether a loss compares them. Sound gets next to text by the video's map alone.
    """

    query: str
    gallery: str
    space: str
    trained: bool

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"{self.query} to {self.gallery}{'' if self.trained else ', no loss trained it'}"

    def members(self, clips: Embeddings) -> np.ndarray:
        """Returns which clips have both modalities: bool [clips]."""
        present = [clips.facts[_PRESENT[name]] for name in (self.query, self.gallery) if name in _PRESENT]
        return np.logical_and.reduce(present)

    def ranks(self, clips: Embeddings) -> np.ndarray:
        """Returns the ranks of the members' own clips among all members, as `retrieval.ranks`: int64 [members]."""
        pair, members = getattr(clips, self.space), self.members(clips)
        return retrieval.ranks(pair[self.query][members], pair[self.gallery][members])


_PAIRS = (
    ("text", "video", "video_text", True),
    ("audio", "video", "video_audio", True),
    ("audio", "text", "video_text", False),
)
DIRECTIONS = {
    f"{query}_to_{gallery}": Direction(query, gallery, space, trained)
    for first, second, space, trained in _PAIRS
    for query, gallery in ((first, second), (second, first))
}
"""All of them, by what `result.json` calls them; text to video is the first."""


def figures(ranks: np.ndarray) -> dict:
    """Returns what `retrieval.metrics` does for ranks among as many clips, and their `intervals`."""
    return {**retrieval.metrics(ranks, len(ranks)), "intervals": retrieval.intervals(ranks)}
