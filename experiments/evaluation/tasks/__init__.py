"""The names of the tasks that a run is evaluated on, and where they are: module of this package and object in it.

The names are here without the tasks, so that --help need not load TensorFlow; `experiments.evaluation.all_tasks` imports them.
"""

from collections.abc import Mapping

OWN_TASKS = {
    "retrieval": "retrieval:RETRIEVAL",
    "linear_probe": "linear_probe:LINEAR_PROBE",
    "zero_shot": "zero_shot:ZERO_SHOT",
    "alignment": "alignment:ALIGNMENT",
}
"""Tasks on the data that a run was trained on, in the order in which they run."""
DOWNSTREAM_TASKS = {
    "ucf101": "frozen_features:UCF101",
    "hmdb51": "frozen_features:HMDB51",
    "esc50": "frozen_features:ESC50",
    "kinetics400": "finetuned:KINETICS400",
    "youcook2": "zero_shot_retrieval:YOUCOOK2",
    "msrvtt": "zero_shot_retrieval:MSRVTT",
}
"""Tasks on other data sets, likewise."""


def evaluated_tasks(result: Mapping) -> set[str]:
    """Returns the tasks that a `result.json` holds; one of an earlier version does not tell `OWN_TASKS` apart."""
    return {*result.get("evaluated", OWN_TASKS), *result.get("tasks", {})} if result else set()
