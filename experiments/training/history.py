"""What the lines of metrics.jsonl say about a training run as a whole."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from experiments.training.quantities import RUN_QUANTITIES


def harmonization_summary(records: Sequence[dict]) -> dict[str, float | None]:
    """Summarizes a run: the figures of `experiments.training.quantities`, under their keys.

    Args:
      records: The lines of metrics.jsonl, one per loop of steps.

    Returns:
      Means over all steps, or over those that have a cosine (or a test of it), so that a longer loop weighs more; `None` each
      if no step was recorded. Optional figures, as of a run whose clips were judged one by one, are there if all lines have
      them; `None` if no step measured them.
    """
    if not any(record["cosines"] for record in records):
        return {quantity.figure.key: None for quantity in RUN_QUANTITIES if not quantity.figure.optional}
    found = [
        each for each in RUN_QUANTITIES if not each.figure.optional or all(each.name in record for record in records)
    ]
    return {quantity.figure.key: _mean_over_loops(records, quantity) for quantity in found}


def _mean_over_loops(records, quantity):
    measured = [record for record in records if record[quantity.name] is not None]
    weights = [_steps(record, quantity.measured_in) for record in measured]
    if not sum(weights):
        return None if quantity.figure.optional else 0.0
    return float(np.average([record[quantity.name] for record in measured], weights=weights))


def _steps(record, measured_in):
    """The steps of a loop, or those that have a number in one of its lists."""
    return len(record["cosines"]) if measured_in is None else sum(value is not None for value in record[measured_in])


def all_cosines(records: Sequence[dict], name: str = "cosines") -> np.ndarray:
    """Returns the cosine of the gradients in every step, float64 [steps]: NaN where there was none.

    Lines of earlier versions have 0 there.
    """
    return np.array([cosine for record in records for cosine in record[name]], np.float64)  # None becomes NaN


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
    """Returns what the lines of metrics.jsonl say about the layers; `None` if it is nothing, as in older runs."""
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
