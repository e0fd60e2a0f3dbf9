"""The log of pre-training: what a step's losses and report say, also layer by layer."""

from collections.abc import Sequence

import tensorflow as tf

from experiments.training import quantities, step_columns
from experiments.training.step_table import StepTable


class StepLog(StepTable):
    """The steps of a loop of pre-training.

    Columns: those of `experiments.training.quantities` that a step has. Columns with a number per layer: `layer_cosine`,
    NaN where one of the gradients is zero in the layer (always, in a layer that only one loss reaches), and
    `layer_gradient_norm_*` per objective.

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
        self.objectives, self.others = objectives, tuple(others)
        places = {name: index for index, name in enumerate(objectives)}
        self.places = {
            quantities.PER_OBJECTIVE: places,
            quantities.PER_GROUP: {"": ...},
            quantities.PER_GROUP_AND_OBJECTIVE: {name: (..., index) for name, index in places.items()},
        }
        layer_fields = ("layer_cosine", *(f"layer_gradient_norm_{name}" for name in objectives))
        super().__init__(capacity, step_columns.step_fields(self.places, self.others), layer_fields, layers)

    def row(self, losses: dict, report: dict, learning_rate: tf.Tensor) -> dict[str, tf.Tensor]:
        """Collects one step's quantities.

        Args:
          losses: The objectives' losses by name.
          report: That of `harmonization.harmonize`, with at most one group, and under `layer_norms`, `layer_cosine` and
            `layer_defined` what `harmonization.layer_statistics` says of the layers; and the columns of `others`.
          learning_rate: As it was in the step.

        Returns:
          [] float32 per quantity, [layers] per quantity of the layers.
        """
        step = {
            **report,
            "losses": tf.stack([losses[name] for name in self.objectives]),
            "learning_rate": learning_rate,
        }
        others = {name: tf.cast(report[name], tf.float32) for name in self.others}
        return {**step_columns.read_step(step, self.places), **others, **self._layer_values(report)}

    def _layer_values(self, report):
        # Between 0 and 1 where replicas harmonized each on its own: the mean is over those that had something to compare.
        defined = tf.cast(report["layer_defined"], tf.float32)
        cosine = tf.where(defined > 0.0, tf.math.divide_no_nan(report["layer_cosine"], defined), float("nan"))
        return dict(zip(self.layer_fields, (cosine, *tf.unstack(report["layer_norms"], axis=1)), strict=True))
