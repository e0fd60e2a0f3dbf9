"""The paper's table: rows by mix and method, two columns for each of six downstream tasks; ours next to the published.

The published figures are in published_results.csv, whose head says where they are from. They stand in lines and columns of
their own and never enter ours: a cell that was not run says so.
"""

import csv
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.evaluation.metrics import PAPER_COLUMNS
from experiments.sweeps.config import SEED
from experiments.sweeps.directory import SweepState
from experiments.sweeps.table import csv_text

MIXES = {
    "ht100m": "HT100M",
    "ht100m_audioset": "HT100M + AudioSet",
    "ht100m_audioset_yt8m": "HT100M + AudioSet + YT8M",
}
METHOD_TITLES = {"vatt": "VATT", "rw_va": "RW (VA)", "rw_vt": "RW (VT)", "gr": "GR", "cl": "CL", "both": "Both"}
NOT_RUN = "not run"
_KINDS = ("ours", "published", "difference")


class Cell(NamedTuple):
    """A figure of the table, in percent unless it is a rank.

    Attributes:
      ours: The mean over our finished runs; `None` if there is none.
      runs: How many these are.
      items: How many clips or queries ours is over; `None` if unknown.
      published: The paper's; `None` if it has none.
    """

    ours: float | None
    runs: int
    items: int | None
    published: float | None

    @property
    def difference(self) -> float | None:
        """Our figure minus the published one, if there are both."""
        return None if self.ours is None or self.published is None else self.ours - self.published

    def texts(self) -> tuple[str, str, str]:
        """Returns the cell's three lines: ours, published, difference."""
        ours = NOT_RUN if self.ours is None else f"{self.ours:.2f}"
        published = "-" if self.published is None else f"{self.published:.2f}"
        return ours, published, "-" if self.difference is None else f"{self.difference:+.2f}"


Grid = dict[tuple[str, str], dict[str, Cell]]
"""The table: mix and method to a cell per column of `PAPER_COLUMNS`."""


def is_papers_grid(state: SweepState) -> bool:
    """Tells whether a sweep is over mixes and methods, and nothing else but seeds."""
    return set(state.axes) - {SEED} == {"mix", "method"}


def published() -> dict[tuple[str, str], dict[str, float | None]]:
    """Returns the paper's figures: mix and method to a figure per column of `PAPER_COLUMNS`."""
    text = importlib.resources.files("experiments.sweeps").joinpath("published_results.csv").read_text("utf-8")
    lines = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        (line["mix"], line["method"]): {name: float(line[name]) if line[name] else None for name in PAPER_COLUMNS}
        for line in lines
    }


def grid(state: SweepState) -> Grid:
    """Returns the table of a sweep over mixes and methods; rows that the paper does not have come last."""
    theirs, ours = published(), {}
    for point in state.points:
        ours.setdefault((point.labels["mix"], point.labels["method"]), []).append(point.result)
    return {row: _row(ours.get(row, ()), theirs.get(row, {})) for row in dict.fromkeys([*theirs, *ours])}


def _row(results: Sequence[dict | None], theirs: Mapping[str, float | None]) -> dict[str, Cell]:
    cells = {}
    for name, metric in PAPER_COLUMNS.items():
        values = [value for result in results if (value := metric.value(result)) is not None]
        counts = {count for result in results if (count := metric.items(result)) is not None}
        count = counts.pop() if len(counts) == 1 else None
        cells[name] = Cell(float(np.mean(values)) if values else None, len(values), count, theirs.get(name))
    return cells


def head() -> list[str]:
    """Returns the titles of the columns: method, kind of line, then the figures."""
    return ["method", "", *(f"{metric.group} {metric.name}" for metric in PAPER_COLUMNS.values())]


def groups(found: Grid) -> dict[str, list[list[str]]]:
    """Returns the lines under each mix: method, kind of line, then the figures; three lines per method."""
    under: dict[str, list[list[str]]] = {}
    for (mix, method), cells in found.items():
        figures = zip(*(cell.texts() for cell in cells.values()), strict=True)
        for kind, texts in zip(_KINDS, figures, strict=True):
            under.setdefault(MIXES.get(mix, mix), []).append([METHOD_TITLES.get(method, method), kind, *texts])
    return under


def lines(found: Grid) -> list[list[str]]:
    """Returns the head and all lines, the mix first."""
    return [["mix", *head()], *([mix, *line] for mix, under in groups(found).items() for line in under)]


def grid_csv(found: Grid) -> str:
    """Returns a line per figure, with ours, the published one and the difference in separate columns."""
    return csv_text([
        dict(
            mix=mix, method=method, figure=name, status="run" if cell.runs else NOT_RUN, ours=cell.ours, runs=cell.runs,
            items=cell.items, published=cell.published, difference=cell.difference,
        )
        for (mix, method), cells in found.items()
        for name, cell in cells.items()
    ])  # fmt: skip
