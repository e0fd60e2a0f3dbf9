"""Lines of the table that several tasks share, each figure next to what chance would give."""

from collections.abc import Mapping

from experiments.evaluation.task import Row


def recall_rows(group: str, found: Mapping, suffix: str = "") -> list[Row]:
    """Returns the lines of a retrieval: R@1, R@5, R@10 and the median rank.

    Args:
      group: Their heading.
      found: What `experiments.inference.retrieval.metrics` returned; figures may be `None`.
      suffix: What follows their names.
    """
    chance = found.get("chance") or {}
    recalls = [Row(group, f"R@{k}{suffix}", percent(found[f"r{k}"]), percent(chance.get(f"r{k}"))) for k in (1, 5, 10)]
    ranks = number(found["median_rank"]), number(chance.get("median_rank"))
    return [*recalls, Row(group, f"median rank{suffix}", *ranks)]


def top_rows(group: str, found: Mapping, chance: Mapping, prefix: str = "") -> list[Row]:
    """Returns the lines of a classification: top-1 and top-5.

    Args:
      group: Their heading.
      found: Has `top1` and `top5`.
      chance: Has the same, as chance gives them.
      prefix: What precedes their names.
    """
    return [Row(group, f"{prefix}top-{k}", percent(found[f"top{k}"]), percent(chance[f"top{k}"])) for k in (1, 5)]


def percent(share: float | None) -> str:
    """Returns a share in percent, a dash for `None`."""
    return "-" if share is None else f"{100 * share:.1f} %"


def number(value: float | None, form: str = "g") -> str:
    """Returns a number, a dash for `None`."""
    return "-" if value is None else f"{value:{form}}"
