"""Zero-shot retrieval between videos and single sentences: YouCook2, MSR-VTT."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import tqdm

from experiments.evaluation.rows import recall_rows
from experiments.evaluation.settings import Settings
from experiments.evaluation.task import DownstreamTask, Row
from experiments.evaluation.windows import SENTENCES, WINDOWS, Walk
from experiments.inference import retrieval
from experiments.running.command_line import BadInput, RunFailed


@dataclasses.dataclass(frozen=True)
class ZeroShotRetrieval(DownstreamTask):
    """A retrieval task.

    Every clip of a split is in the gallery, whatever the batch size, and every sentence that is asked with is a query.

    Attributes:
      split: The split that the figures are of.
      entire: A split that holds it, to be asked with all sentences of every clip; `None` for none.
      hint: What to do where `split` is missing, apart from preparing the data set; may be empty.
    """

    split: str
    entire: str | None = None
    hint: str = ""
    figures = {"rank": "median_rank", "R@10": "r10"}

    def open(self, settings: Settings) -> "Retrieval":
        """See the base class."""
        return Retrieval(self, settings)

    def rows(self, found: Mapping) -> list[Row]:
        """See the base class."""
        lines = _rows(self.title, found)
        return lines + _rows(f"{self.title} {self.entire}, all sentences", found[self.entire]) if self.entire else lines


def _rows(title: str, found: Mapping) -> list[Row]:
    """Lines of text-to-video retrieval by single sentences, with the windows averaged in both ways, then of the other direction."""
    group = f"{title}, {found['items']} sentences, {found['gallery']} clips"
    by_similarity = recall_rows(
        group, {**found, "intervals": None, **found["similarities"]}, suffix=", similarities averaged"
    )
    lines, other = recall_rows(group, found) + by_similarity, found.get("video_to_text")  # older results have none
    return lines + recall_rows(f"{title}, video to text, {other['items']} clips", other) if other else lines


class Retrieval:
    """A retrieval task that is ready to run; see `__call__`.

    Args:
      task: The task.
      settings: What all tasks are given.

    Raises:
      BadInput: The data set is not there, lacks a split, or does not fit the run.
    """

    def __init__(self, task: ZeroShotRetrieval, settings: Settings):
        settings.require(task.name, "video", "text")
        if settings.run.tokenizer is None:
            raise BadInput(f"{task.name} needs a run with a vocabulary. {settings.run.checkpoint} has none.")
        self.name, self.settings, self.split, self.entire = task.name, settings, task.split, task.entire
        splits = [task.split, task.entire] if task.entire else [task.split]
        try:
            prepared = settings.open(task.name, splits)
        except BadInput as error:
            raise BadInput(f"{error} {task.hint}".rstrip()) from error
        self.clips = settings.video_clips(candidates=SENTENCES if task.entire else 1)
        self.walk = Walk(settings, prepared, splits, "video", self.clips, windows=WINDOWS, text=True)

    def __call__(self) -> dict:
        """Embeds the windows and the sentences, and ranks the clips for each sentence.

        Returns:
          The figures of `retrieval_figures` for `split`, each clip asked for by its first sentence; under the name of the
          split `entire`, those with all sentences of its clips.
        """
        found, facts = self.walk.embed(f"{self.name}, video", "video_text_video")
        windows = found["video_text_video"]
        text, present = facts["text"], (facts["text"] > 0).any(axis=-1)
        if self.entire and present[:, -1].any():
            raise RunFailed(
                f"a clip of {self.name} has {SENTENCES} sentences or more, and some would not be used as queries."
            )
        rows = self.walk.rows[self.split]
        figures = self._figures(windows[rows], text[rows, :1], present[rows, :1])
        if self.entire:
            every = self.walk.rows[self.entire]
            figures[self.entire] = self._figures(windows[every], text[every], present[every])
        return {**figures, "windows": WINDOWS, "clip_seconds": self.clips.clip_seconds}

    def _figures(self, windows, text, present):
        """Ranks the clips of `windows` for the sentences of `text` that are `present` [clips, candidates]."""
        own, _ = np.nonzero(present)
        if not len(own):
            raise RunFailed(
                f"no clip of {self.name} has a sentence to use as a query. Prepare a data set with captions."
            )
        return retrieval_figures(self._embedded(text[present]), windows, own)

    def _embedded(self, sentences):
        """Embeds sentences [sentences, words] in the video-text space, with a progress bar."""
        found, size = [], self.settings.batch_size
        with tqdm.tqdm(total=len(sentences), desc=f"{self.name}, text", unit=" sentences") as bar:
            for start in range(0, len(sentences), size):
                found.append(self.settings.embedder.embed("text", sentences[start : start + size])["video_text_text"])
                bar.update(len(found[-1]))
        return np.concatenate(found)


def retrieval_figures(queries: np.ndarray, windows: np.ndarray, own: np.ndarray) -> dict:
    """Returns the figures of retrieval, the windows of a clip averaged in both ways of the published code.

    Those at the top are of averaged embeddings: a clip is then one vector, as in any index (our choice; neither paper
    says which of both it reports).

    Args:
      queries: float [queries, dim].
      windows: float [clips, windows, dim]; all clips are the gallery.
      own: int [queries], the clip that each query asks for.

    Returns:
      What `retrieval.metrics` does, with `intervals` over the clips, and over how many queries, `items`. `similarities` has
      the figures of averaged cosines, `video_to_text` those of the other direction: each clip that has sentences asks with
      its averaged embedding for the best of its own among all sentences.
    """
    videos = windows.mean(axis=1)
    by_similarity = _figures(retrieval.mean_similarity_ranks(queries, windows, own), own, len(windows))
    return {
        **_figures(retrieval.ranks(queries, videos, own), own, len(windows)),
        "items": len(own),
        "similarities": {name: value for name, value in by_similarity.items() if name not in ("gallery", "chance")},
        "video_to_text": _video_to_text(videos, queries, own),
    }


def _figures(ranks, own, gallery):
    return {**retrieval.metrics(ranks, gallery), "intervals": retrieval.intervals(ranks, own)}


def _video_to_text(videos, sentences, own):
    asking, positions, counts = np.unique(own, return_inverse=True, return_counts=True)
    ranks = retrieval.best_own_ranks(videos[asking], sentences, positions)
    chance = retrieval.best_own_chance(counts, len(sentences))
    return {**_figures(ranks, None, len(sentences)), "items": len(asking), "chance": chance}


YOUCOOK2 = ZeroShotRetrieval("youcook2", "YouCook2", "validation", published=4)
MSRVTT = ZeroShotRetrieval(
    "msrvtt", "MSR-VTT", "test_1k_a", entire="test", published=5,
    hint="The split exists if MSRVTT_JSFUSION_test.csv was in the source folder when the set was prepared.",
)  # fmt: skip
