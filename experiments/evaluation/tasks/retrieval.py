"""Retrieval in six directions among the test clips of the run's own data."""

import functools
from collections.abc import Callable, Mapping

import numpy as np

from experiments.evaluation.own_data import OwnData
from experiments.evaluation.rows import percent, percents, recall_rows
from experiments.evaluation.settings import Settings
from experiments.evaluation.task import Metric, Row, Task
from experiments.inference.directions import DIRECTIONS, figures

_MAIN, *_OTHERS = DIRECTIONS


class Retrieval(Task):
    """All clips of `test` that have both modalities, each asked for by its own; the text of a clip is its `caption_query`."""

    @property
    def main_metrics(self) -> tuple[Metric, ...]:
        """The figures of text to video, that of the papers."""
        recalls = [Metric(self.title, f"R@{k}", (self.name, _MAIN, f"r{k}")) for k in (1, 5, 10)]
        return *recalls, Metric(self.title, "median rank", (self.name, _MAIN, "median_rank"), percent=False)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See the base class; of the directions other than text to video it is R@10."""
        others = [Metric(_title(name), "R@10", (self.name, name, "r10")) for name in _OTHERS]
        return *self.main_metrics, *others

    @property
    def nothing(self) -> dict:
        """See the base class."""
        return {_MAIN: dict.fromkeys(("r1", "r5", "r10", "median_rank", "gallery"))}

    def open(self, settings: Settings) -> Callable[[], dict]:
        """See the base class."""
        return functools.partial(self._evaluate, settings.own_data)

    def _evaluate(self, own: OwnData) -> dict:
        if not own.has_splits(self.name, "test"):
            return self.nothing
        test = own.embedded_test()
        if not test.facts["has_text"].any():
            own.notes.append("retrieval by text is skipped: no clip in the split test has captions.")
        found = {name: direction.ranks(test) for name, direction in DIRECTIONS.items()}
        own.arrays["rank"] = np.zeros(len(test.facts["has_text"]), np.int64)  # 0: not part of the gallery
        own.arrays["rank"][DIRECTIONS[_MAIN].members(test)] = found[_MAIN]
        return self.nothing | {name: figures(ranks) for name, ranks in found.items() if len(ranks)}

    def rows(self, found: Mapping) -> list[Row]:
        """See the base class."""
        main = found[_MAIN]
        lines = recall_rows(f"{self.title} retrieval, {main['gallery'] or 'no'} clips", main)
        return lines + [_row(name, found[name]) for name in _OTHERS if name in found]


def _title(name: str) -> str:
    return DIRECTIONS[name].title


def _row(name: str, found: Mapping) -> Row:
    values = percent(found["r10"]), percent(found["chance"]["r10"]), percents(found["intervals"]["r10"])
    return Row("retrieval in other directions", f"R@10, {_title(name)}, {found['gallery']} clips", *values)


RETRIEVAL = Retrieval("retrieval", "text to video")
