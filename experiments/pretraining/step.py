"""The training step: clip -> tokens -> embeddings -> two losses -> two gradients -> Gram -> weights -> update."""

import time
from collections.abc import Callable, Mapping

import tensorflow as tf

import harmonization
import vatt
from experiments.pretraining.clip_curriculum import FULL_TRUST, ClipCurriculum
from experiments.pretraining.layers import layers_of
from experiments.pretraining.log import StepLog
from experiments.running.step_trainer import WatchedTrainer, step_seed

OBJECTIVES = ("video_audio", "video_text")


class HarmonizedTrainer(WatchedTrainer):
    """Trains a model on two objectives whose gradients are harmonized before the optimizer applies their sum.

    Every random draw of a step is a function of (seed, step, replica), so a resumed run repeats the one it resumes.

    Args:
      model: Maps a batch of clips to embeddings, like `vatt.VATT`; its variables exist.
      optimizer: A tf_keras optimizer, built on the model's trainable variables.
      harmonizer: Chooses the weights of the two gradients and whether the step is taken.
      dataset: Batches of clips, distributed over the replicas; `None` where `train_on_batch` is all that is called.
      global_step: int64 variable; counts gated steps too.
      seed: Names the run's random draws.
      steps_per_loop: The most steps of a loop.
      all_reduce: "after" computes both gradients' sums over the replicas before they are harmonized, so that the
        result does not depend on the number of replicas; "before" harmonizes on each replica and sums what comes out:
        cheaper in communication and, for the curriculum, a gate per replica's share of the batch (our reading of "per
        sample triplet").
      scope: "all" harmonizes all variables, "encoder" only those of the shared encoder; the others then get the plain
        sum.
      curriculum: Weighs each clip's losses, before the gradients are taken; `None` to take all clips alike.
      loss_options: Arguments of `vatt.losses`.
      learning_rate: Learning rate at a step, for the log. An optimizer asks its schedule only when it applies an update,
        so what it remembers is out of date in a gated step; `None` logs that.
      jit_compile: Compile the replica's step with XLA (a TPU always does).
      host_loop: Run a whole loop of steps in one call of TensorFlow, for TPUs; elsewhere Python calls step by step, as
        TensorFlow's clock, which tells how long a step waited for data, refuses to work with deterministic operations.
    """

    def __init__(
        self,
        model: tf.Module,
        optimizer,
        harmonizer: harmonization.Harmonizer,
        dataset,
        global_step: tf.Variable,
        *,
        seed: int,
        steps_per_loop: int = 1,
        all_reduce: str = "after",
        scope: str = "all",
        curriculum: ClipCurriculum | None = None,
        loss_options: Mapping[str, object] | None = None,
        learning_rate: Callable[[tf.Tensor], tf.Tensor] | None = None,
        jit_compile: bool = False,
        host_loop: bool = False,
    ):
        super().__init__(dataset, host_loop)
        self.model, self.optimizer, self.harmonizer = model, optimizer, harmonizer
        self.global_step, self.seed, self.all_reduce = global_step, seed, all_reduce
        self.curriculum, self.loss_options = curriculum, dict(loss_options or {})
        self.learning_rate = learning_rate or (lambda _: optimizer.learning_rate)
        self.weights = model.trainable_variables
        self.layers = layers_of(model, self.weights)
        self.log = StepLog(steps_per_loop, OBJECTIVES, tuple(self.layers), curriculum.fields if curriculum else ())
        self.groups = None if scope == "all" else {"encoder": self._encoder_variables()}
        # The moving averages of the batch norms. Frozen word vectors are not trained either, but no step touches them.
        self.statistics = model.head.non_trainable_variables
        self._replica_step = tf.function(self.replica_step, autograph=False, jit_compile=jit_compile or None)
        self.train_on_batch = tf.function(self._train_on_batch, autograph=False)

    def train_step(self, iterator) -> None:
        """Takes a batch and trains on it; called in cross-replica context, by Orbit's loop."""
        now = tf.timestamp if tf.inside_function() else time.monotonic
        started = now()
        batch = next(iterator)
        # As a tensor: the step would be traced anew for every Python number.
        self.train_on_batch(batch, tf.cast(now() - started, tf.float32))

    def _train_on_batch(self, batch: dict[str, tf.Tensor], waited_seconds: tf.Tensor) -> None:
        strategy = tf.distribute.get_strategy()
        logged = strategy.run(self._replica_step, args=(batch,))
        row = {name: strategy.experimental_local_results(value)[0] for name, value in logged.items()}
        self.log.append(row, waited_seconds)
        self.global_step.assign_add(1)

    def replica_step(self, clips: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One replica's part of a step, from clips to updated weights; returns what is logged."""
        statistics = [tf.identity(variable) for variable in self.statistics]

        with tf.GradientTape(persistent=True) as tape:
            embeddings = self.model(clips, training=True, seed=step_seed(self.seed, self.global_step))
            terms = vatt.clip_losses(embeddings, clips, **self.loss_options)
            with tape.stop_recording():
                trust = self._trust(embeddings, clips, terms)
            losses = vatt.mean_losses(terms, trust.weights)
        gradients = [self._gradient(tape, losses[name]) for name in OBJECTIVES]

        if self.all_reduce == "after":
            gradients = [harmonization.sum_over_replicas(gradient) for gradient in gradients]
        losses = harmonization.sum_over_replicas(losses)
        update, report = harmonization.harmonize(
            gradients, self.harmonizer, groups=self.groups, step=self.global_step,
            losses=[losses[name] for name in OBJECTIVES], keep=trust.keep,
        )  # fmt: skip
        report |= self._layer_report(report)
        if self.all_reduce == "before":
            update, report = harmonization.sum_over_replicas(update), _combine_reports(report)

        harmonization.apply_if(report["keep"], self.optimizer, update, self.weights)
        for variable, previous in zip(self.statistics, statistics, strict=True):
            variable.assign(tf.where(report["keep"], variable, previous))
        return self.log.row(losses | trust.losses, report | trust.report, self.learning_rate(self.global_step))

    def train_loop_begin(self) -> None:
        """Starts a new log."""
        self.log.clear()

    def train_loop_end(self) -> dict[str, tf.Tensor]:
        """Returns the steps of the loop so far, one float32 [steps] or [steps, layers] per quantity; see `StepLog`."""
        return self.log.read()

    def _trust(self, embeddings, clips, terms):
        if self.curriculum is None:
            return FULL_TRUST
        return self.curriculum(self.model.head, embeddings, clips, terms, self.global_step, self.loss_options)

    def _layer_report(self, report):
        by_layer = harmonization.layer_statistics(report["variable_gram"], self.layers)
        return {f"layer_{name}": by_layer[name] for name in ("norms", "cosine", "defined")}

    def _gradient(self, tape, loss):
        gradients = tape.gradient(loss, self.weights)
        return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]

    def _encoder_variables(self):
        shared = {id(variable) for variable in self.model.encoder.trainable_variables}
        return [index for index, variable in enumerate(self.weights) if id(variable) in shared]


def _combine_reports(report):
    """Makes one report of the replicas' own: means; a step is kept if any replica kept its share and all are finite."""
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    means = {
        name: value / replicas
        for name, value in harmonization.sum_over_replicas(
            {name: tf.cast(value, tf.float32) for name, value in report.items()}
        ).items()
    }
    finite = means["finite"] >= 1.0
    return {**means, "kept_share": means["keep"], "keep": (means["keep"] > 0.0) & finite, "finite": finite}
