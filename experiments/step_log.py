"""Keeps what happened in each step of a loop, so that Python, which sees only the loop's end, misses no step."""

import tensorflow as tf

OBJECTIVE_FIELDS = ("loss", "gradient_norm", "weight")


class StepLog(tf.Module):
    """A table of the loop's steps: one row per step, one column per quantity.

    Columns: `loss_*`, `gradient_norm_*` and `weight_*` per objective; `cosine` of the two gradients; `keep`, the share
    of the replicas that kept the step; `finite`; `bad_objective` and `bad_variable`, where something was first not
    finite (-1: nowhere); `learning_rate`; `data_wait_seconds`. It lives on the host, outside any distribution strategy.

    Args:
      capacity: The most steps a loop may have.
      objectives: Their names.
    """

    def __init__(self, capacity: int, objectives: tuple[str, ...] = ("video_audio", "video_text")):
        super().__init__()
        self.objectives = objectives
        self.fields = (
            *(f"{field}_{name}" for field in OBJECTIVE_FIELDS for name in objectives),
            *("cosine", "keep", "finite", "bad_objective", "bad_variable", "learning_rate"),
            "data_wait_seconds",
        )
        with tf.device("CPU:0"):
            self.rows = tf.Variable(tf.zeros([capacity, len(self.fields)]), trainable=False)
            self.count = tf.Variable(0, trainable=False)

    def row(self, losses: dict, report: dict, learning_rate: tf.Tensor) -> dict[str, tf.Tensor]:
        """Collects one step's quantities from its losses and the report of `harmonization.harmonize` (at most one group)."""
        values = {f"loss_{name}": losses[name] for name in self.objectives}
        for index, name in enumerate(self.objectives):
            values[f"gradient_norm_{name}"] = report["norms"][..., index]
            values[f"weight_{name}"] = report["weights"][..., index]
        values.update(
            cosine=report["cosine"],
            keep=report.get("kept_share", report["keep"]),
            finite=report["finite"],
            learning_rate=learning_rate,
            **_first_bad(report["variable_gram"]),
        )
        return {name: tf.reshape(tf.cast(value, tf.float32), []) for name, value in values.items()}

    def append(self, row: dict[str, tf.Tensor], data_wait_seconds: tf.Tensor | float) -> None:
        """Adds one step; call it in cross-replica context."""
        row = {**row, "data_wait_seconds": tf.cast(data_wait_seconds, tf.float32)}
        values = tf.stack([row[field] for field in self.fields])
        self.rows.scatter_nd_update([[self.count]], [values])
        self.count.assign_add(1)

    def clear(self) -> None:
        """Forgets all steps."""
        self.count.assign(0)

    def read(self) -> dict[str, tf.Tensor]:
        """Returns each column as float32 [steps]."""
        rows = self.rows[: self.count]
        return {field: rows[:, index] for index, field in enumerate(self.fields)}


def _first_bad(variable_gram: tf.Tensor) -> dict[str, tf.Tensor]:
    """Finds the first variable, and its first objective, whose gradient is not finite."""
    bad = ~tf.math.is_finite(tf.linalg.diag_part(variable_gram))
    variable = tf.argmax(tf.reduce_any(bad, axis=1), output_type=tf.int32)
    # A slice at a computed place would be a compile-time constant to XLA: it would compile each step anew.
    objective = tf.argmax(tf.gather(bad, variable), output_type=tf.int32)
    some = tf.reduce_any(bad)
    return {
        "bad_variable": tf.where(some, variable, -1),
        "bad_objective": tf.where(some, objective, -1),
    }
