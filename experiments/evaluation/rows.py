"""Lines of the table that several tasks share, each figure next to what chance would give."""

from collections.abc import Mapping

from experiments.evaluation.task import Row


def recall_rows(group: str, found: Mapping, suffix: str = "") -> list[Row]:
    """Returns the lines of a retrieval: R@1, R@5, R@10, the median and the mean rank, as far as they were computed.

    Args:
      group: Their heading.
      found: What `experiments.inference.retrieval.metrics` returned; figures may be `None`.
      suffix: What follows their names.
    """
    chance = found.get("chance") or {}
    intervals = found.get("intervals") or {}
    recalls = [
        Row(group, f"R@{k}{suffix}", percent(found[key]), percent(chance.get(key)), percents(intervals.get(key)))
        for k, key in ((k, f"r{k}") for k in (1, 5, 10))
    ]
    ranks = [
        Row(group, f"{kind} rank{suffix}", _rank(found[key]), _rank(chance.get(key)), _ranks(intervals.get(key)))
        for kind, key in ((kind, f"{kind}_rank") for kind in ("median", "mean"))
        if key in found
    ]
    return [*recalls, *ranks]


def top_rows(group: str, found: Mapping, chance: Mapping, prefix: str = "") -> list[Row]:
    """Returns the lines of a classification: top-1 and top-5.

    Args:
      group: Their heading.
      found: Has `top1` and `top5`.
      chance: Has the same, as chance gives them.
      prefix: What precedes their names.
    """
    intervals = found.get("intervals") or {}
    return [
        Row(group, f"{prefix}top-{k}", percent(found[key]), percent(chance[key]), percents(intervals.get(key)))
        for k, key in ((k, f"top{k}") for k in (1, 5))
    ]


def percent(share: float | None) -> str:
    """Returns a share in percent, a dash for `None`."""
    return "-" if share is None else f"{100 * share:.1f} %"


def percents(interval: Mapping[str, float] | None) -> str:
    """Returns an interval of shares, with `low` and `high`, in percent; nothing for `None`."""
    return "" if interval is None else f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f} %"


def _rank(value):
    return number(None if value is None else round(value, 1))


def _ranks(interval):
    return "" if interval is None else f"{_rank(interval['low'])} to {_rank(interval['high'])}"


def number(value: float | None, form: str = "g") -> str:
    """Returns a number, a dash for `None`."""
    return "-" if value is None else f"{value:{form}}"
