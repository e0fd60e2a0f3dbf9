"""What a loop of steps says about the layers: in metrics.jsonl and in TensorBoard.

A line of metrics.jsonl holds two objects with one list per layer, from the input to the output:

- `layer_cosines`: the cosine of the two gradients in the layer's variables in each step of the loop, `null` where one of
  them is zero or was not measured. A layer for which that is so in every step, as in one that only one loss reaches, is omitted.
- `layer_gradient_norms`: the mean norm of each loss's gradient over the loop, in the order of the losses; all layers.
  `null` where none was measured.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from experiments.training.step_means import conflict_rate, mean_cosine, measured_mean


def json_list(values: np.ndarray, digits: int) -> list[float | None]:
    """Returns values, `[steps]`, rounded, as JSON can hold them: NaN becomes `None`."""
    return [None if np.isnan(value) else value for value in values.astype(np.float64).round(digits).tolist()]


def layer_record(
    columns: Mapping[str, np.ndarray], layers: Sequence[str], objectives: Sequence[str]
) -> dict[str, dict[str, list]]:
    """Returns the layers' part of a line of metrics.jsonl.

    Args:
      columns: Those of a `StepLog`; the layers' are [steps, layers].
      layers: Names of the layers.
      objectives: Names of the losses.
    """
    cosines = columns["layer_cosine"]
    norms = np.stack([measured_mean(columns[f"layer_gradient_norm_{name}"]) for name in objectives], axis=1)
    return {
        "layer_cosines": {
            name: json_list(column, digits=3)
            for name, column in zip(layers, cosines.T, strict=True)
            if not np.isnan(column).all()
        },
        "layer_gradient_norms": {
            name: [None if np.isnan(norm) else float(f"{norm:.4g}") for norm in row]
            for name, row in zip(layers, norms, strict=True)
        },
    }


def write_layer_summaries(record: Mapping[str, Mapping[str, list]], objectives: Sequence[str], step: int) -> None:
    """Shows a `layer_record` in TensorBoard: numbers per layer, and the histogram of the mean cosine over the layers."""
    # None becomes NaN.
    cosines = {name: np.array(column, np.float64) for name, column in record["layer_cosines"].items()}
    means = {name: mean_cosine(column) for name, column in cosines.items()}
    if means:
        tf.summary.histogram("layer_cosine", list(means.values()), step=step)
    for name, column in cosines.items():
        tf.summary.scalar(f"layer_cosine/{name}", means[name], step=step)
        tf.summary.scalar(f"layer_conflict_rate/{name}", conflict_rate(column), step=step)
    for name, norms in record["layer_gradient_norms"].items():
        for objective, norm in zip(objectives, norms, strict=True):
            if norm is not None:
                tf.summary.scalar(f"layer_gradient_norm_{objective}/{name}", norm, step=step)
