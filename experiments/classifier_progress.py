"""What happens after every loop of a classifier's steps: metrics and, at an epoch's end, the validation split."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from experiments.checkpoints import RunCheckpoints
from experiments.classifier_methods import MODALITIES
from experiments.classifier_run import ClassifierRun
from experiments.classifier_scores import Evaluator, Scores
from experiments.gradient_blending import GradientBlending
from experiments.progress import Progress, Stopped, StopSignal
from experiments.run_directory import RunDirectory


class ClassifierProgress(Progress):
    """An Orbit train action: `Progress`, and at the end of an epoch validation, which keeps the best epoch's weights.

    It runs before Orbit saves a checkpoint, so that a checkpoint at an epoch's end knows the validation's outcome.

    Args:
      directory: Where metrics.jsonl is.
      run: The run.
      stop: Whether SIGTERM has come.
      show: Prints a line.
      evaluator: Scores the model.
      best: Saves the model alone.
    """

    advice = "Lower `classify.learning_rate`, or look at the data with another `classify.seed`."

    def __init__(
        self,
        directory: RunDirectory,
        run: ClassifierRun,
        stop: StopSignal,
        show: Callable[[str], None],
        evaluator: Evaluator,
        best: RunCheckpoints,
    ):
        super().__init__(directory, run, stop, show)
        self.evaluator, self.best = evaluator, best

    def __call__(self, output: dict) -> None:
        """See `Progress.__call__`."""
        self.report(output)
        epoch, rest = divmod(int(self.run.trainer.global_step.numpy()), self.run.steps_per_epoch)
        if not rest:
            output.update(self._validate(epoch))
        if self.stop.received:
            raise Stopped()

    def _validate(self, epoch: int) -> dict[str, float]:
        """Scores the epoch; returns what TensorBoard shows."""
        run = self.run
        scores = self.evaluator("validation")
        accuracy = scores["multimodal"]["accuracy"]
        if accuracy > run.best_accuracy.numpy():  # of equal ones the first
            run.best_epoch.assign(epoch)
            run.best_accuracy.assign(accuracy)
            self.best.save(checkpoint_number=epoch)
        training_losses = run.trainer.epoch_losses.numpy() / run.steps_per_epoch
        run.trainer.epoch_losses.assign(tf.zeros_like(training_losses))
        if isinstance(run.trainer.harmonizer, GradientBlending):
            validation_losses = np.array([scores[name]["loss"] for name in self.objectives()])
            run.trainer.harmonizer.end_epoch(epoch, training_losses, validation_losses)
        step = int(run.trainer.global_step.numpy())
        self.directory.append_metrics({"step": step, "epoch": epoch, "validation": scores})
        self.show(
            f"epoch {epoch}/{run.config.epochs} | validation {accuracies(scores)} | "
            f"best epoch {int(run.best_epoch.numpy())}: {float(run.best_accuracy.numpy()):.1%}"
        )
        self._lap()  # else the next loop's steps would seem slow
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

    def cosines(self, columns: dict[str, np.ndarray]) -> list[str]:
        """See `Progress.cosines`."""
        return [name for name in columns if name.startswith("cosine_")]

    def losses_text(self, means: dict[str, float]) -> str:
        """See `Progress.losses_text`."""
        losses = " ".join(f"{name} {means[f'loss_{name}']:.3f}" for name in self.objectives())
        cosines = " ".join(f"{part} {means[f'cosine_{part}']:+.3f}" for part in MODALITIES if f"cosine_{part}" in means)
        return f"loss {losses}" + (f" | cos {cosines}" if cosines else "")


def accuracies(scores: Scores) -> str:
    """Returns the accuracies as people read them."""
    return " ".join(f"{name} {found['accuracy']:.1%}" for name, found in scores.items())
