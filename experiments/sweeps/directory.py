"""The directory of a sweep: a run directory for each point, and sweep.json, which says what the points are."""

import dataclasses
import functools
import json
import os
import pathlib
import types
from collections.abc import Mapping, Sequence
from typing import TypedDict

import typeguard

from experiments.evaluation.metrics import METRICS
from experiments.evaluation.tasks import evaluated_tasks
from experiments.pretraining.step import OBJECTIVES
from experiments.running.command_line import BadInput
from experiments.running.own_files import content_of, read_json_object
from experiments.running.run_directory import RunDirectory
from experiments.training.history import harmonization_summary
from experiments.training.quantities import QUANTITIES

FINISHED = "finished"
FINETUNED = "kinetics400"
"""Where in a run's directory the evaluation looks for its fine-tuning."""

_LONGEST_NAME_BYTES = 255  # file systems accept no longer ones


@dataclasses.dataclass(frozen=True)
class PointRun:
    """A point of a sweep and the state of its run.

    Attributes:
      name: The name of its directory.
      labels: Axis to the label of its alternative.
      steps: Those of the whole run.
      directory: The run's.
      programs: What runs for it, in order.
      tasks: What its evaluation should have evaluated.
    """

    name: str
    labels: Mapping[str, str]
    steps: int
    directory: RunDirectory
    programs: Sequence[str]
    tasks: Sequence[str]

    @functools.cached_property
    def records(self) -> list[dict]:
        """The lines of the run's metrics.jsonl, as far as it has come."""
        return self.directory.read_metrics()

    @functools.cached_property
    def result(self) -> dict | None:
        """What the evaluation of the finished run has found; `None` if there is none, or only of an earlier step."""
        return self._read_result()

    @functools.cached_property
    def figures(self) -> dict | None:
        """What there is to show of the finished run: `result`, and of its steps the harmonization and the last loop's losses.

        `None` if it has not come to its end.
        """
        result = _checked(self.result, self.directory.result)
        if not self.records or not (result or self.is_done("pretrain")):
            return result
        with content_of(self.directory.metrics):
            last = {
                each.name: {name: self.records[-1][f"{each.name}_{name}"] for name in OBJECTIVES}
                for each in QUANTITIES
                if each.last_loop
            }
            summary = harmonization_summary(self.records)
        return {**_checked({**last, "harmonization": summary}, self.directory.metrics), **(result or {})}

    @property
    def status(self) -> str:
        """How far it has come: `finished`, `waits for evaluate`, `at step 20 of 40` or `not run`."""
        left = next((program for program in self.programs if program != "report" and not self.is_done(program)), None)
        if left != "pretrain":
            return f"waits for {left}" if left else FINISHED
        return f"at step {self.records[-1]['step']} of {self.steps}" if self.records else "not run"

    def is_done(self, program: str) -> bool:
        """Tells whether a program, one of `experiments.sweeps.config.PROGRAMS`, has left all that it should."""
        directory = self.directory
        if program == "pretrain":
            return (directory.checkpoints / f"ckpt-{self.steps}.index").exists()  # written last
        if program == "finetune":
            return self.finetuning.result.exists()
        if program == "evaluate":
            result = self._read_result()
            with content_of(self.directory.result):
                return result is not None and set(self.tasks) <= evaluated_tasks(result)
        page = directory.report / "index.html"
        sources = [path.stat().st_mtime for path in (directory.config, directory.result) if path.exists()]
        return page.exists() and page.stat().st_mtime >= max(sources, default=0)

    @property
    def finetuning(self) -> RunDirectory:
        """The directory of the fine-tuning that starts from this run."""
        return RunDirectory(self.directory.path / FINETUNED)

    def _read_result(self):
        if not os.path.lexists(self.directory.result):
            return None
        result = read_json_object(self.directory.result)
        with content_of(self.directory.result):
            return result if result["step"] == self.steps else None


def _checked(figures: dict | None, path: pathlib.Path) -> dict | None:
    """Returns figures of a file, once all that is shown of them are numbers."""
    with content_of(path):
        for metric in METRICS:
            if not isinstance(value := metric.value(figures), (int, float, types.NoneType)):
                raise TypeError(f"{metric.title} is {value!r}")
    return figures


class _StoredPoint(TypedDict):
    name: str
    labels: dict[str, str]
    steps: int
    programs: list[str]
    tasks: list[str]


class _Stored(TypedDict):
    axes: dict[str, list[str]]
    points: list[_StoredPoint]


class SweepDirectory:
    """Names the files of a sweep.

    Args:
      path: The sweep's directory; made when the first file is written.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.description = self.path / "sweep.json"

    def run(self, point: str) -> RunDirectory:
        """Returns the run directory of the point of this name."""
        return RunDirectory(self.path / point)

    def write(self, name: str, text: str) -> None:
        """Writes a file of the sweep through a temporary name."""
        RunDirectory(self.path).write(self.path / name, text)

    def describe(self, axes: Mapping[str, Sequence[str]], points: Sequence[PointRun]) -> None:
        """Writes sweep.json.

        Args:
          axes: The labels of each axis' alternatives, in order.
          points: All points.
        """
        fields = ("name", "labels", "steps", "programs", "tasks")
        described = [{field: getattr(point, field) for field in fields} for point in points]
        self.write("sweep.json", json.dumps({"axes": axes, "points": described}, indent=2) + "\n")

    def read(self) -> "SweepState":
        """Returns the state of the sweep.

        Raises:
          BadInput: No sweep lives here.
        """
        if not self.description.exists():
            raise BadInput(
                f"{self.path} should be the directory of a sweep, with sweep.json in it. Found none. "
                "Make one with experiments.sweep --sweep_dir."
            )
        found = read_json_object(self.description)
        with content_of(self.description):
            json.dumps(found, ensure_ascii=False).encode("utf-8")  # fails where half a character stands
            every = typeguard.CollectionCheckStrategy.ALL_ITEMS
            stored = typeguard.check_type(found, _Stored, collection_check_strategy=every)
            if outside := [point["name"] for point in stored["points"] if not _is_name(point["name"])]:
                raise ValueError(f"{outside[0]!r} is no name of a directory")
            points = [PointRun(**point, directory=self.run(point["name"])) for point in stored["points"]]
            return SweepState(self.path, stored["axes"], points)


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and os.path.basename(name) == name and len(name.encode()) <= _LONGEST_NAME_BYTES


@dataclasses.dataclass(frozen=True)
class SweepState:
    """The state of a sweep.

    Attributes:
      path: Its directory.
      axes: The labels of each axis' alternatives, in order.
      points: All points.
    """

    path: pathlib.Path
    axes: Mapping[str, Sequence[str]]
    points: Sequence[PointRun]
