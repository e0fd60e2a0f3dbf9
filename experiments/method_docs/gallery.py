"""Draws what each method makes of two gradients as the angle between them grows."""

import pathlib
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Wedge
from PIL import Image

from experiments.method_docs.situations import ANGLES_DEGREES, LENGTHS, Turned, situation
from experiments.running.whole_file import whole_file

# Blue, orange and vermilion of Okabe and Ito, made to be told apart by everyone; viridis without its pale end.
FIRST, SECOND, CONFLICT, NEUTRAL = "#0072B2", "#E69F00", "#D55E00", "#8a919c"
HALO, FAINT = "#f4b183", "#555b66"
COLORS = LinearSegmentedColormap.from_list("angle", matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, 256)))
ARROWS_DEGREES = (45, 90, 135, 165)
WEDGE_DEGREES = 135
COLUMNS = 4
X_RANGE, Y_RANGE = (-2.15, 3.2), (-0.3, 2.75)
_JUMP = 0.2  # Between neighboring angles; a curve is broken there.
_RESOLUTION = 2e-3  # Products of gradients and updates below it are rounding's.
_STYLE = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.linewidth": 0.6,
    "axes.edgecolor": NEUTRAL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.parse_math": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}

styled = matplotlib.rc_context(_STYLE)


@styled
def draw_gallery(turned: Mapping[str, Turned], path: pathlib.Path) -> None:
    """Draws all methods side by side, with a second gradient of twice the length.

    Args:
      turned: Methods by name.
      path: PNG to write.
    """
    rows = -(-(len(turned) + 2) // COLUMNS)
    figure = Figure((11.2, 1.83 * rows), layout="constrained")
    grid = figure.add_gridspec(rows, COLUMNS)
    for index, (name, one) in enumerate(turned.items()):
        axes = figure.add_subplot(grid[index // COLUMNS, index % COLUMNS])
        _panel(axes, one, length=1)
        axes.set_title(name, loc="left", fontweight="bold", fontsize=11, pad=3)
        axes.set_title(situation(name).caption, loc="right", fontsize=8, color=FAINT, pad=3)
    _legend(figure.add_subplot(grid[-1, -2:]))
    _save(figure, path)


@styled
def draw_method(name: str, turned: Turned, path: pathlib.Path) -> None:
    """Draws one method: a second gradient as long as the first and twice as long, and what both objectives gain.

    Args:
      name: The method's.
      turned: Its updates.
      path: PNG to write.
    """
    figure = Figure((11.2, 2.5), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.0, 1.0, 0.8))
    for length, axes, title in ((0, left, "|g₂| = |g₁|"), (1, middle, "|g₂| = 2 |g₁|")):
        _panel(axes, turned, length)
        axes.set_title(title, loc="left")
    middle.set_title(situation(name).caption, loc="right", fontsize=8, color=FAINT)
    _gains(right, turned, length=1)
    right.set_title("gain of each objective, |g₂| = 2 |g₁|", loc="left")
    _save(figure, path)


def conflicts(turned: Turned, length: int) -> np.ndarray:
    """Whether an update that is taken points away from one of the gradients, [angles] bool."""
    return (_products(turned, length) < -_RESOLUTION).any(axis=0)


def _products(turned: Turned, length: int) -> np.ndarray:
    """What a step of length 1 gains along each gradient, divided by the gradient's length: [2, angles]."""
    update = turned.updates[length, 0]
    return np.stack([update[:, 0], (update * turned.gradients[length]).sum(axis=1) / LENGTHS[length]])


def _panel(axes: Axes, turned: Turned, length: int) -> None:
    kept = np.where(turned.keep[length][:, None], turned.updates[length, 0], np.nan)
    axes.set(xlim=X_RANGE, ylim=Y_RANGE, aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.axhline(0, color=NEUTRAL, linewidth=0.5, zorder=0)
    axes.axvline(0, color=NEUTRAL, linewidth=0.5, zorder=0)
    wedge = Wedge(
        (0, 0), 9, WEDGE_DEGREES - 90, 90, color=COLORS(WEDGE_DEGREES / 180), alpha=0.13, linewidth=0, zorder=0
    )
    axes.add_patch(wedge)
    _second_gradients(axes, turned, length)
    _curve(axes, np.where(conflicts(turned, length)[:, None], kept, np.nan), linewidth=7, color=HALO)
    _curve(axes, kept, linewidth=2.2)
    for degrees in ARROWS_DEGREES:
        _update(axes, turned, length, int(np.searchsorted(ANGLES_DEGREES, degrees)))
    _arrow(axes, (1.0, 0.0), color="black", linewidth=1.3)
    if not turned.keep[length].all():
        axes.plot(0, 0, "o", markersize=6, markerfacecolor="white", markeredgecolor="black", zorder=6)


def _second_gradients(axes: Axes, turned: Turned, length: int) -> None:
    """The arc along which the second gradient turns; where the step is skipped, its sector is hatched."""
    tips = turned.gradients[length]
    _curve(axes, tips, linewidth=0.8)
    for degrees in ARROWS_DEGREES:
        tip = tips[np.searchsorted(ANGLES_DEGREES, degrees)]
        axes.plot(*zip((0, 0), tip, strict=True), color=COLORS(degrees / 180), linewidth=0.6, alpha=0.6, zorder=1)
        axes.plot(*tip, "o", color=COLORS(degrees / 180), markersize=3.5, zorder=2)
    gated = ANGLES_DEGREES[~turned.keep[length]]
    if gated.size:
        sector = Wedge((0, 0), LENGTHS[length], gated.min(), gated.max(), fill=False, hatch="////", linewidth=0)
        sector.set(edgecolor=NEUTRAL, alpha=0.7, zorder=0.5)
        axes.add_patch(sector)


def _curve(axes: Axes, tips: np.ndarray, **options) -> None:
    """A line through points by angle, colored by angle, broken where they jump or are not numbers."""
    segments = np.stack([tips[:-1], tips[1:]], axis=1)
    near = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1) < _JUMP  # False for NaN
    if "color" not in options:
        options["colors"] = COLORS(ANGLES_DEGREES[:-1][near] / 180)
    axes.add_collection(LineCollection(segments[near], capstyle="round", zorder=3, **options))


def _update(axes: Axes, turned: Turned, length: int, index: int) -> None:
    color, draws = COLORS(ANGLES_DEGREES[index] / 180), turned.updates[length, :, index]
    axes.scatter(*draws[1:].T, s=5, color=color, alpha=0.5, linewidths=0, zorder=2)
    if turned.keep[length][index]:
        _arrow(axes, draws[0], color=color, linewidth=1.8)


def _arrow(axes: Axes, tip, color, linewidth: float, start=(0, 0)) -> None:
    if np.hypot(*tip) < 0.05:
        axes.plot(*tip, "o", color=color, markersize=4, zorder=5)
        return
    style = {"arrowstyle": "-|>,head_width=0.18,head_length=0.36", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", tip, start, arrowprops={**style, "color": color, "linewidth": linewidth}, zorder=5)


def _gains(axes: Axes, turned: Turned, length: int) -> None:
    gains = np.where(turned.keep[length], _products(turned, length), 0.0)
    gains[:, 1:][np.abs(np.diff(gains)) > _JUMP] = np.nan
    axes.axhspan(-1.6, 0, color=CONFLICT, alpha=0.12, linewidth=0)
    axes.axhline(0, color=NEUTRAL, linewidth=0.6)
    for row, color, label in zip(gains, (FIRST, SECOND), ("g₁ · d / |g₁|", "g₂ · d / |g₂|"), strict=True):
        axes.plot(ANGLES_DEGREES, row, color=color, linewidth=1.8, label=label)
    axes.text(4, -1.45, "conflict", color=CONFLICT, fontsize=8)
    axes.set(xlim=(0, 180), ylim=(-1.6, 3.4), xticks=(0, 45, 90, 135, 180), xlabel="angle of g₁ and g₂, degrees")
    axes.legend(loc="upper right")


def _legend(axes: Axes) -> None:
    """Says once how to read the panels."""
    axes.set(xlim=(0, 20), ylim=(0, 4.6))
    axes.axis("off")
    axes.set_title("How to read a panel", loc="left", fontweight="bold", fontsize=11, pad=3)
    for row, text in enumerate((
        "g₁, length 1, stays",
        "g₂, length 2, turns",
        "update d; the curve is its tip's path",
        "no step while g₂ is in the hatched sector",
    )):  # fmt: skip
        axes.text(1.4, 4.1 - row, text, va="center", fontsize=8)
    _arrow(axes, (1.0, 4.1), "black", 1.3, start=(0.0, 4.1))
    axes.plot([0.0, 1.0], [3.1, 3.1], color=COLORS(0.5), linewidth=0.8)
    axes.plot(0.5, 3.1, "o", color=COLORS(0.5), markersize=3.5)
    _arrow(axes, (1.0, 2.1), COLORS(0.5), 1.8, start=(0.0, 2.1))
    axes.plot(0.5, 1.1, "o", markersize=6, markerfacecolor="white", markeredgecolor="black")
    axes.plot([10.7, 11.7], [4.1, 4.1], color=HALO, linewidth=7)
    axes.plot([10.7, 11.7], [4.1, 4.1], color=COLORS(0.85), linewidth=2.2)
    axes.text(12.1, 4.1, "d conflicts with g₁ or g₂", va="center", fontsize=8)
    axes.fill(
        [10.7, 11.7, 11.7, 10.7], [2.8, 2.8, 3.4, 3.4], color=COLORS(WEDGE_DEGREES / 180), alpha=0.25, linewidth=0
    )
    axes.text(12.1, 3.1, f"where d should end at {WEDGE_DEGREES}°\nto conflict with neither", va="center", fontsize=8)
    bar = axes.inset_axes((0.55, 0.33, 0.4, 0.07))
    bar.imshow(np.linspace(0, 1, 256)[None], cmap=COLORS, aspect="auto", extent=(0, 180, 0, 1))
    bar.set(yticks=[], xticks=ARROWS_DEGREES, xticklabels=[f"{degrees}°" for degrees in ARROWS_DEGREES])
    bar.set_xlabel("angle of g₁ and g₂; arrows where ticked", fontsize=8)


def _save(figure: Figure, path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # A palette makes the files a third as large.
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    with whole_file(path) as temporary:
        image.save(temporary, format="png", optimize=True)
