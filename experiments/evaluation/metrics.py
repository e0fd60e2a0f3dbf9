"""The figures that tables and plots over several runs show; those of the tasks come from the tasks."""

from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.task import Metric
from experiments.evaluation.tasks import DOWNSTREAM_TASKS, OWN_TASKS
from experiments.pretraining.step import OBJECTIVES
from experiments.training.quantities import QUANTITIES, RUN_QUANTITIES, objective_title

_UNPUBLISHED = float("inf")  # these tasks come last
_DOWNSTREAM = sorted(map(TASKS.get, DOWNSTREAM_TASKS), key=lambda task: task.published or _UNPUBLISHED)
PAPER_COLUMNS = {
    f"{task.name}_{metric.path[-1]}": metric for task in _DOWNSTREAM if task.published for metric in task.metrics
}
"""The columns of the paper's table, by their names in published_results.csv."""
_LOSSES = tuple(  # `PointRun.figures` adds them to a result
    Metric(f"last {each.noun}", objective_title(objective), (each.name, objective), percent=each.percent, digits=3)
    for each in QUANTITIES
    if each.last_loop
    for objective in OBJECTIVES
)
_GRADIENTS = tuple(
    Metric("gradients", each.figure.title, ("harmonization", each.figure.key), each.percent, each.figure.digits)
    for each in RUN_QUANTITIES
)
_ALIGNMENT = TASKS["alignment"]  # is about gradients, too
_OTHERS = [task for task in (*map(TASKS.get, OWN_TASKS), *_DOWNSTREAM) if task is not _ALIGNMENT]
METRICS = (*_LOSSES, *(metric for task in _OTHERS for metric in task.metrics), *_GRADIENTS, *_ALIGNMENT.metrics)
"""What is compared between runs."""
