"""The figures of `result.json`, each beside what chance would give."""

from collections.abc import Sequence
from typing import NamedTuple

from experiments.evaluation.alignment import INDICATORS
from experiments.evaluation.task_names import DOWNSTREAM_TASKS
from experiments.running.quantities import RUN_QUANTITIES


class Row(NamedTuple):
    """A line of the table.

    Attributes:
      group: The heading it stands under.
      name: What was measured.
      value: The figure, as text.
      chance: What chance would give, as text; empty where there is no such thing.
    """

    group: str
    name: str
    value: str
    chance: str


def rows(result: dict) -> list[Row]:
    """Returns the table's lines; what was not evaluated shows as a dash."""
    return [
        *_retrieval(result["retrieval"]["text_to_video"]),
        *_probes(result["linear_probe"]),
        *_harmonization(result["harmonization"]),
        *_alignment(result["alignment"]),
        *(row for task, found in result.get("tasks", {}).items() for row in _downstream(task, found)),
    ]


def format_table(lines: Sequence[Row]) -> str:
    """Returns the table as text, one line per row, under its headings."""
    widths = [max(len(line[column]) for line in lines) for column in (1, 2)]
    text, heading = [f"{'':{widths[0] + 2}}  {'result':>{widths[1] + 2}}  {'chance':>8}"], None
    for line in lines:
        if line.group != heading:
            heading = line.group
            text.append(heading)
        text.append(f"  {line.name:{widths[0]}}  {line.value:>{widths[1] + 2}}  {line.chance:>8}".rstrip())
    return "\n".join(text)


def _retrieval(found):
    chance = found.get("chance") or {}
    group = f"text to video retrieval, {found['gallery'] or 'no'} clips"
    recalls = [Row(group, f"R@{k}", _percent(found[f"r{k}"]), _percent(chance.get(f"r{k}"))) for k in (1, 5, 10)]
    return [*recalls, Row(group, "median rank", _number(found["median_rank"]), _number(chance.get("median_rank")))]


def _probes(probes):
    group = "linear probe on frozen features, top-1"
    return [
        Row(group, f"{modality}{_of_clips(probe)}", _percent(probe["top1"]), _percent(probe["chance"]))
        for modality, probe in probes.items()
    ]


def _of_clips(probe):
    return f", {probe['test_clips']} clips" if "test_clips" in probe else ""


def _harmonization(found):
    group = "the two gradients, all training steps"
    return [
        Row(group, each.figure.title, _run_figure(each, found[each.figure.key]), "")
        for each in RUN_QUANTITIES
        if each.figure.key in found
    ]


def _run_figure(quantity, value):
    return _percent(value) if quantity.percent else _number(value, f"+.{quantity.figure.digits}f")


def _alignment(found):
    if found is None:
        return []
    clips = found["clips"]
    group = f"telling {clips['misaligned']} misaligned from {clips['aligned']} aligned clips, AUC"
    areas = {title: found["auc"][name]["misaligned"] for name, title in INDICATORS.items()}
    return [Row(group, title, _number(area, ".3f"), "0.500") for title, area in areas.items()]


def _downstream(task, found):
    title = DOWNSTREAM_TASKS[task][0]
    if found is None:
        return [Row(title, "left out", "-", "")]
    if "svm" in found:
        return _classifiers(title, found)
    if "views" in found:
        older = "" if "items" in found["chance"] else "; chance: 1 / classes"  # as earlier versions took it
        group = f"{title}, fine-tuned, {found['views']} views of {found['items']} clips{older}"
        return _tops(group, "", found, found["chance"])
    entire = [name for name, figures in found.items() if isinstance(figures, dict) and "gallery" in figures]
    lines = [_sentences(title, found), *(_sentences(f"{title} {name}, all sentences", found[name]) for name in entire)]
    return [row for group in lines for row in group]


def _classifiers(title, found):
    counts = f"mean of {len(found['svm']['splits'])} splits, {found['items']} test clips in all"
    group = f"{title}, linear classifiers on frozen features, {counts}"
    names = {"low-rank classifier, ": "low_rank", "linear SVM, ": "svm"}
    return [row for name, key in names.items() for row in _tops(group, name, found[key], found["chance"])]


def _tops(group, name, found, chance):
    return [Row(group, f"{name}top-{k}", _percent(found[f"top{k}"]), _percent(chance[f"top{k}"])) for k in (1, 5)]


def _sentences(title, found):
    """Lines of text to video retrieval by single sentences, with the windows averaged in both ways."""
    group = f"{title}, {found['items']} sentences, {found['gallery']} clips"
    ways = {"": found, ", similarities averaged": found["similarities"]}
    return [
        row._replace(group=group, name=f"{row.name}{way}")
        for way, figures in ways.items()
        for row in _retrieval({**found, **figures})
    ]


def _percent(share):
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value, form="g"):
    return "-" if value is None else f"{value:{form}}"
