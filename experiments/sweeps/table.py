"""The figures of a sweep: one line per point as CSV, one per setting as a table, with mean and deviation over the seeds."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.evaluation.metrics import METRICS
from experiments.evaluation.task import Metric
from experiments.running.plain_text import for_spreadsheet
from experiments.sweeps.config import SEED
from experiments.sweeps.directory import FINISHED, PointRun, SweepState


class Setting(NamedTuple):
    """The points that differ in nothing but the seed.

    Attributes:
      labels: Those of all axes but the seed's.
      points: In the order of their seeds.
    """

    labels: Mapping[str, str]
    points: Sequence[PointRun]

    @property
    def title(self) -> str:
        """Its labels, as a legend has them; `all` if the seed is all that differs in the sweep."""
        return ", ".join(self.labels.values()) or "all"

    def values(self, metric: Metric) -> list[float]:
        """Returns a figure of the points that have it."""
        return [value for point in self.points if (value := metric.value(point.figures)) is not None]


def settings(state: SweepState) -> list[Setting]:
    """Returns the sweep's settings, in the order of its points."""
    found: dict[tuple, list[PointRun]] = {}
    for point in state.points:
        found.setdefault(tuple((axis, label) for axis, label in point.labels.items() if axis != SEED), []).append(point)
    return [Setting(dict(labels), points) for labels, points in found.items()]


def present_metrics(state: SweepState) -> list[Metric]:
    """Returns the metrics that at least one point has."""
    return [metric for metric in METRICS if any(metric.value(point.figures) is not None for point in state.points)]


def table(state: SweepState) -> list[list[str]]:
    """Returns the head and a line per setting: labels, then mean and standard deviation over its points, then their number."""
    axes, metrics = [axis for axis in state.axes if axis != SEED], present_metrics(state)
    lines = [[*axes, *(metric.title for metric in metrics), "finished"]]
    for setting in settings(state):
        cells = [mean_and_deviation(setting.values(metric), metric.digits) for metric in metrics]
        finished = sum(point.status == FINISHED for point in setting.points)
        lines.append([*setting.labels.values(), *cells, f"{finished} of {len(setting.points)}"])
    return lines


def mean_and_deviation(values: Sequence[float], digits: int) -> str:
    """Returns `mean ± standard deviation`, the mean alone of one value, a dash of none."""
    if not values:
        return "-"
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


def points_csv(state: SweepState) -> str:
    """Returns a line per point: name, labels, status, steps, then every number of its figures, not rounded."""
    rows = []
    for point in state.points:
        labels = {f"axis.{axis}": label for axis, label in point.labels.items()}
        row = {"point": point.name, **labels, "status": point.status, "steps": point.steps}
        rows.append({**row, **dict(_numbers(point.figures or {}))})
    return csv_text(rows)


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Returns rows as CSV; a column that a row lacks, or that is `None`, is empty in it."""
    columns = dict.fromkeys(column for row in rows for column in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: for_spreadsheet(cell) for column, cell in row.items()} for row in rows)
    return text.getvalue()


def _numbers(result: dict, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yields the numbers of nested mappings under their keys, joined by dots."""
    for key, value in result.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, (int, float)) and not (prefix == "" and key == "step"):
            yield f"{prefix}{key}", value
