"""The plots of `experiments.dataset_stats`, as SVG."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.reports.plots import COLORS, NEUTRAL, PALETTE, new_axes, styled, svg

_BINS, _NAMED_CLASSES = 40, 40
_FIELDS = {
    "seconds": ("How long clips are", "seconds", "clips", COLORS["video"]),
    "loudness_db": ("How loud clips are", "root mean square, dB below full scale", "clips", COLORS["audio"]),
    "captions": ("Captions of a clip", "captions", "clips", COLORS["text"]),
    "words": ("Words of a caption", "words", "captions", COLORS["text"]),
}
_COUNTED = {"captions", "words"}


def histograms(summary) -> list[str]:
    """Draws how long and how loud clips are, and how many captions and words they have; what there is of it."""
    drawn = [name for name in _FIELDS if len(getattr(summary, name)) and (name != "captions" or summary.words)]
    return [_histogram(getattr(summary, name), name) for name in drawn]


@styled
def _histogram(values, name):
    title, x_label, y_label, color = _FIELDS[name]
    axes = new_axes(title, x_label, y_label)
    values = np.asarray(values, np.float64)
    low, high = values.min(), values.max()
    if name in _COUNTED:
        # Whole numbers stand in the middle of their bars; the longest tail shares the last.
        high = max(min(high, 4 * np.percentile(values, 90)), low)
        step = max(1, round((high - low + 1) / _BINS))
        edges = np.arange(low, high + step + 1, step) - 0.5
        values = np.minimum(values, edges[-1] - 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
    else:
        margin = max(0.5 - (high - low) / 2, 0.0)  # what hardly differs is not spread over the whole width
        edges = np.linspace(low - margin, high + margin, _BINS + 1)
    axes.hist(values, edges, color=color, alpha=0.85)
    axes.axvline(np.median(values), color=NEUTRAL, linewidth=1, linestyle="--", label=f"median {np.median(values):.3g}")
    axes.legend()
    return svg(axes)


@styled
def class_bars(counts: Mapping[str, Mapping[str, int]], class_names: Sequence[str]) -> str:
    """Draws the clips of each class: a bar of one color per split, the largest class first.

    Args:
      counts: Split to class to clips.
      class_names: All classes, so that empty ones show; beyond 40 their names are omitted.
    """
    totals = np.array([[clips.get(name, 0) for name in class_names] for clips in counts.values()])
    order = np.argsort(-totals.sum(axis=0), kind="stable")
    named = len(order) <= _NAMED_CLASSES
    y_label = "" if named else "classes, the largest first"
    axes = new_axes("Clips of each class", "clips", y_label, (9, _height(len(order), named)))
    left = np.zeros(len(order))
    for number, (split, clips) in enumerate(zip(counts, totals[:, order], strict=True)):
        color = PALETTE[number % len(PALETTE)]
        axes.barh(np.arange(len(order)), clips, 0.8 if named else 1.0, left, color=color, label=split)
        left += clips
    axes.set_yticks(np.arange(len(order)) if named else [], [class_names[place] for place in order] if named else [])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.figure.legend(loc="outside right upper")
    return svg(axes)


def _height(classes, named):
    return max(1.6, 0.6 + 0.22 * classes) if named else 4.0
