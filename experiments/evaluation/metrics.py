"""The figures that tables and plots over several runs show, and where in `result.json` they are.

The losses are not in it: `PointRun.figures` adds them.
"""

from typing import NamedTuple

from experiments.evaluation.task_names import DOWNSTREAM_TASKS
from experiments.pretraining.step import OBJECTIVES
from experiments.running.quantities import QUANTITIES, RUN_QUANTITIES, objective_title


class Metric(NamedTuple):
    """A figure of a run.

    Attributes:
      group: What it belongs to.
      name: Its name within the group.
      path: The keys that lead to it.
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


PAPER_COLUMNS = {
    f"{task}_{key}": Metric(title, name, ("tasks", task, key), percent=key != "median_rank", digits=2)
    for task, (title, keys) in DOWNSTREAM_TASKS.items()
    for name, key in keys.items()
}
"""The columns of the paper's table, by their names in published_results.csv."""
_RETRIEVAL, _PROBE, _GRADIENTS, _AREA = "text to video", "linear probe", "gradients", "AUC of misaligned clips:"
METRICS = (
    *(
        Metric(f"last {each.noun}", objective_title(objective), (each.name, objective), percent=each.percent, digits=3)
        for each in QUANTITIES
        if each.last_loop
        for objective in OBJECTIVES
    ),
    *(Metric(_RETRIEVAL, f"R@{k}", ("retrieval", "text_to_video", f"r{k}")) for k in (1, 5, 10)),
    Metric(_RETRIEVAL, "median rank", ("retrieval", "text_to_video", "median_rank"), percent=False),
    Metric(_PROBE, "video", ("linear_probe", "video", "top1")),
    Metric(_PROBE, "audio", ("linear_probe", "audio", "top1")),
    *PAPER_COLUMNS.values(),
    *(
        Metric(_GRADIENTS, each.figure.title, ("harmonization", each.figure.key), each.percent, each.figure.digits)
        for each in RUN_QUANTITIES
    ),
    Metric(_AREA, "gradient cosine", ("alignment", "auc", "encoder_gradient_cosine", "misaligned"), percent=False, digits=3),
    Metric(_AREA, "similarity", ("alignment", "auc", "summed_similarity", "misaligned"), percent=False, digits=3),
)
"""What is compared between runs."""


def items(result: dict | None, metric: Metric) -> int | None:
    """Returns over how many clips or queries a downstream figure is; `None` if the result does not say."""
    return metric._replace(path=(*metric.path[:-1], "items"), percent=False).value(result)
