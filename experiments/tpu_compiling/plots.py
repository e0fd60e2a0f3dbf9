"""The plots of the page, as SVG."""

from collections.abc import Mapping

import numpy as np

from experiments.reports.plots import COLORS, NEUTRAL, PALETTE, new_axes, styled, svg
from experiments.tpu_compiling.costs import Costs
from experiments.tpu_compiling.generations import GIB
from experiments.tpu_compiling.memory import Memory
from experiments.tpu_compiling.parts import ALL, MODALITIES, PARTS

_MODALITY_COLORS = {**COLORS, ALL: NEUTRAL}


@styled
def parts_plot(costs: Mapping[str, Costs]) -> str:
    """Draws a bar per part and variant; a bar of one variant is divided by modality."""
    shown = [part for part in PARTS if any(part in each.by(0) for each in costs.values())]
    height = 0.8 / len(costs)
    axes = new_axes(
        "Where the time is spent", "estimated milliseconds", "", (9, 0.8 + 0.2 * len(shown) * (1 + len(costs)))
    )
    for number, (name, each) in enumerate(costs.items()):
        places, left = np.arange(len(shown)) + number * height, np.zeros(len(shown))
        for modality in (*MODALITIES, ALL):
            widths = np.array([_milliseconds(each, part, modality) for part in shown])
            axes.barh(places, widths, 0.9 * height, left, color=_MODALITY_COLORS[modality],
                      label=modality if number == 0 else None)  # fmt: skip
            left += widths
        if len(costs) > 1:
            for place, width in zip(places, left, strict=True):
                axes.annotate(f" {name}", (width, place), va="center", fontsize=7)
    axes.set_yticks(np.arange(len(shown)) + height * (len(costs) - 1) / 2, shown)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower right")
    return svg(axes)


@styled
def memory_plot(memory: Mapping[str, Memory]) -> str:
    """Draws what each variant needs, next to what there is."""
    axes = new_axes("Memory of one device", "GiB", "", (4.4, 1.4 + 0.4 * len(memory)))
    left = np.zeros(len(memory))
    for number, kind in enumerate(("arguments", "temporaries", "code")):
        widths = np.array([getattr(each, kind) / GIB for each in memory.values()])
        axes.barh(list(memory), widths, 0.6, left, color=PALETTE[number], label=kind)
        left += widths
    capacity = max(each.capacity for each in memory.values()) / GIB
    axes.axvline(capacity, color=PALETTE[3], linewidth=1, linestyle="--", label=f"there are {capacity:g}")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.figure.legend(loc="outside lower center", ncols=4, fontsize=7)
    return svg(axes)


@styled
def step_plot(costs: Mapping[str, Costs]) -> str:
    """Draws each variant's step, divided by modality."""
    axes = new_axes("One step", "estimated milliseconds", "", (4.4, 1.4 + 0.4 * len(costs)))
    left = np.zeros(len(costs))
    for modality in (*MODALITIES, ALL):
        widths = np.array([_of_modality(each, modality) for each in costs.values()])
        axes.barh(list(costs), widths, 0.6, left, color=_MODALITY_COLORS[modality], label=modality)
        left += widths
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.figure.legend(loc="outside lower center", ncols=4, fontsize=7)
    return svg(axes)


def _of_modality(costs, modality):
    sums = costs.by(1)
    return sums[modality].milliseconds if modality in sums else 0.0


def _milliseconds(costs, part, modality):
    found = costs.parts.get((part, modality))
    return found.milliseconds if found else 0.0
