"""A sweep's plots, as SVG: the final figures along each axis, and the runs over their steps."""

import numpy as np

from experiments.evaluation.task import Metric
from experiments.pretraining.step import OBJECTIVES
from experiments.reports.plots import NEUTRAL, PALETTE, binned, new_axes, styled, svg
from experiments.running.own_files import content_of
from experiments.sweeps.config import SEED
from experiments.sweeps.directory import SweepState
from experiments.sweeps.table import present_metrics, settings
from experiments.training.quantities import PER_OBJECTIVE, QUANTITIES, Quantity, objective_title

_STYLES = ("-", "--", ":", "-.")


@styled
def figures_by_axis(state: SweepState) -> list[str]:
    """Draws each figure that some point has along each axis with alternatives: a dot per point, a bar at their mean."""
    axes = [axis for axis, labels in state.axes.items() if axis != SEED and len(labels) > 1]
    metrics = present_metrics(state)
    return [_along(state, axis, metric) for axis in axes for metric in metrics]


def _along(state: SweepState, axis: str, metric: Metric) -> str:
    labels = state.axes[axis]
    drawing = new_axes(metric.title, axis, "%" if metric.percent else metric.name)
    for place, label in enumerate(labels):
        values = [metric.value(point.figures) for point in state.points if point.labels[axis] == label]
        values = [value for value in values if value is not None]
        color = PALETTE[place % len(PALETTE)]
        # Side by side, in the order of the points: equal values would hide each other.
        spread = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else [0.0] * len(values)
        drawing.plot(place + np.asarray(spread), values, "o", color=color, alpha=0.8, markersize=5)
        if len(values) > 1:
            drawing.hlines(np.mean(values), place - 0.3, place + 0.3, color=NEUTRAL, linewidth=1.4)
    slanted = dict(rotation=30, ha="right") if max(map(len, labels)) * len(labels) > 40 else {}
    drawing.set_xticks(range(len(labels)), labels, **slanted)
    drawing.set_xlim(-0.5, len(labels) - 0.5)
    return svg(drawing)


@styled
def curves_over_steps(state: SweepState) -> list[str]:
    """Draws what the points have recorded over their steps: a line per point, a color per setting."""
    found = [(setting, [point for point in setting.points if point.records]) for setting in settings(state)]
    if not any(points for _, points in found):
        return []
    return [_curves(found, each, *field) for each in QUANTITIES if each.swept for field in _fields(each)]


def _fields(quantity: Quantity) -> list[tuple[str, str]]:
    """Returns the names in metrics.jsonl and the titles of a quantity's curves."""
    if quantity.per != PER_OBJECTIVE:
        return [(quantity.name, quantity.title)]
    return [
        (f"{quantity.name}_{objective}", f"{objective_title(objective)} {quantity.noun}".capitalize())
        for objective in OBJECTIVES
    ]


def _curves(found, quantity, field, title):
    drawing = new_axes(title, "step", quantity.unit, size_inches=(5.6, 4.2))
    for place, (setting, points) in enumerate(found):
        turn, color = divmod(place, len(PALETTE))
        style = dict(color=PALETTE[color], linestyle=_STYLES[turn % len(_STYLES)], linewidth=1.2)
        for number, point in enumerate(points):
            with content_of(point.directory.metrics):
                steps, _, means = binned(point.records)
                values = quantity.factor * means[field]
            drawing.plot(steps, values, label="" if number else setting.title, **style)
    if quantity.log_scale:
        drawing.set_yscale("log")
    drawing.figure.legend(*drawing.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return svg(drawing)
