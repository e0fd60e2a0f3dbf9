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


class Adam(keras.optimizers.Adam):
    """Keras' Adam, whose step is one operation per variable, as in the Keras of VATT's published code, rather than twenty.

    On CPUs weights, moments and gradient then go through memory once, rather than once per operation. The moments are the same
    variables, so either form continues the other's checkpoints.
    """

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Takes a step on one variable; what the operation cannot do, as a gradient of some rows alone, is left to Keras."""
        if isinstance(gradient, tf.IndexedSlices) or self.amsgrad or self.adaptive_epsilon:
            super().update_step(gradient, variable)
            return
        index = self._index_dict[self._var_key(variable)]
        updates = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=self._momentums[index].handle, v=self._velocities[index].handle,
            beta1_power=tf.pow(self.beta_1, updates), beta2_power=tf.pow(self.beta_2, updates),
            lr=tf.cast(self.learning_rate, variable.dtype), beta1=self.beta_1, beta2=self.beta_2,
            epsilon=self.epsilon, grad=gradient,
        )  # fmt: skip


def adam(schedule: GlobalStepSchedule, variables: list[tf.Variable]) -> keras.optimizers.Optimizer:
    """Returns Adam (0.9, 0.999, 1e-7, no weight decay, no clipping; VATT's own settings), its moments already made."""
    optimizer = Adam(schedule, jit_compile=False)
    optimizer.build(variables)
    return optimizer
