"""What happens after every loop of a classifier's steps: metrics and, at an epoch's end, the validation split."""

import numpy as np
import tensorflow as tf

from experiments.classifiers.gradient_blending import GradientBlending
from experiments.classifiers.recipes import MODALITIES
from experiments.classifiers.scores import Scores
from experiments.training.validated_progress import ValidatedProgress


class ClassifierProgress(ValidatedProgress):
    """Validates at the end of an epoch, and keeps the best epoch's weights."""

    advice = "Lower `classify.learning_rate`, or check the data, or try another `classify.seed`."
    shorter = (
        "To shorten it, lower `classify.epochs`, `ClipSpec.frames` or `ClipSpec.image_size`, or "
        "choose a smaller `classify.encoder`."
    )

    def to_border(self, step: int) -> int:
        """Returns the steps from a step to the end of its epoch, which no loop may pass."""
        return self.run.steps_per_epoch - step % self.run.steps_per_epoch

    def number(self, step: int) -> int | None:
        """See `ValidatedProgress.number`."""
        return step // self.run.steps_per_epoch if self.validates(step) else None

    def validates(self, step: int) -> bool:
        """See `ValidatedProgress.validates`."""
        return step % self.run.steps_per_epoch == 0

    def validate(self, step: int) -> dict[str, float]:
        """See `ValidatedProgress.validate`."""
        run = self.run
        epoch = step // run.steps_per_epoch
        scores = self.evaluator("validation")
        self.best.offer(scores["multimodal"]["accuracy"], epoch)
        training_losses = run.trainer.epoch_losses.numpy() / run.steps_per_epoch
        run.trainer.epoch_losses.assign(tf.zeros_like(training_losses))
        if isinstance(run.trainer.harmonizer, GradientBlending):
            validation_losses = np.array([scores[name]["loss"] for name in self.objectives()])
            run.trainer.harmonizer.end_epoch(epoch, training_losses, validation_losses)
        self.directory.append_metrics({"step": step, "epoch": epoch, "validation": scores})
        self.show(
            f"epoch {epoch}/{run.config.epochs} | validation {accuracies(scores, self.evaluator.clips['validation'])} | "
            f"best epoch {int(run.best_epoch.numpy())}: {float(run.best_accuracy.numpy()):.1%}"
        )
        return {f"validation_{part}_{name}": value for part, found in scores.items() for name, value in found.items()}

    def steps(self) -> int:
        """See `Progress.steps`."""
        return self.run.steps

    def method_and_data(self) -> tuple[str, str]:
        """See `Progress.method_and_data`."""
        config, harmonizer = self.run.config, type(self.run.trainer.harmonizer).__name__
        return f"{config.method} ({harmonizer}), {config.fusion}", f"{config.dataset}, {self.run.classes} classes"

    def objectives(self) -> tuple[str, ...]:
        """See `Progress.objectives`."""
        return self.run.config.recipe.objectives

    def losses_text(self, means: dict[str, float]) -> str:
        """See `Progress.losses_text`."""
        losses = " ".join(f"{name} {means[f'loss_{name}']:.3f}" for name in self.objectives())
        cosines = " ".join(f"{part} {means[f'cosine_{part}']:+.3f}" for part in MODALITIES if f"cosine_{part}" in means)
        return f"loss {losses}" + (f" | cos {cosines}" if cosines else "")


def accuracies(scores: Scores, clips: dict[str, int]) -> str:
    """Returns the accuracies as people read them, and of how many clips those are that are not of all labeled ones."""
    fewer = {name: f" (of {number} with sound)" for name, number in clips.items() if number < clips["multimodal"]}
    return " ".join(f"{name} {found['accuracy']:.1%}{fewer.get(name, '')}" for name, found in scores.items())
