"""The figures of `result.json`, each next to what chance would give."""

from collections.abc import Sequence

from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.rows import number, percent
from experiments.evaluation.task import Row
from experiments.evaluation.tasks import OWN_TASKS
from experiments.training.quantities import RUN_QUANTITIES


def rows(result: dict) -> list[Row]:
    """Returns the table's lines; what was not evaluated shows as a dash."""
    own = {name: TASKS[name].rows(result.get(name, TASKS[name].nothing)) for name in OWN_TASKS}
    alignment = own.pop("alignment")  # follows the training steps: both are about gradients
    downstream = [row for name, found in result.get("tasks", {}).items() for row in _downstream(name, found)]
    evaluated = [row for found in own.values() for row in found]
    return [*evaluated, *_harmonization(result["harmonization"]), *alignment, *downstream]


def format_table(lines: Sequence[Row]) -> str:
    """Returns the table as text, one line per row, under its headings."""
    widths = [max(len(line[column]) for line in lines) for column in (1, 2)]
    with_intervals = "  95 % interval" if any(line.interval for line in lines) else ""
    text, heading = [f"{'':{widths[0] + 2}}  {'result':>{widths[1] + 2}}  {'chance':>8}{with_intervals}"], None
    for line in lines:
        if line.group != heading:
            heading = line.group
            text.append(heading)
        figures = f"{line.value:>{widths[1] + 2}}  {line.chance:>8}  {line.interval}"
        text.append(f"  {line.name:{widths[0]}}  {figures}".rstrip())
    return "\n".join(text)


def _downstream(name, found):
    task = TASKS[name]
    return task.rows(found) if found is not None else [Row(task.title, "skipped", "-", "")]


def _harmonization(found):
    group = "the two gradients, all training steps"
    return [
        Row(group, each.figure.title, _run_figure(each, found[each.figure.key]), "")
        for each in RUN_QUANTITIES
        if each.figure.key in found
    ]


def _run_figure(quantity, value):
    return percent(value) if quantity.percent else number(value, f"+.{quantity.figure.digits}f")
