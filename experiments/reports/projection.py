"""The embeddings of the three modalities in two dimensions, as in the last figure of the poster."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from experiments.reports.plots import COLORS, NEUTRAL, PALETTE, new_axes, styled, svg
from experiments.retrieval import normalized

METHOD = "t-SNE (scikit-learn, cosine distance, perplexity 30, seed 0)"
_MARKERS = {"video": "o", "audio": "s", "text": "^"}
_CLIPS = 500  # t-SNE of twice as many points takes a few seconds
_SPACES = {"video_audio": ("video", "audio"), "video_text": ("video", "text")}


class Plane(NamedTuple):
    """A common space in two dimensions.

    Attributes:
      modalities: The two that share it.
      points: `[clips, 2]` of each of them, projected together.
      labels: int32 [clips], -1 for none.
    """

    modalities: tuple[str, str]
    points: list[np.ndarray]
    labels: np.ndarray


@styled
def projections(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Draws both common spaces, each with its two modalities; one SVG per space, none without embeddings.

    A clip's two points share a color: that of its class if it is one of eight frequent ones, gray otherwise; without
    classes the modalities have their own colors. Thin lines join the two points of a colored clip.

    Args:
      arrays: What the evaluation left; see `experiments.evaluation`.
    """
    return [svg(_drawn(plane, arrays["class_names"])) for plane in planes(arrays)]


def planes(arrays: Mapping[str, np.ndarray]) -> list[Plane]:
    """Projects both common spaces to two dimensions; see `projections`."""
    found = []
    for space, modalities in _SPACES.items():
        present = arrays["has_text"] if "text" in modalities else arrays["has_audio"]
        clips = np.flatnonzero(present)[:_CLIPS]
        if len(clips) >= 3:
            embeddings = [arrays[f"{space}_{modality}"][clips] for modality in modalities]
            found.append(Plane(modalities, _to_plane(embeddings), arrays["label"][clips]))
    return found


def _to_plane(embeddings: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Projects the embeddings of all modalities together; `[clips, 2]` each."""
    points = normalized(np.concatenate(embeddings))
    perplexity = min(30, (len(points) - 1) / 3)
    with threadpool_limits(1):  # with more, a busy machine makes it wait twenty times as long
        plane = TSNE(metric="cosine", init="pca", perplexity=perplexity, random_state=0).fit_transform(points)
    return np.split(plane, len(embeddings))


def _drawn(plane, class_names):
    axes = new_axes("", "", "", size_inches=(5.6, 5.4))
    paint_plane(plane, class_names, axes)
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return axes


def paint_plane(plane: Plane, class_names: Sequence[str], axes: Axes) -> None:
    """Draws a space into axes, without a legend; see `projections`."""
    modalities, points, labels = plane
    first, second = modalities
    axes.set(title=f"{first.capitalize()} and {second} in the {first}-{second} space", xticks=[], yticks=[])
    axes.set(xlabel="t-SNE 1, no unit", ylabel="t-SNE 2, no unit")
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
