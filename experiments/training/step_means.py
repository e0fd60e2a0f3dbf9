"""Means over the steps that measured something: of cosines, and of what some steps only have."""

import numpy as np


def mean_cosine(cosines: np.ndarray) -> np.floating:
    """Returns the mean of the cosines over the steps that have one; 0 if none has.

    This and `conflict_rate` are the only definitions. In a step in which fewer than two gradients are not zero, as one
    without text, nothing is compared. Counted as 0, such steps would pull the mean toward 0 and the rate toward "no
    conflict" by their number, which is a property of the data set and not of the gradients, and runs on data with and
    without text could not be compared. Layers that one loss reaches only now and then would hide their conflicts.

    Args:
      cosines: `[steps]`, NaN where there is none.
    """
    compared = cosines[~np.isnan(cosines)]
    return compared.mean() if len(compared) else np.float64(0.0)


def conflict_rate(cosines: np.ndarray) -> np.floating:
    """Returns the share of negative cosines among the steps that have one; 0 if none has. See `mean_cosine`.

    Args:
      cosines: `[steps]`, NaN where there is none.
    """
    return (cosines < 0).sum() / max((~np.isnan(cosines)).sum(), 1)


def measured_mean(values: np.ndarray) -> np.ndarray:
    """Returns the means over the steps in which something was measured, `[...]`; NaN where it never was.

    Args:
      values: `[steps, ...]`, NaN where it was not.
    """
    counts = (~np.isnan(values)).sum(axis=0)
    return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)
