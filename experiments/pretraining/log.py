"""Keeps what happened in each step of a loop, so that Python, which sees only the loop's end, misses no step."""

from collections.abc import Sequence

import tensorflow as tf

import harmonization

OBJECTIVE_FIELDS = ("loss", "gradient_norm", "weight")


class StepLog(tf.Module):
    """A table of the loop's steps: one row per step, one column per quantity.

    Columns: `loss_*`, `gradient_norm_*` and `weight_*` per objective; `cosine` of the two gradients; `keep`, the share
    of the replicas that kept the step; `finite`; `bad_objective` and `bad_variable`, where something was first not
    finite (-1: nowhere); `learning_rate`; `data_wait_seconds`. Columns with a number per layer: `layer_cosine`, NaN where one of
    the gradients is zero in the layer (always, in a layer that only one loss reaches), and `layer_gradient_norm_*` per
    objective. Others may be asked for. It lives on the host, outside any distribution strategy.

    Args:
      capacity: The most steps a loop may have.
      objectives: Their names.
      layers: Their names, in the order of `harmonization.layer_statistics`.
      others: Names of more columns.
    """

    def __init__(
        self,
        capacity: int,
        objectives: tuple[str, ...] = ("video_audio", "video_text"),
        layers: Sequence[str] = (),
        others: Sequence[str] = (),
    ):
        super().__init__()
        self.objectives, self.layers, self.others = objectives, tuple(layers), tuple(others)
        self.fields = (
            *(f"{field}_{name}" for field in OBJECTIVE_FIELDS for name in objectives),
            *("cosine", "keep", "finite", "bad_objective", "bad_variable", "learning_rate"),
            *self.others,
            "data_wait_seconds",
        )
        self.layer_fields = ("layer_cosine", *(f"layer_gradient_norm_{name}" for name in objectives))
        self._widths = [1] * len(self.fields) + [len(self.layers)] * len(self.layer_fields)
        with tf.device("CPU:0"):
            self.rows = tf.Variable(tf.zeros([capacity, sum(self._widths)]), trainable=False)
            self.count = tf.Variable(0, trainable=False)

    def row(self, losses: dict, report: dict, learning_rate: tf.Tensor) -> dict[str, tf.Tensor]:
        """Collects one step's quantities.

        Args:
          losses: The objectives' losses by name.
          report: That of `harmonization.harmonize`, with at most one group, and under `layer_norms`, `layer_cosine` and
            `layer_defined` what `harmonization.layer_statistics` says of the layers; the columns of `others` besides.
          learning_rate: As it was in the step.

        Returns:
          [] float32 per quantity, [layers] per quantity of the layers.
        """
        values = {f"loss_{name}": losses[name] for name in self.objectives}
        bad_variable, bad_objective = harmonization.find_nonfinite(report["variable_gram"])
        for index, name in enumerate(self.objectives):
            values[f"gradient_norm_{name}"] = report["norms"][..., index]
            values[f"weight_{name}"] = report["weights"][..., index]
        values.update(
            cosine=report["cosine"],
            keep=report.get("kept_share", report["keep"]),
            finite=report["finite"],
            learning_rate=learning_rate,
            bad_variable=bad_variable,
            bad_objective=bad_objective,
            **{name: report[name] for name in self.others},
        )
        row = {name: tf.reshape(tf.cast(value, tf.float32), []) for name, value in values.items()}
        return {**row, **self._layer_values(report)}

    def _layer_values(self, report):
        # Between 0 and 1 where replicas harmonized each on its own: the mean is over those that had something to compare.
        defined = tf.cast(report["layer_defined"], tf.float32)
        cosine = tf.where(defined > 0.0, tf.math.divide_no_nan(report["layer_cosine"], defined), float("nan"))
        return dict(zip(self.layer_fields, (cosine, *tf.unstack(report["layer_norms"], axis=1)), strict=True))

    def append(self, row: dict[str, tf.Tensor], data_wait_seconds: tf.Tensor | float) -> None:
        """Adds one step; call it in cross-replica context."""
        row = {**row, "data_wait_seconds": tf.cast(data_wait_seconds, tf.float32)}
        values = tf.concat([tf.reshape(row[field], [-1]) for field in (*self.fields, *self.layer_fields)], axis=0)
        self.rows.scatter_nd_update([[self.count]], [values])
        self.count.assign_add(1)

    def clear(self) -> None:
        """Forgets all steps."""
        self.count.assign(0)

    def read(self) -> dict[str, tf.Tensor]:
        """Returns each column as float32 [steps], those of the layers as float32 [steps, layers]."""
        columns = tf.split(self.rows[: self.count], self._widths, axis=1)
        scalars = [column[:, 0] for column in columns[: len(self.fields)]]
        return dict(zip((*self.fields, *self.layer_fields), (*scalars, *columns[len(self.fields) :]), strict=True))
