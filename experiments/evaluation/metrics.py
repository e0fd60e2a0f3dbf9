"""The figures that tables and plots over several runs show, and where in `result.json` they are.

The losses are not in it: `PointRun.figures` adds them.
"""

from typing import NamedTuple


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


_TOP = {"T1": "top1", "T5": "top5"}
_RANKS = {"rank": "median_rank", "R@10": "r10"}
OWN_TASKS = ("retrieval", "linear_probe", "alignment")
"""What a run is evaluated for on the data it was trained on."""
DOWNSTREAM_TASKS = {
    "ucf101": ("UCF101", _TOP),
    "hmdb51": ("HMDB51", _TOP),
    "kinetics400": ("K400", _TOP),
    "youcook2": ("YouCook2", _RANKS),
    "msrvtt": ("MSR-VTT", _RANKS),
    "esc50": ("ESC-50", _TOP),
}
"""The paper's downstream tasks in the poster's order: key in `result["tasks"]`, title, the keys of the figures by their titles."""
PAPER_COLUMNS = {
    f"{task}_{key}": Metric(title, name, ("tasks", task, key), percent=key != "median_rank", digits=2)
    for task, (title, keys) in DOWNSTREAM_TASKS.items()
    for name, key in keys.items()
}
"""The columns of the paper's table, by their names in published_results.csv."""
_RETRIEVAL, _PROBE, _GRADIENTS, _AREA = "text to video", "linear probe", "gradients", "AUC of misaligned clips:"
METRICS = (
    Metric("last loss", "video-audio", ("loss", "video_audio"), percent=False, digits=3),
    Metric("last loss", "video-text", ("loss", "video_text"), percent=False, digits=3),
    *(Metric(_RETRIEVAL, f"R@{k}", ("retrieval", "text_to_video", f"r{k}")) for k in (1, 5, 10)),
    Metric(_RETRIEVAL, "median rank", ("retrieval", "text_to_video", "median_rank"), percent=False),
    Metric(_PROBE, "video", ("linear_probe", "video", "top1")),
    Metric(_PROBE, "audio", ("linear_probe", "audio", "top1")),
    *PAPER_COLUMNS.values(),
    Metric(_GRADIENTS, "mean cosine", ("harmonization", "mean_cosine"), percent=False, digits=4),
    Metric(_GRADIENTS, "conflict rate", ("harmonization", "conflict_rate")),
    Metric(_GRADIENTS, "steps kept", ("harmonization", "kept_rate")),
    Metric(_AREA, "gradient cosine", ("alignment", "auc", "encoder_gradient_cosine", "misaligned"), percent=False, digits=3),
    Metric(_AREA, "similarity", ("alignment", "auc", "summed_similarity", "misaligned"), percent=False, digits=3),
)
"""What is compared between runs."""


def items(result: dict | None, metric: Metric) -> int | None:
    """Returns over how many clips or queries a downstream figure is; `None` if the result does not say."""
    return metric._replace(path=(*metric.path[:-1], "items"), percent=False).value(result)
