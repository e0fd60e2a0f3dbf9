"""Adam and its learning rate, as in the paper."""

import tensorflow as tf

from vatt.keras import keras


class GlobalStepSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then half a cosine, over the *global* step.

    An optimizer asks its schedule with the number of updates it has applied, which a gated step does not advance; the
    schedule is to move on with the data all the same, so it looks at the global step itself.

    Source: reproducibility card and VATT, A.2.4: Adam, 1e-4 after 10k steps, half a cosine to 5e-5 at the last step.

    Args:
      global_step: The run's step.
      peak: Learning rate after the warm-up.
      final: Learning rate at the last step.
      warmup_steps: Steps of the warm-up, linear from 0.
      steps: All steps.
    """

    def __init__(self, global_step: tf.Variable, peak: float, final: float, warmup_steps: int, steps: int):
        self.global_step = global_step
        self.schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup_steps else peak,
            decay_steps=steps - warmup_steps,
            alpha=final / peak if peak else 0.0,
            warmup_target=peak if warmup_steps else None,
            warmup_steps=warmup_steps,
        )

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate of the current global step; `step`, the optimizer's own count, is not used."""
        return self.schedule(tf.identity(self.global_step))

    def get_config(self) -> dict:
        """Is not supported: the schedule holds a variable."""
        raise NotImplementedError("A GlobalStepSchedule belongs to one run and is not serialized.")


def adam(schedule: GlobalStepSchedule, variables: list[tf.Variable]) -> keras.optimizers.Optimizer:
    """Returns Adam (0.9, 0.999, 1e-7, no weight decay, no clipping; VATT's own settings), its moments already made."""
    optimizer = keras.optimizers.Adam(schedule, jit_compile=False)
    optimizer.build(variables)
    return optimizer
