"""The one trainer under pre-training, classifiers and fine-tuning: the loop, the batch statistics, the log of a loop."""

import time
from collections.abc import Callable, Sequence

import orbit
import tensorflow as tf

import harmonization
from experiments.training.step_table import StepTable

FinishClips = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]
_STEP_BITS = 40  # more steps than any run has


def step_seed(seed: int, global_step: tf.Variable) -> tf.Tensor:
    """Returns the seed, int64 [2], of a run's draws in a step on this replica: no two have the same."""
    replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
    place = tf.cast(global_step, tf.int64) + replica * 2**_STEP_BITS
    return tf.stack([tf.cast(seed, tf.int64), place])


class StepTrainer(orbit.StandardTrainer):
    """An Orbit trainer that can be watched step by step; a subclass says what a replica does in a step.

    Every random draw of a step is a function of (seed, step, replica), so a resumed run repeats the one it resumes.

    Args:
      optimizer: A tf_keras optimizer, built on `weights`.
      weights: The trainable variables, in the order of the gradients.
      global_step: int64 variable; counts gated steps too.
      log: Keeps the steps of a loop.
      seed: Names the run's random draws.
      statistics: The moving averages of the batch norms, which a gated step leaves as they were.
      dataset: Batches of clips, distributed over the replicas; `None` if they come later.
      jit_compile: Compile the replica's step with XLA (a TPU always does).
      host_loop: Run a whole loop of steps in one call of TensorFlow, for TPUs, which cannot be watched. Elsewhere Python
        calls step by step, as TensorFlow's clock, which tells how long a step waited for data, refuses to work with
        deterministic operations.

    Attributes:
      finish_clips: What a replica's step does to its clips first, such as `data.finish_clips`; set it before the first step.
      before_step: Called in Python before each step with the numbers of the loop's steps that are done and that remain.
      train_on_batch: A function (batch, seconds that the step waited for it) that takes a step and logs it; call it in
        cross-replica context. It returns nothing: what a graph returns changes how TensorFlow fuses the rest, and with it the
        last bits of a step.
    """

    def __init__(
        self,
        optimizer,
        weights: Sequence[tf.Variable],
        global_step: tf.Variable,
        log: StepTable,
        *,
        seed: int,
        statistics: Sequence[tf.Variable] = (),
        dataset=None,
        jit_compile: bool = False,
        host_loop: bool = False,
    ):
        super().__init__(dataset, orbit.StandardTrainerOptions(use_tf_function=host_loop, use_tf_while_loop=host_loop))
        self.optimizer, self.weights, self.statistics = optimizer, weights, statistics
        self.global_step, self.log, self.seed = global_step, log, seed
        self.before_step = lambda done, remaining: None
        self.finish_clips: FinishClips = lambda clips: clips
        self._host_loop = host_loop
        self._jit_compile = jit_compile or None
        self._replica_step = self.compiled(self.replica_step)
        self.train_on_batch = tf.function(self._train_on_batch, autograph=False)

    def replica_step(self, clips: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One replica's part of a step, from clips to updated weights.

        Args:
          clips: This replica's part of the batch; the step finishes them, see `finish_clips`.

        Returns:
          What is logged, [] float32 each, or [layers]: the columns of `log` but `data_wait_seconds`.
        """
        raise NotImplementedError

    def compiled(self, function: Callable) -> Callable:
        """Returns a replica's step, or another version of it, as a traced function."""
        return tf.function(function, autograph=False, jit_compile=self._jit_compile)

    def copy_statistics(self) -> list[tf.Tensor]:
        """Returns the batch statistics as they are; call it before the model sees the batch."""
        return [tf.identity(variable) for variable in self.statistics]

    def apply(self, update: Sequence[tf.Tensor | None], keep: tf.Tensor, statistics: Sequence[tf.Tensor]) -> None:
        """Takes a step, or leaves weights, moments and batch statistics as they were.

        Args:
          update: What the optimizer gets for each of `weights`.
          keep: [] bool, whether the step is taken.
          statistics: What `copy_statistics` returned before the step.
        """
        harmonization.apply_if(keep, self.optimizer, update, self.weights)
        for variable, previous in zip(self.statistics, statistics, strict=True):
            variable.assign(tf.where(keep, variable, previous))

    def create_train_loop_fn(self) -> Callable:
        """Returns what runs a number of steps."""
        return super().create_train_loop_fn() if self._host_loop else self._run_steps

    def train_step(self, iterator) -> None:
        """Takes a batch and trains on it; called in cross-replica context, by Orbit's loop."""
        now = tf.timestamp if tf.inside_function() else time.monotonic
        started = now()
        batch = next(iterator)
        # As a tensor: the step would be traced again for every Python number.
        self.train_on_batch(batch, tf.cast(now() - started, tf.float32))

    def train_loop_begin(self) -> None:
        """Starts a new log."""
        self.log.clear()

    def train_loop_end(self) -> dict[str, tf.Tensor]:
        """Returns the steps of the loop so far, one float32 [steps] or [steps, layers] per quantity; see `StepTable`."""
        return self.log.read()

    def _run_steps(self, iterator, num_steps: tf.Tensor) -> None:
        steps = int(num_steps)
        for done in range(steps):
            self.before_step(done, steps - done)
            self.train_step(iterator)

    def _train_on_batch(
        self, batch: dict[str, tf.Tensor], waited_seconds: tf.Tensor, replica_step: Callable | None = None
    ) -> None:
        strategy = tf.distribute.get_strategy()
        logged = strategy.run(replica_step or self._replica_step, args=(batch,))
        row = {name: strategy.experimental_local_results(value)[0] for name, value in logged.items()}
        self.log.append(row, waited_seconds)
        self.global_step.assign_add(1)
