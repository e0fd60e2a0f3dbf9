"""The training step of fine-tuning: clip -> mixup -> logits -> loss -> gradient -> update."""

from collections.abc import Callable

import tensorflow as tf

import harmonization
from experiments.finetuning.config import Finetune
from experiments.finetuning.model import ClipClassifier
from experiments.finetuning.targets import balancing_weights, clip_losses, is_counted, mix, one_or_many_hot
from experiments.training import quantities, step_columns
from experiments.training.step_table import StepTable
from experiments.training.step_trainer import StepTrainer, step_seed

OBJECTIVE = "classification"
_MODEL, _MIXUP = 0, 1  # what a draw is for
_UNLOGGED = ("weight",)  # it is 1


class FinetuneTrainer(StepTrainer):
    """Trains a classifier on labeled clips.

    The loss is a mean over the global batch, in which a clip without a label (or without sound, where sound is asked for)
    counts as zero. Gradients are summed over the replicas before anything is done with them, so the number of replicas
    changes nothing but what is drawn at random.

    Args:
      model: Its variables exist.
      config: The run.
      multi_label: Whether clips may have several classes.
      optimizer: A tf_keras optimizer, built on the trainer's `weights`.
      global_step: int64 variable.
      learning_rate: Learning rate at a step, for the log.
    """

    def __init__(
        self,
        model: ClipClassifier,
        config: Finetune,
        multi_label: bool,
        optimizer,
        global_step: tf.Variable,
        learning_rate: Callable[[tf.Tensor], tf.Tensor],
    ):
        self.model, self.config, self.multi_label = model, config, multi_label
        self.learning_rate = learning_rate
        parts = model.parts()
        weights = [variable for variables in parts.values() for variable in variables]
        indices = iter(range(len(weights)))
        self.groups = {name: [next(indices) for _ in variables] for name, variables in parts.items()}
        self.places = {
            quantities.PER_OBJECTIVE: {OBJECTIVE: 0},
            quantities.PER_GROUP: {},  # one gradient has no cosine
            quantities.PER_GROUP_AND_OBJECTIVE: {name: (index, 0) for index, name in enumerate(self.groups)},
        }
        fields = step_columns.step_fields(self.places, unlogged=_UNLOGGED)
        super().__init__(
            optimizer, weights, global_step, StepTable(config.steps_per_loop, fields),
            seed=config.seed, jit_compile=config.jit_compile,
        )  # fmt: skip

    def replica_step(self, clips: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """See `StepTrainer.replica_step`."""
        clips, statistics = self.finish_clips(clips), self.copy_statistics()
        seed = step_seed(self.seed, self.global_step)
        raw, labels, weights = self._inputs(clips, tf.random.fold_in(seed, _MIXUP, alg="philox"))

        with tf.GradientTape() as tape:
            logits = self.model(raw, tf.random.fold_in(seed, _MODEL, alg="philox"))
            losses = clip_losses(logits, labels, self.multi_label, self.config.label_smoothing)
            loss = tf.reduce_sum(weights * losses) / self.config.batch_size
        gradients = tape.gradient(loss, self.weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        loss, gradients = harmonization.sum_over_replicas(
            (loss, [tf.convert_to_tensor(gradient) for gradient in gradients])
        )

        # One objective leaves nothing to harmonize; this looks at its gradient, part by part.
        update, report = harmonization.harmonize(
            [gradients], harmonization.Sum(), groups=self.groups, step=self.global_step
        )
        self.apply(self._clipped(update, report), report["keep"], statistics)
        return self._log(loss, report)

    def _inputs(self, clips, seed):
        """Returns clips, labels and the weights of the losses, after mixup if there is any."""
        labels = one_or_many_hot(clips, self.model.classifier.units, self.multi_label)
        counted = is_counted(clips, labels, self.config.modality)
        raw = clips[self.config.entry]
        if self.config.mixup_alpha is not None:
            raw, labels = mix(raw, labels, counted, self.config.mixup_alpha, seed)
        weights = tf.cast(counted, tf.float32)
        if self.config.balance_classes:
            weights *= balancing_weights(labels * weights[:, None])
        return raw, labels, weights

    def _clipped(self, update, report):
        """Shortens the backbone's gradient to its greatest norm, if it has one."""
        greatest = self.config.backbone_clip_norm
        if greatest is None or self.config.frozen:
            return update
        norm = report["norms"][list(self.groups).index("backbone"), 0]
        factor = greatest / tf.maximum(norm, greatest)
        inside = set(self.groups["backbone"])
        return [factor * gradient if index in inside else gradient for index, gradient in enumerate(update)]

    def _log(self, loss, report):
        step = {**report, "losses": loss[tf.newaxis], "learning_rate": self.learning_rate(self.global_step)}
        return step_columns.read_step(step, self.places, _UNLOGGED)
