"""Text-to-video retrieval among the test clips of the run's own data."""

import functools
from collections.abc import Callable

import numpy as np

from experiments.evaluation.own_data import OwnData
from experiments.evaluation.rows import recall_rows
from experiments.evaluation.settings import Settings
from experiments.evaluation.task import Metric, Row, Task
from experiments.inference import retrieval

_PATH = ("retrieval", "text_to_video")


class Retrieval(Task):
    """All clips of `test` that have text, each asked for by its `caption_query`."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See the base class."""
        recalls = [Metric(self.title, f"R@{k}", (*_PATH, f"r{k}")) for k in (1, 5, 10)]
        return *recalls, Metric(self.title, "median rank", (*_PATH, "median_rank"), percent=False)

    @property
    def nothing(self) -> dict:
        """See the base class."""
        return {"text_to_video": dict.fromkeys(("r1", "r5", "r10", "median_rank", "gallery"))}

    def open(self, settings: Settings) -> Callable[[], dict]:
        """See the base class."""
        return functools.partial(self._evaluate, settings.own_data)

    def _evaluate(self, own: OwnData) -> dict:
        if not own.has_splits(self.name, "test"):
            return self.nothing
        test = own.embedded_test()
        has_text = test.facts["has_text"]
        if not has_text.any():
            own.notes.append("retrieval is skipped: no clip in the split test has captions.")
            return self.nothing
        found = retrieval.ranks(test.video_text["text"][has_text], test.video_text["video"][has_text])
        own.arrays["rank"] = np.zeros(len(has_text), np.int64)  # 0: not part of the gallery
        own.arrays["rank"][has_text] = found
        return {"text_to_video": retrieval.metrics(found, gallery=len(found))}

    def rows(self, found: dict) -> list[Row]:
        """See the base class."""
        figures = found["text_to_video"]
        return recall_rows(f"{self.title} retrieval, {figures['gallery'] or 'no'} clips", figures)


RETRIEVAL = Retrieval("retrieval", "text to video")
