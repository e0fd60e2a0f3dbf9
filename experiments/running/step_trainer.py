"""What trainers share: Python's loop over steps, the seed of a step and, for labeled clips, the log of a loop."""

import time
from collections.abc import Callable

import orbit
import tensorflow as tf


def step_seed(seed: int, global_step: tf.Variable) -> tf.Tensor:
    """Returns the seed, int32 [2], of a run's draws in a step on this replica."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.random.fold_in(tf.random.fold_in([seed, 0], global_step), tf.cast(replica, tf.int32))


class WatchedTrainer(orbit.StandardTrainer):
    """An Orbit trainer that can be watched step by step.

    Args:
      dataset: Batches of clips, distributed over the replicas; `None` if they come later.
      host_loop: Run a whole loop of steps in one call of TensorFlow, which cannot be watched.

    Attributes:
      before_step: Called in Python before each step with the numbers of the loop's steps that are done and that remain.
    """

    def __init__(self, dataset=None, host_loop: bool = False):
        super().__init__(dataset, orbit.StandardTrainerOptions(use_tf_function=host_loop, use_tf_while_loop=host_loop))
        self.before_step = lambda done, remaining: None
        self._host_loop = host_loop

    def create_train_loop_fn(self) -> Callable:
        """Returns what runs a number of steps."""
        return super().create_train_loop_fn() if self._host_loop else self._run_steps

    def _run_steps(self, iterator, num_steps: tf.Tensor) -> None:
        steps = int(num_steps)
        for done in range(steps):
            self.before_step(done, steps - done)
            self.train_step(iterator)


class StepTrainer(WatchedTrainer):
    """Trains step by step; a subclass says what a replica does in a step.

    Every random draw of a step is a function of (seed, step, replica), so a resumed run repeats the one it resumes.

    Args:
      global_step: int64 variable.
      seed: Names the run's random draws.
      jit_compile: Compile the replica's step with XLA.
    """

    def __init__(self, global_step: tf.Variable, seed: int, jit_compile: bool = False):
        # Python calls step by step: TensorFlow's clock refuses to work with deterministic operations.
        super().__init__()
        self.global_step, self.seed = global_step, seed
        self._replica_step = tf.function(self.replica_step, autograph=False, jit_compile=jit_compile or None)
        self.train_on_batch = tf.function(self._train_on_batch, autograph=False)
        self._rows = []

    def replica_step(self, clips: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One replica's part of a step, from clips to updated weights; returns what is logged, [] float32 each."""
        raise NotImplementedError

    def train_step(self, iterator) -> None:
        """Takes a batch and trains on it; called in cross-replica context, by Orbit's loop."""
        started = time.monotonic()
        batch = next(iterator)
        waited = time.monotonic() - started
        self._rows.append({**self.train_on_batch(batch), "data_wait_seconds": waited})

    def train_loop_begin(self) -> None:
        """Starts a new log."""
        self._rows = []

    def train_loop_end(self) -> dict[str, tf.Tensor]:
        """Returns the steps of the loop so far, one float32 [steps] per quantity."""
        return {name: tf.stack([row[name] for row in self._rows]) for name in self._rows[0]}

    def _train_on_batch(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        strategy = tf.distribute.get_strategy()
        logged = strategy.run(self._replica_step, args=(batch,))
        self.global_step.assign_add(1)
        return {name: strategy.experimental_local_results(value)[0] for name, value in logged.items()}
