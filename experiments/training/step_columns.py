"""The columns of a training log, one or more per line of the table of quantities.

A step's numbers become columns, float32 [steps], such as `loss_video_audio`: a quantity's name, then the objective or the
part of the model that it is of. A loop's columns become one line of metrics.jsonl and TensorBoard's scalars, under the
same names.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from experiments.training.quantities import BY_NAME, PER_STEP, QUANTITIES, Quantity

Columns = Mapping[str, np.ndarray]
Places = Mapping[str, object]
"""Suffixes of column names to where in a tensor the numbers are."""


def read_step(
    report: Mapping[str, tf.Tensor], places: Mapping[str, Places], unlogged: Sequence[str] = ()
) -> dict[str, tf.Tensor]:
    """Reads a step's columns from its report.

    Args:
      report: That of `harmonization.harmonize`, and `losses` [objectives] and `learning_rate` [].
      places: For each `Quantity.per` but `PER_STEP`, the suffixes of the columns and where they are in a tensor.
      unlogged: Names of quantities that the program does not log.

    Returns:
      [] float32 per column.
    """
    row = {}
    for quantity, columns in _read_columns(places, unlogged):
        value = tf.convert_to_tensor(quantity.read(report))
        for name, place in columns.items():
            row[name] = tf.reshape(tf.cast(value[place], tf.float32), [])
    return row


def step_fields(
    places: Mapping[str, Places], others: Sequence[str] = (), unlogged: Sequence[str] = ()
) -> tuple[str, ...]:
    """Returns the names of a log's columns: those that `read_step` gives, `others` and `data_wait_seconds`."""
    names = [name for _, columns in _read_columns(places, unlogged) for name in columns]
    return (*names, *others, "data_wait_seconds")


def _read_columns(places: Mapping[str, Places], unlogged: Sequence[str]) -> Iterator[tuple[Quantity, Places]]:
    """Yields each quantity that is read from a report, with the names of its columns and where they are in a tensor."""
    places = {PER_STEP: {"": ...}, **places}
    for quantity in QUANTITIES:
        if quantity.read is not None and quantity.name not in unlogged:
            suffixes = places[quantity.per].items()
            yield quantity, {f"{quantity.name}_{suffix}" if suffix else quantity.name: at for suffix, at in suffixes}


def with_undefined(columns: Columns) -> dict[str, np.ndarray]:
    """Returns columns in which `cosine` and `cosine_PART` are NaN in the steps that have none.

    The log has 0 there. A step has a cosine if two gradients are not zero, which their norms in the same part tell;
    where each replica harmonizes on its own, if that is so of their mean norms.
    """
    found = dict(columns)
    for suffix, values in _columns_of(BY_NAME["cosine"], columns):
        norms = [
            column
            for name, column in columns.items()
            if name.startswith(f"{BY_NAME['gradient_norm'].name}_") and name.endswith(suffix)
        ]
        if len(norms) > 1:
            found[f"cosine{suffix}"] = np.where((np.stack(norms) > 0).sum(axis=0) > 1, values, np.nan)
    return found


def over_loop(columns: Columns, step_seconds: float) -> dict[str, float]:
    """Summarizes a loop.

    Args:
      columns: `[steps]` each; those with more axes are skipped. Cosines are NaN where there is none.
      step_seconds: Mean time of a step.
    """
    return {
        quantity.name + suffix: float(quantity.over_loop(values, step_seconds))
        for quantity in QUANTITIES
        if quantity.over_loop is not None
        for suffix, values in _columns_of(quantity, columns)
        if values.ndim == 1
    }


def every_step(columns: Columns) -> dict[str, np.ndarray]:
    """Returns the columns of which metrics.jsonl lists every step, by their names there."""
    return {
        quantity.every_step + suffix: values
        for quantity in QUANTITIES
        if quantity.every_step
        for suffix, values in _columns_of(quantity, columns)
    }


def line(means: Mapping[str, float]) -> str:
    """Returns the progress line's part on the quantities that are not per objective or part."""
    return "".join(quantity.line.format(means[quantity.name]) for quantity in QUANTITIES if quantity.name in means)


def _columns_of(quantity: Quantity, columns: Columns) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the suffix and the values of each column that the quantity is summarized from."""
    source = quantity.source or quantity.name
    for column, values in columns.items():
        of_a_part = quantity.per != PER_STEP and column.startswith(f"{source}_") and column not in BY_NAME
        if column == source or of_a_part:
            yield column.removeprefix(source), values
