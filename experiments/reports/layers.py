"""The report's map of the conflict: the cosine of the two gradients, layers by steps."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

from experiments.reports.plots import ALIGNED, MISALIGNED, NEUTRAL, styled, svg
from experiments.training.history import LayerHistory
from experiments.training.step_means import conflict_rate

COLUMNS = 200
"""More could not be told apart."""

# Zero is transparent: it takes the page's color, light or dark.
_COLORS = LinearSegmentedColormap.from_list(
    "conflict",
    [(0.0, MISALIGNED), (0.5, to_rgba(MISALIGNED, 0.0)), (0.5, to_rgba(ALIGNED, 0.0)), (1.0, ALIGNED)],
)
_WIDTH_INCHES, _ROW_INCHES, _FRAME_INCHES = 10.5, 0.24, 1.0


@styled
def layer_map(history: LayerHistory) -> str:
    """Draws the cosine of every layer over the steps, and next to it each layer's share of steps in conflict, as SVG."""
    return svg(layer_figure(history).axes[0])


@styled
def layer_figure(history: LayerHistory) -> Figure:
    """Draws the same as a figure."""
    rows = len(history.compared)
    figure = Figure((_WIDTH_INCHES, _FRAME_INCHES + _ROW_INCHES * rows), layout="constrained")
    axes, bars = figure.subplots(1, 2, sharey=True, width_ratios=(6, 1))
    image = _draw_map(axes, history)
    _draw_bars(bars, history.cosines)
    axes.set_yticks(range(rows), [name.replace("_", " ") for name in history.compared])
    figure.colorbar(
        image, ax=[axes, bars], label="cosine", extend="both", pad=0.01, fraction=0.03, aspect=max(10, 1.4 * rows)
    )
    return figure


def binned(values: np.ndarray, columns: int) -> np.ndarray:
    """Averages neighboring steps, leaving NaN out.

    Args:
      values: `[layers, steps]`.
      columns: The maximum number of columns of the result.

    Returns:
      `[layers, columns]`, or fewer columns if there are fewer steps; NaN where all of a column's steps are.
    """
    steps = values.shape[1]
    starts = np.arange(min(columns, steps)) * steps // min(columns, steps)
    sums = np.add.reduceat(np.nan_to_num(values), starts, axis=1)
    counts = np.add.reduceat(~np.isnan(values), starts, axis=1, dtype=np.int64)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def conflict_rates(cosines: np.ndarray) -> np.ndarray:
    """Returns the share of the steps in conflict among those that have a cosine: `[layers, steps]` to `[layers]`."""
    return np.array([conflict_rate(row) for row in cosines])


def _draw_map(axes, history):
    cells = binned(history.cosines, COLUMNS)
    # A few extreme cells must not make all others pale: they exceed the scale.
    reach = max(float(np.nanpercentile(np.abs(cells), 99)), 1e-3)
    axes.set_facecolor("none")
    edges = (history.first_step + 0.5, history.first_step + history.cosines.shape[1] + 0.5)
    options = dict(extent=(*edges, len(cells) - 0.5, -0.5), aspect="auto", interpolation="nearest")
    axes.imshow(np.isnan(cells), cmap=LinearSegmentedColormap.from_list("", [(0, 0, 0, 0), NEUTRAL]), **options)
    image = axes.imshow(cells, cmap=_COLORS, vmin=-reach, vmax=reach, **options)
    axes.set(title="Cosine of the two gradients by layer", xlabel="step")
    axes.grid(False)
    return image


def _draw_bars(axes, cosines):
    rates = 100 * conflict_rates(cosines)
    bars = axes.barh(range(len(rates)), rates, color=MISALIGNED, height=0.7)
    axes.bar_label(bars, [f"{rate:.0f}" for rate in rates], padding=2, fontsize=8)
    axes.set(title="In conflict", xlabel="% of steps", xlim=(0, 125), xticks=(0, 50, 100))
    axes.tick_params(left=False, labelleft=False)
    axes.grid(False)
