"""What happens after every loop of fine-tuning's steps: metrics and, at times, the validation split."""

from experiments.classifiers.constant_answer import Chance
from experiments.finetuning.scores import Scores
from experiments.finetuning.step import OBJECTIVE
from experiments.training.validated_progress import ValidatedProgress


class FinetuneProgress(ValidatedProgress):
    """Validates every so many steps and at the end, and keeps the best weights by `score_name`."""

    advice = (
        "Lower `finetune.learning_rate`, lengthen `finetune.warmup_steps`, or set `finetune.backbone_clip_norm = 0.75`."
    )
    shorter = (
        "To shorten it, lower `finetune.steps`, `finetune.batch_size` or `ClipSpec.image_size`, or set `finetune.frozen = True`. "
        "configs/finetune/my_videos.gin suits a few hundred videos."
    )

    @property
    def score_name(self) -> str:
        """The figure that chooses: mAP of multi-label sets, else top-1."""
        return "map" if self.run.multi_label else "top1"

    def to_border(self, step: int) -> int:
        """Returns the steps from a step to the next validation, which no loop may go over."""
        every = self.run.config.evaluate_every_steps
        return min(every - step % every, max(self.steps() - step, 1))

    def number(self, step: int) -> int:
        """See `ValidatedProgress.number`."""
        return step

    def validates(self, step: int) -> bool:
        """See `ValidatedProgress.validates`."""
        return step % self.run.config.evaluate_every_steps == 0 or step >= self.steps()

    def validate(self, step: int) -> dict[str, float]:
        """See `ValidatedProgress.validate`."""
        scores = self.evaluator("validation")
        chosen = scores[self.score_name]
        if chosen is None:  # of every step: it depends on the labels alone
            self.best.keep(step)
        else:
            self.best.offer(chosen, step)
        self.directory.append_metrics({"step": step, "validation": scores})
        self.show(f"step {step} | validation {figures(scores)} | {self._best_text(chosen)}")
        return {f"validation_{name}": value for name, value in scores.items() if value is not None}

    def _best_text(self, chosen):
        if chosen is None:
            return (
                f"{self.score_name} is not defined, as no class has clips with and without it: the last weights will be tested. "
                "A larger validation split could choose the best"
            )
        return f"best step {int(self.best.number.numpy())}: {self.score_name} {float(self.best.score.numpy()):.1%}"

    def method_and_data(self) -> tuple[str, str]:
        """See `Progress.method_and_data`."""
        config = self.run.config
        start = "from scratch" if config.checkpoint is None else f"from {config.checkpoint}"
        part = "classifier alone" if config.frozen else "whole model"
        kind = "multi-label" if self.run.multi_label else "single-label"
        return f"{config.modality}, {part}, {start}", f"{config.dataset}, {self.run.classes} classes, {kind}"

    def objectives(self) -> tuple[str, ...]:
        """See `Progress.objectives`."""
        return (OBJECTIVE,)

    def losses_text(self, means: dict[str, float]) -> str:
        """See `Progress.losses_text`."""
        norms = [f"{part} {means[f'gradient_norm_{part}']:.3g}" for part in self.run.trainer.groups]
        return f"loss {means[f'loss_{OBJECTIVE}']:.3f} | gradient {' '.join(norms)}"


_FORMS = {
    **dict.fromkeys(("top1", "top5", "class_accuracy", "map", "auc"), ".1%"),
    **dict.fromkeys(("d_prime_mean", "d_prime_of_mean"), ".2f"),
}


def figures(scores: Scores, chance: Chance | None = None) -> str:
    """Returns the figures as people read them, each followed by what `chance` says of it, if that is given."""
    chance = chance or {}
    texts = []
    for name, form in _FORMS.items():
        if scores.get(name) is not None:
            by_chance = f" (chance {chance[name]:{form}})" if name in chance else ""
            texts.append(f"{name} {scores[name]:{form}}{by_chance}")
    return f"{' '.join(texts) or 'nothing to score'} of {scores['clips']} clips, {scores['classes']} classes"
