"""What the lines of metrics.jsonl say about a training run as a whole."""

import dataclasses
from collections.abc import Sequence

import numpy as np


def harmonization_summary(records: Sequence[dict]) -> dict[str, float | None]:
    """Summarizes the conflict of the two gradients over a run.

    Args:
      records: The lines of metrics.jsonl, one per loop of steps.

    Returns:
      Means over all steps, so a longer loop weighs more: `mean_cosine` of the gradients, `conflict_rate`, the share of
      steps whose cosine was negative, `kept_rate`, the share that was not gated; `None` each if no step was recorded. Of a
      run whose clips were judged one by one, also `clip_alignment` and `clip_weight`; see `ClipCurriculum`.
    """
    names = {"mean_cosine": "cosine", "conflict_rate": "conflict_rate", "kept_rate": "keep"}
    if records and all("clip_weight" in record for record in records):
        names |= {name: name for name in ("clip_alignment", "clip_weight")}
    steps = [len(record["cosines"]) for record in records]
    if not sum(steps):
        return dict.fromkeys(names)
    return {
        name: float(np.average([record[field] for record in records], weights=steps)) for name, field in names.items()
    }


def all_cosines(records: Sequence[dict]) -> np.ndarray:
    """Returns the cosine of the two gradients in every step: float64 [steps]."""
    return np.concatenate([np.zeros(0), *(record["cosines"] for record in records)])


@dataclasses.dataclass(frozen=True)
class LayerHistory:
    """The cosine of the two gradients in every layer and step of a run.

    Attributes:
      compared: Names of the layers that both losses reached in some step, from the input to the output.
      left_out: Names of the other layers, which have no cosine.
      first_step: The step before the first one of `cosines`.
      cosines: float64 [compared layers, steps]; NaN where a gradient was zero in the layer, or nothing was recorded.
    """

    compared: list[str]
    left_out: list[str]
    first_step: int
    cosines: np.ndarray


def layer_history(records: Sequence[dict]) -> LayerHistory | None:
    """Returns what the lines of metrics.jsonl say about the layers; `None` if it is nothing, as in runs of old."""
    detailed = [record for record in records if "layer_cosines" in record]
    if not any(record["layer_cosines"] for record in detailed):
        return None
    names = list(detailed[-1]["layer_gradient_norms"])
    compared = [name for name in names if any(name in record["layer_cosines"] for record in detailed)]
    first_step = records[0]["step"] - len(records[0]["cosines"])
    cosines = np.concatenate([_loop(record, compared) for record in records], axis=1)
    return LayerHistory(compared, [name for name in names if name not in compared], first_step, cosines)


def _loop(record, layers):
    missing = [None] * len(record["cosines"])
    found = record.get("layer_cosines", {})
    return np.array([found.get(name, missing) for name in layers], np.float64)
