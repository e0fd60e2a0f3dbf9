"""The embeddings of the three modalities in two dimensions, as in the last figure of the poster."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from experiments.report_plots import COLORS, NEUTRAL, PALETTE, new_axes, styled, svg
from experiments.retrieval import normalized

METHOD = "t-SNE (scikit-learn, cosine distance, perplexity 30, seed 0)"
_MARKERS = {"video": "o", "audio": "s", "text": "^"}
_CLIPS = 500  # t-SNE of twice as many points takes a few seconds
_SPACES = {"video_audio": ("video", "audio"), "video_text": ("video", "text")}


@styled
def projections(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Draws both common spaces, each with its two modalities; one SVG per space, none without embeddings.

    A clip's two points share a color: that of its class if it is one of eight frequent ones, gray otherwise; without
    classes the modalities have their own colors. Thin lines join the two points of a colored clip.

    Args:
      arrays: What the evaluation left; see `experiments.evaluation`.
    """
    drawings = []
    for space, modalities in _SPACES.items():
        present = arrays["has_text"] if "text" in modalities else arrays["has_audio"]
        clips = np.flatnonzero(present)[:_CLIPS]
        if len(clips) >= 3:
            embeddings = [arrays[f"{space}_{modality}"][clips] for modality in modalities]
            labels = arrays["label"][clips]
            drawings.append(_draw(modalities, _to_plane(embeddings), labels, arrays["class_names"]))
    return drawings


def _to_plane(embeddings: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Projects the embeddings of all modalities together; `[clips, 2]` each."""
    points = normalized(np.concatenate(embeddings))
    perplexity = min(30, (len(points) - 1) / 3)
    with threadpool_limits(1):  # with more, a busy machine makes it wait twenty times as long
        plane = TSNE(metric="cosine", init="pca", perplexity=perplexity, random_state=0).fit_transform(points)
    return np.split(plane, len(embeddings))


def _draw(modalities, planes, labels, class_names):
    title = f"{modalities[0].capitalize()} and {modalities[1]} in the {'-'.join(modalities)} space"
    axes = new_axes(title, "t-SNE 1, no unit", "t-SNE 2, no unit", size_inches=(5.6, 5.4))
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    for name, chosen, color in _groups(labels, class_names):
        for modality, plane in zip(modalities, planes, strict=True):
            shade = color or COLORS[modality]
            axes.scatter(*plane[chosen].T, s=16, marker=_MARKERS[modality], color=shade, alpha=0.8, linewidth=0)
        if name:
            pairs = np.stack([plane[chosen] for plane in planes])
            axes.plot(*pairs.transpose(2, 0, 1), color=color, linewidth=0.5, alpha=0.4)
            axes.plot([], [], "o", color=color, label=name)
    for modality in modalities:
        shade = COLORS[modality] if (labels < 0).all() else NEUTRAL
        axes.plot([], [], _MARKERS[modality], color=shade, label=modality)
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return svg(axes)


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
