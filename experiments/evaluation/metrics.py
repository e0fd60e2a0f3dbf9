"""The figures that tables and plots over several runs show; those of the tasks come from the tasks."""

from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.task import Metric
from experiments.evaluation.tasks import DOWNSTREAM_TASKS, OWN_TASKS

_UNPUBLISHED = float("inf")  # these tasks come last
_DOWNSTREAM = sorted(map(TASKS.get, DOWNSTREAM_TASKS), key=lambda task: task.published or _UNPUBLISHED)
PAPER_COLUMNS = {
    f"{task.name}_{metric.path[-1]}": metric for task in _DOWNSTREAM if task.published for metric in task.metrics
}
"""The columns of the paper's table, by their names in published_results.csv."""
_LOSSES = (  # `PointRun.figures` adds them to a result
    Metric("last loss", "video-audio", ("loss", "video_audio"), percent=False, digits=3),
    Metric("last loss", "video-text", ("loss", "video_text"), percent=False, digits=3),
)
_GRADIENTS = (
    Metric("gradients", "mean cosine", ("harmonization", "mean_cosine"), percent=False, digits=4),
    Metric("gradients", "conflict rate", ("harmonization", "conflict_rate")),
    Metric("gradients", "steps kept", ("harmonization", "kept_rate")),
)
_ALIGNMENT = TASKS["alignment"]  # is about gradients, too
_OTHERS = [task for task in (*map(TASKS.get, OWN_TASKS), *_DOWNSTREAM) if task is not _ALIGNMENT]
METRICS = (*_LOSSES, *(metric for task in _OTHERS for metric in task.metrics), *_GRADIENTS, *_ALIGNMENT.metrics)
"""What is compared between runs."""
