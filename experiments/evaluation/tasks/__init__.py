"""The tasks that a run is evaluated on, by name. A task is imported when it is asked for: many need TensorFlow."""

import pkgutil

from experiments.evaluation.task import Task

OWN_TASKS = {
    "retrieval": "retrieval:RETRIEVAL",
    "linear_probe": "linear_probe:LINEAR_PROBE",
    "alignment": "alignment:ALIGNMENT",
}
"""Tasks on the data that a run was trained on, in the order in which they run: module of this package and object in it."""
DOWNSTREAM_TASKS = {
    "ucf101": "frozen_features:UCF101",
    "hmdb51": "frozen_features:HMDB51",
    "esc50": "frozen_features:ESC50",
    "kinetics400": "finetuned:KINETICS400",
    "youcook2": "zero_shot_retrieval:YOUCOOK2",
    "msrvtt": "zero_shot_retrieval:MSRVTT",
}
"""Tasks on other data sets, likewise."""


def find_task(name: str) -> Task:
    """Returns the task of this name, a key of `OWN_TASKS` or `DOWNSTREAM_TASKS`."""
    return pkgutil.resolve_name(f"{__name__}.{(OWN_TASKS | DOWNSTREAM_TASKS)[name]}")
