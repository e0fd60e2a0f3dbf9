"""The report's curves and histograms, as SVG that takes its text color from the page."""

import io
import re
from collections.abc import Callable, Sequence
from functools import partial

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from sklearn.metrics import roc_auc_score

from experiments.training.history import all_cosines
from experiments.training.quantities import QUANTITIES
from experiments.training.step_means import measured_mean

# One color per modality everywhere; a loss has the color of what the video is compared with. All stand out on white
# and on black.
COLORS = {"video": "#3b82f6", "audio": "#e08a00", "text": "#10a36f"}
OBJECTIVES = {
    "video_audio": ("video-audio", COLORS["audio"]),
    "video_text": ("video-text", COLORS["text"]),
}
COSINE, MISALIGNED, ALIGNED, NEUTRAL = "#8b5cf6", "#e5484d", "#0d9aa5", "#8a919c"
PALETTE = ("#3b82f6", "#e08a00", "#10a36f", "#e5484d", "#8b5cf6", "#0d9aa5", "#d6499f", "#8c6d31")
"""For whatever has no color of its own."""
_QUANTITY_COLORS = {
    "cosine": COSINE,
    "conflict_rate": MISALIGNED,
    "keep": ALIGNED,
    "clip_alignment": COSINE,
    "clip_weight": ALIGNED,
}
_FOREGROUND = "#010203"  # no plot uses it; becomes the page's text color
_POINTS = 400  # more cannot be told apart at this size
_STYLE = {
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.color": _FOREGROUND,
    "text.parse_math": False,  # names of classes may hold any sign
    "axes.edgecolor": _FOREGROUND,
    "axes.labelcolor": _FOREGROUND,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": NEUTRAL,
    "grid.alpha": 0.25,
    "xtick.color": _FOREGROUND,
    "ytick.color": _FOREGROUND,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}

styled = matplotlib.rc_context(_STYLE)  # a decorator: whatever the function draws has the report's style


def new_axes(title: str, x_label: str, y_label: str, size_inches: tuple[float, float] = (4.4, 2.7)):
    """Returns the axes of a new figure."""
    axes = Figure(size_inches, layout="constrained").subplots()
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    return axes


def svg(axes) -> str:
    """Returns the figure of `axes` as an SVG element without background, to stand inside a page."""
    buffer = io.StringIO()
    axes.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    element = buffer.getvalue()
    element = element[element.index("<svg") :].replace(_FOREGROUND, "currentColor")
    # Its viewBox scales it; with a fixed size it would not fit a phone.
    size = re.compile(r' (?:width|height)="[\d.]+pt"')
    return size.sub("", element, count=2).replace("<svg", f'<svg role="img" aria-label="{axes.get_title()}"', 1)


def binned(records: Sequence[dict]) -> tuple[np.ndarray, list[Sequence[dict]], dict[str, np.ndarray]]:
    """Groups neighboring lines of metrics.jsonl, so that there are no more points than can be told apart.

    Returns:
      The last step of each group, the groups, and the means over each group of whatever is a number.
    """
    borders = np.linspace(0, len(records), min(_POINTS, len(records)) + 1).astype(int)
    groups = [records[start:end] for start, end in zip(borders, borders[1:], strict=False)]
    means = {
        name: np.array([measured_mean(np.array([record[name] for record in group], np.float64)) for group in groups])
        for name, value in records[0].items()
        if isinstance(value, (int, float))
    }
    return np.array([group[-1]["step"] for group in groups]), groups, means


Painter = Callable[[Axes], None]
"""Draws one quantity into axes, with title and labels."""


@styled
def curves(records: Sequence[dict]) -> list[str]:
    """Draws how a run went, from the lines of metrics.jsonl: one SVG per quantity."""
    return [svg(painted(paint)) for paint in curve_painters(records).values()]


def painted(paint: Painter) -> Axes:
    """Returns the axes of a new figure with what is drawn into them."""
    axes = new_axes("", "", "")
    paint(axes)
    return axes


def curve_painters(records: Sequence[dict]) -> dict[str, Painter]:
    """Returns what draws each quantity of a run, by its name; see `curves`."""
    steps, groups, means = binned(records)
    found = {}
    for quantity in QUANTITIES:
        if quantity.curve and quantity.every_step:
            found[quantity.name] = partial(_every_step_curve, quantity, steps, groups)
        elif quantity.curve and f"{quantity.name}_{next(iter(OBJECTIVES))}" in means:
            found[quantity.name] = partial(_per_objective, quantity, steps, means)
        elif quantity.curve and quantity.name in means:
            found[quantity.name] = partial(_single, quantity, steps, means[quantity.name])
    return found


def _per_objective(quantity, steps, means, axes):
    for name, (label, color) in OBJECTIVES.items():
        axes.plot(steps, quantity.factor * means[f"{quantity.name}_{name}"], color=color, label=label)
    _describe(quantity, axes)
    axes.legend()


def _every_step_curve(quantity, steps, groups, axes):
    """Draws the mean and the spread of a quantity over each group's steps, as far as they have it."""
    values = [all_cosines(group, quantity.every_step) for group in groups]
    defined = [each[~np.isnan(each)] for each in values]
    low, high, mean = np.array(
        [[*np.percentile(each, [10, 90]), each.mean()] if len(each) else [np.nan] * 3 for each in defined]
    ).T
    color = _QUANTITY_COLORS[quantity.name]
    axes.axhline(0, color=NEUTRAL, linewidth=1)
    axes.fill_between(steps, low, high, color=color, alpha=0.25, linewidth=0, label="10th to 90th percentile")
    axes.plot(steps, mean, color=color, label="mean")
    _describe(quantity, axes)
    axes.legend()


def _single(quantity, steps, values, axes):
    axes.plot(steps, quantity.factor * values, color=_QUANTITY_COLORS.get(quantity.name, NEUTRAL))
    _describe(quantity, axes)
    if quantity.percent:
        axes.set_ylim(-3, 103)


def _describe(quantity, axes):
    axes.set(title=quantity.title, xlabel="step", ylabel=quantity.unit)
    if quantity.log_scale:
        _log_scale(axes)


def _log_scale(axes):
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


@styled
def cosine_histogram(cosines: np.ndarray) -> str:
    """Draws the cosine of all training steps, those in conflict in another color."""
    axes = new_axes("Training steps by cosine", "cosine of the two gradients of a batch", "steps")
    edges = np.linspace(*_span(cosines), 49)
    axes.hist(cosines[cosines < 0], edges, color=MISALIGNED, alpha=0.8, label="in conflict")
    axes.hist(cosines[cosines >= 0], edges, color=ALIGNED, alpha=0.8, label="in agreement")
    axes.legend()
    return svg(axes)


@styled
def split_histogram(values: np.ndarray, misaligned: np.ndarray, title: str, x_label: str) -> str:
    """Draws the distribution of an indicator over clips, apart for aligned and misaligned ones, with the AUC.

    Args:
      values: `[clips]`, low where the indicator suspects a clip.
      misaligned: bool [clips], the planted truth; both kinds occur.
      title: Heads the plot.
      x_label: Names the indicator.
    """
    return svg(painted(partial(paint_split_histogram, values, misaligned, title, x_label)))


def paint_split_histogram(values: np.ndarray, misaligned: np.ndarray, title: str, x_label: str, axes: Axes) -> None:
    """Does the same into axes that are there."""
    area = roc_auc_score(misaligned, -values)
    axes.set(title=f"{title}: AUC {area:.3f}", xlabel=x_label, ylabel="share of the clips, %")
    edges = np.linspace(*_span(values), 25)
    for members, color, label in ((~misaligned, ALIGNED, "aligned"), (misaligned, MISALIGNED, "misaligned")):
        count = int(members.sum())
        weights = np.full(count, 100 / count)
        axes.hist(values[members], edges, weights=weights, color=color, alpha=0.55, label=f"{label}, {count} clips")
    axes.legend()


def _span(values):
    """Symmetric about 0, so that the sign is seen."""
    reach = max(float(np.abs(values).max()), 1e-3)
    return -reach, reach
