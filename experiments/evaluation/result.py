"""What `result.json` and `report/evaluation.npz` hold: the figures of one checkpoint, from one or several evaluations."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping

import numpy as np

from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.tasks import OWN_TASKS, evaluated_tasks
from experiments.inference.trained_model import TrainedModel, fingerprint
from experiments.running.npz_file import write_npz
from experiments.running.own_files import content_of, read_json_object, read_npz
from experiments.running.run_directory import RunDirectory
from experiments.training.history import harmonization_summary

_ARRAYS = "evaluation.npz"


@dataclasses.dataclass(frozen=True)
class Found:
    """What one evaluation has found.

    Attributes:
      dataset: The data set of `figures` and `arrays`.
      figures: Those of tasks on the run's own data.
      arrays: What the report draws of these.
      downstream: The figures of downstream tasks; `None` for one that was requested and skipped.
    """

    dataset: str
    figures: Mapping[str, object]
    arrays: Mapping[str, np.ndarray]
    downstream: Mapping[str, dict | None]


def add_to_result(directory: RunDirectory, run: TrainedModel, found: Found) -> dict:
    """Writes what was found next to what earlier evaluations of the same checkpoint have found; returns `result.json`.

    `evaluated` names the tasks on the run's own data that ran: the figures of one may be the same as if it had not.
    Figures of another checkpoint are dropped, and of `figures` those on another data set.
    """
    earlier, records = _earlier(directory, run), directory.read_metrics()
    with content_of(directory.metrics):
        harmonization = harmonization_summary(records)
    same_set = earlier if not found.figures or earlier.get("dataset") == found.dataset else {}
    before = earlier.get("tasks", {})
    skipped = [task for task, figures in found.downstream.items() if figures is None and task in before]
    result = {
        "step": run.step,
        "checkpoint": fingerprint(run.checkpoint),
        "dataset": same_set.get("dataset", found.dataset),
        "evaluated": [name for name in OWN_TASKS if name in found.figures or name in evaluated_tasks(same_set)],
        **{name: found.figures.get(name, same_set.get(name, TASKS[name].nothing)) for name in OWN_TASKS},
        "harmonization": harmonization,
        "tasks": {**before, **{task: figures for task, figures in found.downstream.items() if task not in skipped}},
    }
    write_arrays(directory, {**(read_arrays(directory) if same_set else {}), **found.arrays})
    directory.write(directory.result, json.dumps(result, indent=2) + "\n")
    return result


def write_arrays(directory: RunDirectory, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays of numbers, bools or strings to `report/evaluation.npz`; the file appears whole or not at all.

    Raises:
      RunFailed: The file cannot be written.
      ValueError: An array holds Python objects, which would need pickle.
    """
    write_npz(arrays_path(directory), arrays)


def arrays_path(directory: RunDirectory) -> pathlib.Path:
    """Returns where `write_arrays` writes."""
    return directory.report / _ARRAYS


def read_arrays(directory: RunDirectory) -> dict[str, np.ndarray]:
    """Returns what `write_arrays` wrote; empty if the run was never evaluated."""
    path = arrays_path(directory)
    if not path.exists():
        return {}
    return read_npz(path)


def _earlier(directory, run):
    """Returns the result that is there if it is of the same checkpoint, else an empty one."""
    if not directory.result.exists():
        return {}
    result = read_json_object(directory.result)
    return result if result.get("checkpoint") == fingerprint(run.checkpoint) else {}
