"""Keeps what happened in each step of a loop, so that Python, which sees only the loop's end, misses no step."""

from collections.abc import Sequence

import tensorflow as tf

from experiments.running import quantities


class StepLog(tf.Module):
    """A table of the loop's steps: one row per step, one column per quantity.

    Columns: those of `experiments.running.quantities` that a step has. Columns with a number per layer: `layer_cosine`,
    NaN where one of the gradients is zero in the layer (always, in a layer that only one loss reaches), and
    `layer_gradient_norm_*` per objective. It lives on the host, outside any distribution strategy.

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
        places = {name: index for index, name in enumerate(objectives)}
        self.places = {
            quantities.PER_OBJECTIVE: places,
            quantities.PER_GROUP: {"": ...},
            quantities.PER_GROUP_AND_OBJECTIVE: {name: (..., index) for name, index in places.items()},
        }
        self.fields = quantities.step_fields(self.places, self.others)
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
        step = {**report, "losses": tf.stack([losses[name] for name in self.objectives]), "learning_rate": learning_rate}
        others = {name: tf.cast(report[name], tf.float32) for name in self.others}
        return {**quantities.read_step(step, self.places), **others, **self._layer_values(report)}

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
