"""Chance: what the best answer gets that is the same for every clip.

The only meaning of chance for classification, wherever it is computed, printed or drawn. Where classes differ in frequency
it is more than 1 / classes. A constant answer cannot rank; for retrieval see `experiments.inference.retrieval.metrics`.
"""

import numpy as np

Chance = dict[str, float | int | None]
"""Figures under the names that the scores have, and `items`, the number of clips they are over."""


def constant_answer(labels: np.ndarray) -> Chance:
    """Returns chance of clips with one class each.

    Args:
      labels: int [clips], of the clips that are scored; at least one, none negative.

    Returns:
      `top1`, the share of the most frequent class; `top5`, that of the five most frequent ones; `items`.
    """
    counts = np.sort(np.bincount(labels))[::-1]
    return {"top1": float(counts[0] / len(labels)), "top5": float(counts[:5].sum() / len(labels)), "items": len(labels)}


def multi_label_constant_answer(labels: np.ndarray) -> Chance:
    """Returns chance of clips with any number of classes each: the figures of scores that are the same for all clips.

    Args:
      labels: 0 or 1, [clips, classes], of the clips that are scored; at least one.

    Returns:
      `map`, the mean of the classes' prevalence; `auc` 0.5; `d_prime_mean` and `d_prime_of_mean` 0; `items`. As in
      `experiments.finetuning.scores.multi_label_scores`, a class without a positive or without a negative clip does not
      count, and without any class that counts the figures are `None`.
    """
    prevalence = (labels > 0).mean(axis=0)
    judged = prevalence[(prevalence > 0) & (prevalence < 1)]
    if not len(judged):
        return {**dict.fromkeys(("map", "auc", "d_prime_mean", "d_prime_of_mean")), "items": len(labels)}
    return {"map": float(judged.mean()), "auc": 0.5, "d_prime_mean": 0.0, "d_prime_of_mean": 0.0, "items": len(labels)}
