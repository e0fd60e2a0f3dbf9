"""Zero-shot text to video retrieval by single sentences: YouCook2, MSR-VTT."""

import numpy as np
import tqdm

from experiments.evaluation.windows import SENTENCES, WINDOWS, Settings, Walk
from experiments.inference import retrieval
from experiments.running.command_line import BadInput, RunFailed


class Retrieval:
    """A retrieval task; see `__call__`.

    Every clip of a split is in the gallery, whatever the batch size, and every sentence that is asked with is a query.

    Args:
      split: The split that the figures are of.
      entire: A split that holds it, to be asked with all sentences of every clip; `None` for none.
      hint: What to do where `split` is not there, besides preparing the data set; may be empty.
      name: Name of the data set, and of the task.
      settings: What all tasks are given.

    Raises:
      BadInput: The data set is not there, lacks a split, or does not fit the run.
    """

    def __init__(self, split: str, entire: str | None, hint: str, name: str, settings: Settings):
        settings.require(name, "video", "text")
        if settings.run.tokenizer is None:
            raise BadInput(f"{name} needs a run with a vocabulary. {settings.run.checkpoint} has none.")
        self.name, self.settings, self.split, self.entire = name, settings, split, entire
        try:
            prepared = settings.open(name, [split, entire] if entire else [split])
        except BadInput as error:
            raise BadInput(f"{error} {hint}".rstrip()) from error
        self.clips = settings.video_clips(candidates=SENTENCES if entire else 1)
        splits = [split, entire] if entire else [split]
        self.walk = Walk(settings, prepared, splits, "video", self.clips, windows=WINDOWS, text=True)

    def __call__(self) -> dict:
        """Embeds the windows and the sentences, and ranks the clips for each sentence.

        Returns:
          The figures of `retrieval_figures` for `split`, each clip asked for by its first sentence; under the name of the
          split `entire`, those with all sentences of its clips.
        """
        windows, facts = self.walk.embed("video_text_video", f"{self.name}, video")
        text, present = facts["text"], (facts["text"] > 0).any(axis=-1)
        if self.entire and present[:, -1].any():
            raise RunFailed(f"a clip of {self.name} has {SENTENCES} sentences or more, of which some would not be asked with.")
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
            raise RunFailed(f"no clip of {self.name} has a sentence to ask with. Prepare a data set that has them.")
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
    """Returns the figures of text to video retrieval, the windows of a clip averaged in both ways of the published code.

    Those at the top are of averaged embeddings: a clip is then one vector, as in any index (our choice; neither paper
    says which of both it reports).

    Args:
      queries: float [queries, dim].
      windows: float [clips, windows, dim]; all clips are the gallery.
      own: int [queries], the clip that each query asks for.

    Returns:
      What `retrieval.metrics` does, and over how many queries, `items`. `similarities` has the figures of averaged
      cosines.
    """
    by_embedding = retrieval.ranks(queries, windows.mean(axis=1), own)
    by_similarity = retrieval.mean_similarity_ranks(queries, windows, own)
    figures = retrieval.metrics(by_similarity, len(windows))
    similarities = {name: figures[name] for name in ("r1", "r5", "r10", "median_rank")}
    return {**retrieval.metrics(by_embedding, len(windows)), "items": len(own), "similarities": similarities}
