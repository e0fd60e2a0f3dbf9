"""What the lines of metrics.jsonl say about a training run as a whole."""

from collections.abc import Sequence

import numpy as np


def harmonization_summary(records: Sequence[dict]) -> dict[str, float | None]:
    """Summarizes the conflict of the two gradients over a run.

    Args:
      records: The lines of metrics.jsonl, one per loop of steps.

    Returns:
      Means over all steps, so a longer loop weighs more: `mean_cosine` of the gradients, `conflict_rate`, the share of
      steps whose cosine was negative, `kept_rate`, the share that was not gated; `None` each if no step was recorded.
    """
    names = {"mean_cosine": "cosine", "conflict_rate": "conflict_rate", "kept_rate": "keep"}
    steps = [len(record["cosines"]) for record in records]
    if not sum(steps):
        return dict.fromkeys(names)
    return {
        name: float(np.average([record[field] for record in records], weights=steps)) for name, field in names.items()
    }


def all_cosines(records: Sequence[dict]) -> np.ndarray:
    """Returns the cosine of the two gradients in every step: float64 [steps]."""
    return np.concatenate([np.zeros(0), *(record["cosines"] for record in records)])
