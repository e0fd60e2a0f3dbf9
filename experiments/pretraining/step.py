"""The training step: clip -> tokens -> embeddings -> two losses -> two gradients -> Gram -> weights -> update.

Where the weights do not depend on the gradients, or are decided by a cheaper Gram matrix, one gradient of the weighted sum
takes the place of the two.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping

import tensorflow as tf

import harmonization
import vatt
from experiments.pretraining.clip_curriculum import ClipCurriculum
from experiments.pretraining.clip_trust import FULL_TRUST, with_measured_weights
from experiments.pretraining.layers import layers_of
from experiments.pretraining.log import StepLog
from experiments.pretraining.micro_batches import MicroBatches
from experiments.pretraining.similarity_curriculum import SimilarityCurriculum
from experiments.training.step_trainer import StepTrainer, step_seed

OBJECTIVES = ("video_audio", "video_text")
CUTS = {"features": vatt.FEATURES, "top_block": vatt.LAST_BLOCK}
ERROR_BARS = ("cosine_error", "conflict_p")
GRAMS = ("exact", *CUTS)
"""What the weights are decided by; see `HarmonizedTrainer`."""


class HarmonizedTrainer(StepTrainer):
    """Trains a model on two objectives whose gradients are harmonized before the optimizer applies their sum.

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
      gram: What a method that needs a Gram matrix gets: "exact" that of all variables' gradients; "features" that of the
        gradients at the pooled features and in the head; "top_block" that of the last block of each encoder and of what
        follows it. With the last two one backward pass serves both losses below. The update is exact for the weights that
        are chosen, and what is logged of the gradients is of that Gram matrix.
      measure_gradients_every: A method that does not look at the gradients takes one backward pass, except in every so
        many steps, counted from 0, in which both gradients are taken for the log. 1 measures every step.
      clips_per_pass: Clips of a replica that pass through the towers at a time, so that any batch fits; see
        `MicroBatches`. `None`, or no less than a replica has, passes all at once. Not with "top_block".
      gradient_parts: Parts of the global batch whose gradients are taken one by one in the steps that take both losses'
        gradients, for error bars and for methods that need them (`harmonization.Significant`); `None` for none. They pass
        through the towers as with `clips_per_pass`; see `harmonization.LossParts`. Only with the exact Gram matrix and "after".
      curriculum: Weighs each clip's losses, before the gradients are taken; `None` to take all clips alike.
      loss_options: Arguments of `vatt.losses`.
      learning_rate: Learning rate at a step, for the log. An optimizer asks its schedule only when it applies an update,
        so what it remembers is out of date in a gated step; `None` logs that.
      jit_compile: See `StepTrainer`.
      host_loop: See `StepTrainer`.
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
        gram: str = "exact",
        measure_gradients_every: int = 1,
        clips_per_pass: int | None = None,
        gradient_parts: int | None = None,
        curriculum: ClipCurriculum | SimilarityCurriculum | None = None,
        loss_options: Mapping[str, object] | None = None,
        learning_rate: Callable[[tf.Tensor], tf.Tensor] | None = None,
        jit_compile: bool = False,
        host_loop: bool = False,
    ):
        weights = model.trainable_variables
        self.layers = layers_of(model, weights)
        others = (*(curriculum.fields if curriculum else ()), *(ERROR_BARS if gradient_parts else ()))
        # The statistics are the head's: frozen word vectors are not trained either, but no step touches them.
        super().__init__(
            optimizer, weights, global_step, StepLog(steps_per_loop, OBJECTIVES, tuple(self.layers), others),
            seed=seed, statistics=model.head.non_trainable_variables, dataset=dataset, jit_compile=jit_compile,
            host_loop=host_loop,
        )  # fmt: skip
        self.model, self.harmonizer, self.all_reduce = model, harmonizer, all_reduce
        self.curriculum, self.loss_options = curriculum, dict(loss_options or {})
        self.learning_rate = learning_rate or (lambda _: optimizer.learning_rate)
        self.groups = None if scope == "all" else {"encoder": self._encoder_variables()}
        self.gram = gram if harmonizer.needs_gram(self.groups) else "exact"
        self.measure_gradients_every, self.clips_per_pass = measure_gradients_every, clips_per_pass
        self.gradient_parts = gradient_parts
        if not self.measures_every_step:
            self.train_on_batch = self._measured_now_and_then(self.train_on_batch)

    @property
    def measures_every_step(self) -> bool:
        """Whether every step takes both gradients, or their part above a cut."""
        return self.measure_gradients_every == 1 or self.harmonizer.needs_gram(self.groups)

    def _measured_now_and_then(self, measured: Callable) -> Callable:
        """Returns what chooses between two traced steps: in Python or, where the loop runs on the device, there."""
        replica_step = self.compiled(functools.partial(self.replica_step, measure=False))
        unmeasured = tf.function(functools.partial(self._train_on_batch, replica_step=replica_step), autograph=False)

        def train_on_batch(batch: dict[str, tf.Tensor], waited_seconds: tf.Tensor) -> None:
            due = self.global_step % self.measure_gradients_every == 0
            if tf.inside_function():
                tf.cond(due, lambda: measured(batch, waited_seconds), lambda: unmeasured(batch, waited_seconds))
            elif due:
                measured(batch, waited_seconds)
            else:
                unmeasured(batch, waited_seconds)

        return train_on_batch

    def replica_step(self, clips: dict[str, tf.Tensor], measure: bool = True) -> dict[str, tf.Tensor]:
        """See `StepTrainer.replica_step`; `measure` as in `harmonization.harmonize_losses`."""
        statistics, parts = self.copy_statistics(), self._parts(measure)

        with tf.GradientTape(persistent=True) as tape:
            embeddings, cut = self._embed(tape, clips, parts)  # tokens, encoder, embeddings
            if parts:
                embeddings, loss_parts = _told_apart(tape, embeddings)
            loss_options = self._loss_options(clips)
            terms = vatt.clip_losses(embeddings, clips, **loss_options)
            with tape.stop_recording():
                trust = self._trust(embeddings, clips, terms, loss_options)
            losses = vatt.mean_losses(terms, trust.weights)

        # Two gradients, their Gram matrix, weights, update; or fewer gradients, where the method or a cut allows.
        shares = loss_parts.split(losses, parts, _clips_of(parts)) if parts else losses
        losses = harmonization.sum_over_replicas(losses)
        update, report = harmonization.harmonize_losses(
            tape, [shares[name] for name in OBJECTIVES], self.weights, self.harmonizer, self.groups, self.global_step,
            values=[losses[name] for name in OBJECTIVES], keep=trust.keep, measure=measure, cut=cut,
            all_reduce=self.all_reduce,
        )  # fmt: skip
        report |= self._layer_report(report) | self._error_bars(report)
        if self.all_reduce == "before" and measure:
            update, report = harmonization.sum_over_replicas(update), _combine_reports(report)

        self.apply(update, report["keep"], statistics)
        return self.log.row(losses | trust.losses, report | trust.report, self.learning_rate(self.global_step))

    def _embed(self, tape, clips, parts):
        seed, passes = step_seed(self.seed, self.global_step), self._passes(clips, parts)
        if passes > 1:
            batches = MicroBatches(self.model, clips, passes, seed, self.finish_clips)
            return batches.embed(tape, decides=self.gram == "features")
        with self.cut(tape, self.gram) as cut:
            return self.model(self.finish_clips(clips), training=True, seed=seed), cut

    def _parts(self, measure):
        """How many parts of this replica's clips have gradients of their own; 0 for none."""
        measured = measure or self.harmonizer.needs_gram(self.groups)
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return self.gradient_parts // replicas if self.gradient_parts and measured else 0

    def _passes(self, clips, parts=0):
        """How many parts the batch passes through the towers in."""
        passes = 1 if self.clips_per_pass is None else clips["text"].shape[0] // self.clips_per_pass
        return max(1, passes, parts)

    @contextlib.contextmanager
    def cut(self, tape: tf.GradientTape, gram: str) -> Iterator[harmonization.TapeCut | None]:
        """Cuts the recording where one of `GRAMS` begins; yields `None` for the exact one."""
        if gram == "exact":
            yield None
            return
        cut = harmonization.TapeCut(tape, counted=gram == "features")
        with vatt.cut_at(CUTS[gram], cut):
            yield cut

    def _loss_options(self, clips):
        """Those of the run. Where clips pass in parts, neither do the losses compare all of them at once."""
        at_a_time = {"clips_at_a_time": self.clips_per_pass} if self._passes(clips) > 1 else {}
        return {**self.loss_options, **at_a_time}

    def _trust(self, embeddings, clips, terms, loss_options):
        trust = FULL_TRUST
        if self.curriculum is not None:
            trust = self.curriculum(self.model.head, embeddings, clips, terms, self.global_step, loss_options)
        return with_measured_weights(trust, clips, terms)

    def _layer_report(self, report):
        by_layer = harmonization.layer_statistics(report["variable_gram"], self.layers)
        return {f"layer_{name}": by_layer[name] for name in ("norms", "cosine", "defined")}

    def _error_bars(self, report):
        if not self.gradient_parts:
            return {}
        return {name: tf.reshape(report.get(name, float("nan")), []) for name in ERROR_BARS}

    def _encoder_variables(self):
        shared = {id(variable) for variable in self.model.encoder.trainable_variables}
        return [index for index, variable in enumerate(self.weights) if id(variable) in shared]


def _told_apart(tape, embeddings):
    """The embeddings for the losses to start from, and what splits the gradients of these by clips."""
    loss_parts = harmonization.LossParts(tape, {name: each for name, each in embeddings.items() if name != "features"})
    return {**embeddings, **loss_parts.outputs}, loss_parts


def _clips_of(parts):
    return lambda part, values: vatt.BatchPart(part, parts).of(values)


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
    bad = dict(
        zip(("bad_variable", "bad_objective"), harmonization.find_nonfinite(means["variable_gram"]), strict=True)
    )
    return {**means, **bad, "kept_share": means["keep"], "keep": (means["keep"] > 0.0) & finite, "finite": finite}
