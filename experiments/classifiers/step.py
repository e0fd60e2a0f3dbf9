"""The training step of a classifier: clip -> logits -> losses -> a gradient per loss -> Gram per part -> update."""

from collections.abc import Callable

import tensorflow as tf

import harmonization
from experiments.classifiers.counted import counted
from experiments.classifiers.model import Classifier
from experiments.classifiers.recipes import MODALITIES, Recipe
from experiments.training import quantities, step_columns
from experiments.training.step_table import StepTable
from experiments.training.step_trainer import StepTrainer, step_seed


class ClassifierTrainer(StepTrainer):
    """Trains a classifier on the losses of a method, whose gradients are harmonized part by part of the model.

    The gradients are summed over the replicas before they are harmonized.

    Args:
      model: Its variables exist.
      recipe: Which losses there are and what each one's gradient is taken of.
      optimizer: A tf_keras optimizer, built on the trainer's `weights`.
      harmonizer: Weighs the losses in each part.
      global_step: int64 variable.
      epoch_losses: float32 [objectives] variable; the sum of the losses since it was last set to zero.
      learning_rate: Learning rate at a step, for the log.
      batch_size: Clips per step over all replicas.
      steps_per_loop: The most steps of a loop.
      seed: Names the run's random draws.
      weight_decay: Factor of the weights in the gradient, added after all that the method does.
      clip_norm: Greatest global norm of the update before the decay; `None` for none.
      jit_compile: Compile the replica's step with XLA.
    """

    def __init__(
        self,
        model: Classifier,
        recipe: Recipe,
        optimizer,
        harmonizer: harmonization.Harmonizer,
        global_step: tf.Variable,
        epoch_losses: tf.Variable,
        *,
        learning_rate: Callable[[tf.Tensor], tf.Tensor],
        batch_size: int,
        steps_per_loop: int,
        seed: int,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        jit_compile: bool = False,
    ):
        self.model, self.recipe, self.harmonizer = model, recipe, harmonizer
        self.learning_rate, self.epoch_losses = learning_rate, epoch_losses
        self.batch_size, self.weight_decay, self.clip_norm = batch_size, weight_decay, clip_norm
        weights, self.parts = _in_one_list(model.parts())
        self.reached = {
            name: [index for part in recipe.reaches(name, tuple(self.parts)) for index in self.parts[part]]
            for name in recipe.objectives
        }
        self.groups = _groups(weights, self.parts, recipe)
        self.places = self._places()
        scores = [f"score_{name}" for name in MODALITIES] if recipe.scored else []
        super().__init__(
            optimizer, weights, global_step, StepTable(steps_per_loop, step_columns.step_fields(self.places, scores)),
            seed=seed, statistics=model.non_trainable_variables, jit_compile=jit_compile,
        )  # fmt: skip

    def replica_step(self, clips: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """See `StepTrainer.replica_step`."""
        clips, statistics = self.finish_clips(clips), self.copy_statistics()

        with tf.GradientTape(persistent=True) as tape:
            logits = self.model(clips, training=True, seed=step_seed(self.seed, self.global_step))
            losses = self._losses(logits, clips)
        gradients = harmonization.sum_over_replicas(self._gradients(tape, losses))

        losses, scores = harmonization.sum_over_replicas((losses, self._scores(logits, clips)))
        update, report = harmonization.harmonize(
            gradients, self.harmonizer, groups=self.groups, step=self.global_step, losses=losses, scores=scores
        )
        update = self._decayed(self._clipped(self._scaled(update)))

        self.apply(update, report["keep"], statistics)
        self.epoch_losses.assign_add(tf.stack(losses))
        return self._log(losses, scores, report)

    def _losses(self, logits, clips):
        """This replica's share of the means over the global batch; a clip that does not count adds nothing."""
        labels, counts = tf.maximum(clips["label"], 0), counted(clips)
        return [
            tf.reduce_sum(
                tf.cast(counts[name], tf.float32) * tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits[name])
            )
            / self.batch_size
            for name in self.recipe.objectives
        ]

    def _gradients(self, tape, losses):
        """Returns a list over objectives of lists over variables, `None` where a gradient is not asked for."""
        losses = dict(zip(self.recipe.objectives, losses, strict=True))
        rows = {name: [None] * len(self.weights) for name in losses}
        for names in self.recipe.passes():
            places = [(name, index) for name in names for index in self.reached[name]]
            targets = [losses[name] for name in names]  # whose variables differ: the sum's gradient is each one's
            found = tape.gradient(targets, [self.weights[index] for _, index in places])
            for (name, index), gradient in zip(places, found, strict=True):
                rows[name][index] = None if gradient is None else tf.convert_to_tensor(gradient)
        return list(rows.values())

    def _scores(self, logits, clips):
        """How sure each modality alone is of the truth, summed over the clips that have both, for OGM-GE."""
        if not self.recipe.scored:
            return None
        both = tf.reduce_all([*counted(clips).values()], axis=0)
        truth = tf.one_hot(tf.where(both, clips["label"], -1), logits["audio"].shape[-1])
        return {name: tf.reduce_sum(truth * tf.nn.softmax(logits[name])) for name in MODALITIES}

    def _scaled(self, update):
        if self.recipe.encoder_scale == 1.0:
            return update
        for index in (index for name in MODALITIES for index in self.parts[name]):
            update[index] = None if update[index] is None else self.recipe.encoder_scale * update[index]
        return update

    def _clipped(self, update):
        return update if self.clip_norm is None else tf.clip_by_global_norm(update, self.clip_norm)[0]

    def _decayed(self, update):
        return [
            None if gradient is None else gradient + self.weight_decay * weight
            for gradient, weight in zip(update, self.weights, strict=True)
        ]

    def compared(self) -> list[str]:
        """Returns the encoders that two losses reach, whose gradients have a cosine."""
        return [
            name for name in MODALITIES if sum(name in self._reached_parts(one) for one in self.recipe.objectives) > 1
        ]

    def _reached_parts(self, objective):
        return self.recipe.reaches(objective, tuple(self.parts))

    def _log(self, losses, scores, report):
        """Collects one step's quantities: per loss, per encoder that several losses reach, and per encoder and loss."""
        step = {**report, "losses": tf.stack(losses), "learning_rate": self.learning_rate(self.global_step)}
        shares = {f"score_{name}": score / self.batch_size for name, score in (scores or {}).items()}
        return step_columns.read_step(step, self.places) | shares

    def _places(self):
        objectives = {name: index for index, name in enumerate(self.recipe.objectives)}
        groups = {name: index for index, name in enumerate(self.groups)}
        return {
            quantities.PER_OBJECTIVE: objectives,
            quantities.PER_GROUP: {part: groups[part] for part in self.compared()},
            quantities.PER_GROUP_AND_OBJECTIVE: {
                f"{name}_{part}": (groups[part], index)
                for part in MODALITIES
                for name, index in objectives.items()
                if part in self._reached_parts(name)
            },
        }


def _in_one_list(parts):
    """Returns all variables in one list, and the places in it of each part's."""
    weights = [variable for variables in parts.values() for variable in variables]
    places = iter(range(len(weights)))
    return weights, {name: [next(places) for _ in variables] for name, variables in parts.items()}


def _groups(weights, parts, recipe):
    """The parts, as groups of a harmonizer; for methods that treat kernels only, the encoders' kernels."""
    if not recipe.kernels_only:
        return parts
    return {name: [index for index in parts[name] if weights[index].shape.rank >= 2] for name in MODALITIES}
