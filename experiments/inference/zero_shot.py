"""Zero-shot classification: the class whose name is the most similar."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

import vatt
from experiments.classifiers.constant_answer import constant_answer
from experiments.inference import retrieval
from experiments.inference.file_embeddings import Embedder
from experiments.inference.prompts import fill_prompts

SPACES = {"video": "video_text_video", "audio": "video_audio_audio"}
"""The output of `Embedder` from which each modality gets next to text."""


def class_embeddings(
    embedder: Embedder, tokenizer: object, class_names: Sequence[str], prompts: Sequence[str]
) -> np.ndarray:
    """Embeds classes by their names: the mean of the normalized embeddings of their prompts (CLIP, arXiv 2103.00020, 3.1.4).

    Returns:
      float32 [classes, dim], in the video-text space.

    Raises:
      BadInput: A prompt has no place for the name.
    """
    tokens = tokenizer(tf.constant(fill_prompts(class_names, prompts)))
    sentences = retrieval.normalized(embedder.embed("text", tokens)["video_text_text"])
    return sentences.reshape(len(class_names), len(prompts), -1).mean(axis=1)


def near_text(model: vatt.VATT, modality: str, embeddings: np.ndarray) -> np.ndarray:
    """Maps embeddings from the space that `SPACES` names to the video-text space, `[..., dim]`; sound by the video's map."""
    if modality == "video":
        return embeddings
    found = model.head.audio_near_text(tf.reshape(embeddings, [-1, embeddings.shape[-1]])).numpy()
    return found.reshape(*embeddings.shape[:-1], -1)


def zero_shot_figures(clips: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> dict:
    """Returns how often the right class is the most similar one, or among the five most similar ones.

    Ties are as in `retrieval.ranks`: all classes that are as similar stand before the right one.

    Args:
      clips: float [clips, dim], in the video-text space.
      classes: float [classes, dim].
      labels: int [clips], none negative; one clip at least.

    Returns:
      `top1`, `top5`; `items`, the clips; `classes`; `chance`, what the best constant answer gets; `intervals` of both
      figures, by `retrieval.intervals`.
    """
    ranks = retrieval.ranks(clips, classes, labels)
    figures, bounds = retrieval.metrics(ranks, len(classes)), retrieval.intervals(ranks)
    tops = {"top1": "r1", "top5": "r5"}
    return {
        **{top: figures[recall] for top, recall in tops.items()},
        "items": len(labels),
        "classes": len(classes),
        "chance": constant_answer(labels),
        "intervals": {top: bounds[recall] for top, recall in tops.items()},
    }
