"""The embeddings of the three modalities in two dimensions, as in the last figure of the poster."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from experiments.inference.retrieval import normalized
from experiments.reports.plots import COLORS, NEUTRAL, PALETTE, new_axes, styled, svg

_MARKERS = {"video": "o", "audio": "s", "text": "^"}
_CLIPS = 500  # t-SNE of twice as many points takes a few seconds
_SPACES = {"video_audio": ("video", "audio"), "video_text": ("video", "text")}
_PERPLEXITY = 30
MINIMUM_CLIPS = 8
"""Twice as many points allow a perplexity of 5, the least that its authors advise (van der Maaten & Hinton, JMLR 9, 2008)."""
_EQUAL = 1e-5  # normalized embeddings nearer than this differ by rounding


class Plane(NamedTuple):
    """A common space in two dimensions.

    Attributes:
      modalities: The two that share it.
      points: `[clips, 2]` of each of them, projected together.
      labels: int32 [clips], -1 for none.
      perplexity: That t-SNE was run with.
    """

    modalities: tuple[str, str]
    points: list[np.ndarray]
    labels: np.ndarray
    perplexity: float


class Unmapped(NamedTuple):
    """A common space that has no map: its two modalities, and a sentence without a full stop that says why."""

    modalities: tuple[str, str]
    reason: str


def method(planes: Sequence[Plane]) -> str:
    """Returns in words how planes were made; at least one."""
    perplexities = " and ".join(dict.fromkeys(f"{plane.perplexity:.3g}" for plane in planes))
    return f"t-SNE (scikit-learn, cosine distance, perplexity {perplexities}, seed 0)"


@styled
def projections(planes: Sequence[Plane], class_names: Sequence[str]) -> list[str]:
    """Draws common spaces, each with its two modalities; one SVG per space.

    A clip's two points share a color: that of its class if it is one of eight frequent ones, gray otherwise; without
    classes the modalities have their own colors. Thin lines join the two points of a colored clip.

    Args:
      planes: From `map_spaces`.
      class_names: Of the labels.
    """
    return [svg(_drawn(plane, class_names)) for plane in planes]


def map_spaces(arrays: Mapping[str, np.ndarray]) -> list[Plane | Unmapped]:
    """Projects both common spaces to two dimensions.

    There is no map of fewer than `MINIMUM_CLIPS` clips with both modalities, nor of embeddings that are all equal.

    Args:
      arrays: What the evaluation left; see `experiments.evaluation.evaluate`.
    """
    return [_mapped(arrays, space, modalities) for space, modalities in _SPACES.items()]


def _mapped(arrays, space, modalities):
    present = arrays["has_text"] if "text" in modalities else arrays["has_audio"]
    clips = np.flatnonzero(present)[:_CLIPS]
    title = f"The {'-'.join(modalities)} space has no map"
    if len(clips) < MINIMUM_CLIPS:
        least = f"t-SNE needs at least {MINIMUM_CLIPS} clips that have both modalities"
        return Unmapped(modalities, f"{title}: {least}. Found {len(clips)}")
    embeddings = [normalized(arrays[f"{space}_{modality}"][clips]) for modality in modalities]
    if all(np.ptp(values, axis=0).max() < _EQUAL for values in embeddings):
        return Unmapped(modalities, f"{title}: the model gives all clips the same embedding")
    perplexity = min(_PERPLEXITY, (len(modalities) * len(clips) - 1) / 3)
    return Plane(modalities, _to_plane(embeddings, perplexity), arrays["label"][clips], perplexity)


def _to_plane(embeddings: Sequence[np.ndarray], perplexity: float) -> list[np.ndarray]:
    """Projects the normalized embeddings of all modalities together; `[clips, 2]` each."""
    with threadpool_limits(1):  # with more, a busy machine makes it wait twenty times as long
        tsne = TSNE(metric="cosine", init="pca", perplexity=perplexity, random_state=0)
        return np.split(tsne.fit_transform(np.concatenate(embeddings)), len(embeddings))


def _drawn(plane, class_names):
    axes = new_axes("", "", "", size_inches=(5.6, 5.4))
    paint_plane(plane, class_names, axes)
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return axes


def paint_plane(plane: Plane, class_names: Sequence[str], axes: Axes) -> None:
    """Draws a space into axes, without a legend; see `projections`."""
    modalities, points, labels, perplexity = plane
    first, second = modalities
    axes.set(title=f"{first.capitalize()} and {second} in the {first}-{second} space", xticks=[], yticks=[])
    axes.set(xlabel=f"t-SNE 1, no unit (perplexity {perplexity:.3g})", ylabel="t-SNE 2, no unit")
    axes.grid(False)
    for name, chosen, color in _groups(labels, class_names):
        for modality, place in zip(modalities, points, strict=True):
            shade = color or COLORS[modality]
            axes.scatter(*place[chosen].T, s=16, marker=_MARKERS[modality], color=shade, alpha=0.8, linewidth=0)
        if name:
            pairs = np.stack([place[chosen] for place in points])
            axes.plot(*pairs.transpose(2, 0, 1), color=color, linewidth=0.5, alpha=0.4)
            axes.plot([], [], "o", color=color, label=name)
    for modality in modalities:
        shade = COLORS[modality] if (labels < 0).all() else NEUTRAL
        axes.plot([], [], _MARKERS[modality], color=shade, label=modality)


def _groups(labels, class_names):
    """Yields (name, clips, color): first all clips without a color of their own, then those of the frequent classes."""
    if (labels < 0).all():
        yield "", np.ones(len(labels), bool), None
        return
    found, counts = np.unique(labels[labels >= 0], return_counts=True)
    count = min(len(PALETTE), len(found))
    # Evenly over those that are frequent enough: where all classes are alike, neighbors tend to be.
    frequent = found[counts >= np.sort(counts)[-count]]
    frequent = frequent[np.linspace(0, len(frequent) - 1, count).astype(int)]
    yield "", ~np.isin(labels, frequent), NEUTRAL
    for label, color in zip(frequent, PALETTE, strict=False):
        name = str(class_names[label]) if label < len(class_names) else f"class {label}"
        yield name, labels == label, color
