"""Figures for a look into a run; see experiments/notebooks/inspect_checkpoint.ipynb. They look like the report's."""

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data import open_jpeg
from experiments.dataset_checks.contact_sheet import Card
from experiments.inspection.model import LayerChange, LayerConflict
from experiments.reports.plots import (
    ALIGNED,
    COLORS,
    MISALIGNED,
    NEUTRAL,
    OBJECTIVES,
    PALETTE,
    Painter,
    curve_painters,
    paint_split_histogram,
    styled,
)
from experiments.reports.projection import Unmapped, map_spaces, paint_plane

CURVES = ("loss", "cosine", "conflict_rate", "keep", "weight", "gradient_norm")
_WIDTH_INCHES, _ROW_INCHES = 10.5, 0.21


@styled
def training_figure(records: Sequence[dict], quantities: Sequence[str] = CURVES) -> Figure:
    """Draws how a run went.

    Args:
      records: The lines of metrics.jsonl, at least one.
      quantities: Names out of `experiments.reports.plots.curve_painters`.
    """
    painters = curve_painters(records)
    return _grid([painters[name] for name in quantities], columns=3, height_inches=2.4)


@styled
def weights_figure(values: Mapping[str, np.ndarray]) -> Figure:
    """Draws the distribution of every layer's weights: the middle 50 % thick, 98 % thin, the extremes as dots.

    Args:
      values: What `experiments.inspection.model.layer_values` returns.
    """
    axes = _layer_axes(list(values), "Distribution of the weights", "weight")
    for row, weights in enumerate(values.values()):
        low, first, middle, third, high = np.percentile(weights, [1, 25, 50, 75, 99])
        axes.plot([low, high], [row, row], color=NEUTRAL, linewidth=1)
        axes.plot([first, third], [row, row], color=COLORS["video"], linewidth=5, solid_capstyle="butt")
        axes.plot([weights.min(), middle, weights.max()], [row] * 3, ".", color=NEUTRAL, markersize=3)
    axes.set_xscale("symlog", linthresh=0.1)
    axes.xaxis.set_major_formatter("{x:g}")
    return axes.figure


@styled
def changes_figure(changed: Mapping[str, Sequence[LayerChange]]) -> Figure:
    """Draws how far every layer has moved: one color per pair of states.

    Args:
      changed: Titles to what `experiments.inspection.model.changes` returned, of one architecture.
    """
    layers = [change.layer for change in next(iter(changed.values()))]
    axes = _layer_axes(layers, "How far the layers have moved", "norm of the change / norm before")
    width = 0.8 / len(changed)
    for place, ((title, rows), color) in enumerate(zip(changed.items(), PALETTE, strict=False)):
        offsets = np.arange(len(rows)) + (place - (len(changed) - 1) / 2) * width
        axes.barh(offsets, [row.relative_change for row in rows], width, color=color, label=title)
    axes.figure.legend(loc="outside lower center", ncols=len(changed))
    return axes.figure


@styled
def conflicts_figure(conflicts: Sequence[LayerConflict]) -> Figure:
    """Draws the mean norm of each loss's gradient in every layer."""
    axes = _layer_axes([row.layer for row in conflicts], "Gradients by layer", "mean l2 norm")
    for place, (objective, (label, color)) in enumerate(OBJECTIVES.items()):
        norms = [getattr(row, f"gradient_norm_{objective}") for row in conflicts]
        axes.barh(np.arange(len(norms)) + 0.4 * (place - 0.5), norms, 0.4, color=color, label=label)
    axes.figure.legend(loc="outside lower center", ncols=2)
    return axes.figure


@styled
def embeddings_figure(states: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draws both common spaces in two dimensions: a column for each state of the weights.

    Args:
      states: Titles to what `experiments.inspection.clips.embed_split` returned.
    """
    found = {title: map_spaces(arrays) for title, arrays in states.items()}
    rows, size = max(map(len, found.values())), min(_WIDTH_INCHES / len(found), 4.4)
    figure = Figure((size * len(found), size * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, len(found), squeeze=False)
    for column, (title, drawn) in enumerate(found.items()):
        for axes, space in zip(grid[:, column], drawn, strict=True):
            _paint_space(space, states[title]["class_names"], axes)
            axes.set(title=f"{' and '.join(space.modalities)}, {title}", ylabel="")
    entries = {
        label: handle for axes in grid.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=6, fontsize=8)
    return figure


def _paint_space(space, class_names, axes):
    """Draws a map, or says why there is none."""
    if isinstance(space, Unmapped):
        axes.set_axis_off()
        axes.text(0.5, 0.5, textwrap.fill(space.reason, 40), ha="center", va="center", fontsize=8)
    else:
        paint_plane(space, class_names, axes)
        axes.set(xlabel=f"perplexity {space.perplexity:.3g}")


@styled
def scores_figure(scores: Mapping[str, np.ndarray], swapped: Sequence[str | None], titles: Mapping[str, str]) -> Figure:
    """Draws how scores are distributed over clips; apart for aligned and misaligned ones where that is known.

    Args:
      scores: Float [clips] each, low where a clip is suspected.
      swapped: What `experiments.inspection.clips.ScoredClips.misaligned` holds.
      titles: Which scores, and what they are called.
    """
    known = np.array([truth is not None for truth in swapped])
    misaligned = np.array([bool(truth) for truth in swapped])
    painters = []
    for name, title in titles.items():
        valid = np.isfinite(scores[name])
        told = valid & known
        if misaligned[told].any() and not misaligned[told].all():
            painters.append(
                partial(paint_split_histogram, scores[name][told], misaligned[told], title.capitalize(), "score")
            )
        else:
            painters.append(partial(_paint_histogram, scores[name][valid], title.capitalize()))
    return _grid(painters, columns=2, height_inches=2.6)


def _paint_histogram(values: np.ndarray, title: str, axes: Axes) -> None:
    axes.hist(values, 25, color=ALIGNED, alpha=0.8)
    axes.set(title=title, xlabel="score", ylabel="clips")


@styled
def clips_figure(cards: Sequence[Card], title: str) -> Figure:
    """Draws clips, one under the other: frames, the outline of the sound, and what is said.

    Args:
      cards: What `experiments.inspection.clips.read_cards` returned, at least one.
      title: Heads the figure.
    """
    figure = Figure((_WIDTH_INCHES, 1.35 * len(cards) + 0.4), layout="constrained")
    figure.suptitle(title, fontweight="bold", fontsize=10)
    frames = max(1, *(len(card.frames) for card in cards))
    grid = figure.subplots(len(cards), frames + 2, squeeze=False, width_ratios=[1.0] * frames + [1.3, 3.4])
    for row, card in zip(grid, cards, strict=True):
        for axes in row:
            axes.axis("off")
        for axes, frame in zip(row, card.frames, strict=False):
            axes.imshow(open_jpeg(frame))
        _paint_sound(row[-2], card)
        _paint_words(row[-1], card)
    return figure


def jpeg(figure: Figure) -> bytes:
    """Returns a figure as a JPEG: of pictures or very many points, a fraction of a PNG's bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpeg", pil_kwargs={"quality": 85})
    return buffer.getvalue()


def _paint_sound(axes, card):
    if card.outline is None or not card.outline.any():
        axes.text(0.5, 0.5, "no sound", ha="center", va="center", color=NEUTRAL, transform=axes.transAxes)
        return
    low, high = card.outline / np.abs(card.outline).max()  # the loudest sample fills it
    axes.fill_between(np.arange(len(low)), low, high, color=COLORS["audio"], linewidth=0.3)
    axes.set(ylim=(-1.6, 1.6))


def _paint_words(axes, card):
    color = MISALIGNED if any("swapped" in note for note in card.notes) else None
    style = dict(va="top", transform=axes.transAxes, in_layout=False)  # all figures have frames of one size
    notes = textwrap.wrap("; ".join(card.notes), 50)
    axes.text(0, 1, "\n".join(notes), fontsize=8.5, fontweight="bold", color=color, **style)
    said = [textwrap.shorten(cue.text, 110, placeholder=" …") for cue in card.captions] or ["(no captions)"]
    lines = [line for text in said for line in textwrap.wrap(text, 56, subsequent_indent="   ")]
    axes.text(0, 0.94 - 0.14 * len(notes), "\n".join(lines[:6]), fontsize=8, **style)


def _grid(painters: Sequence[Painter], columns: int, height_inches: float) -> Figure:
    rows = math.ceil(len(painters) / columns)
    figure = Figure((_WIDTH_INCHES, height_inches * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for paint, axes in zip(painters, places, strict=False):
        paint(axes)
    for axes in places[len(painters) :]:
        axes.remove()
    return figure


def _layer_axes(layers, title, x_label):
    figure = Figure((_WIDTH_INCHES, _ROW_INCHES * len(layers) + 1.1), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x_label)
    axes.set_yticks(range(len(layers)), [name.replace("_", " ") for name in layers])
    axes.invert_yaxis()  # from the input to the output, downwards
    axes.margins(y=0.02)
    return axes
