"""What a task is: an object that knows its name, how it runs, which figures it has and how tables show them."""

from __future__ import annotations

import abc
import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

if typing.TYPE_CHECKING:
    from experiments.evaluation.settings import Settings  # needs TensorFlow


class Metric(NamedTuple):
    """A figure of a run that tables and plots over several runs show.

    Attributes:
      group: What it belongs to.
      name: Its name within the group.
      path: The keys that lead to it in `result.json`.
      percent: Whether it is a fraction that is shown in percent.
      digits: How many are shown after the point.
    """

    group: str
    name: str
    path: tuple[str, ...]
    percent: bool = True
    digits: int = 1

    @property
    def title(self) -> str:
        """Group, name and unit, for the head of a column or the title of a plot."""
        return f"{self.group} {self.name}{', %' if self.percent else ''}"

    def value(self, result: dict | None) -> float | None:
        """Returns the figure as it is shown; `None` if the result does not have it."""
        found = result
        for key in self.path:
            found = found.get(key) if isinstance(found, dict) else None
        return None if found is None else found * (100 if self.percent else 1)

    def items(self, result: dict | None) -> int | None:
        """Returns over how many clips or queries a downstream figure is; `None` if the result does not say."""
        return self._replace(path=(*self.path[:-1], "items"), percent=False).value(result)


class Row(NamedTuple):
    """A line of the table of one run's figures.

    Attributes:
      group: The heading it stands under.
      name: What was measured.
      value: The figure, as text.
      chance: What chance would give, as text; empty where there is no such thing.
      interval: The figure's confidence interval, as text; empty where there is none.
    """

    group: str
    name: str
    value: str
    chance: str
    interval: str = ""


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """One thing that a run is evaluated on; `experiments.evaluation.all_tasks` has them by name.

    Attributes:
      name: What `--tasks` and `result.json` call it.
      title: What tables call it.
    """

    name: str
    title: str

    @property
    @abc.abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The figures that are compared between runs."""

    @property
    def nothing(self) -> dict | None:
        """What `result.json` holds of a task on the run's own data that has no figures."""
        return None

    @abc.abstractmethod
    def open(self, settings: Settings) -> Callable[[], dict | None]:
        """Makes the task ready, without embedding anything.

        Args:
          settings: What all tasks are given.

        Returns:
          A function that evaluates the run and returns the figures with their `chance`, for JSON; or `None`, if the task is
          skipped and `settings.notes` says why.

        Raises:
          BadInput: A data set is missing or does not fit the run.
        """

    @abc.abstractmethod
    def rows(self, found: dict | None) -> list[Row]:
        """Returns the lines of the table, each figure next to its chance.

        Args:
          found: What `result.json` holds of the task: its figures, or `nothing` for one on the run's own data.
        """


@dataclasses.dataclass(frozen=True)
class DownstreamTask(Task):
    """A task on another data set than the run's own, which has the task's name.

    Attributes:
      published: Its place among the tasks of the paper's table, whose columns are called `NAME_KEY` in published_results.csv;
        `None` if it is not there.
      figures: Those that are compared between runs: title to key.
    """

    published: int | None = dataclasses.field(default=None, kw_only=True)
    figures: ClassVar[Mapping[str, str]]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The figures that are compared between runs; all but the median rank are shares."""
        return tuple(
            Metric(self.title, title, ("tasks", self.name, key), percent=key != "median_rank", digits=2)
            for title, key in self.figures.items()
        )
