"""The configuration of a classifier's run, and how gin files fill it."""

import dataclasses
from collections.abc import Sequence

import harmonization
from data import AUGMENT_ON, Augmentation, ClipSpec
from experiments.classifiers.encoders import EncoderFactory, ResNet18, Spectrogram, VATTEncoder
from experiments.classifiers.fusion import FUSIONS
from experiments.classifiers.gradient_blending import GradientBlending
from experiments.classifiers.recipes import RECIPES, Recipe
from experiments.pretraining.config import MOST_CLIPS, PRECISIONS
from experiments.running import gin_config

# RandomResizedCrop and flip, as torchvision has them; the recipe changes neither colors nor sound.
CROP_AND_FLIP = Augmentation(crop_aspect=(3 / 4, 4 / 3), jitter_probability=0.0, audio_noise=0.0)
TWO_FRAMES = ClipSpec(frames=2, sparse_seconds=3.0, sample_rate_hz=22_050)


@dataclasses.dataclass(frozen=True)
class Classify:
    """One run of supervised audio-video classification. Defaults are the released recipes of MMPareto and DGL.

    They differ in the epochs (50 and 100) and the decay (at 30, which MMPareto's code never applies, and 70).

    Attributes:
      method: A name in `experiments.classifiers.recipes.RECIPES`.
      harmonizer: Replaces the method's own, for instance with other options; `None` for the method's defaults.
      encoder: Makes both encoders; in gin `@ResNet18` or `@VATTEncoder`.
      encoder_scale: Replaces the method's factor on the encoders' gradients, as a control for methods that lengthen
        them; `None` for the method's own.
      fusion: "concatenation", "sum", "gated" or "bilinear".
      dataset: Name of a prepared set with labels; trains on `train`, chooses the epoch on `validation`.
      clips: Shape of a clip.
      augmentation: What training does to clips.
      augment_on: As `pretrain.augment_on`: where frames are finished, on the "host" or on the "device"; `None` for the faster.
      shuffle_window: Size of the shuffle window in clips.
      epochs: Times that the training split is gone through.
      batch_size: Clips per step over all replicas.
      seed: Of the weights, the order of the clips, their augmentation, DropToken and dropout.
      learning_rate: Of SGD, before the decay.
      decay_epochs: Epochs after which the learning rate is multiplied by `decay_factor`.
      decay_factor: See above.
      momentum: Of SGD.
      weight_decay: Factor of the weights in the gradient (an L2 penalty, as PyTorch's SGD has it), of all variables
        that the losses reach. It is added to what the harmonizer made: no method weighs it.
      clip_norm: Greatest global norm of the gradient, before the decay; `None` for none. DGL's is 40.
      precision: "float32" or "mixed_bfloat16".
      jit_compile: Compile the step with XLA (one device only).
      steps_per_loop: Steps that a line of metrics.jsonl stands for; an epoch's end ends one, too.
      checkpoint_every_steps: Least steps between two checkpoints; there is one at the end too.
      keep_checkpoints: How many of the newest stay, in addition to the best epoch's.
    """

    method: str
    dataset: str
    harmonizer: harmonization.Harmonizer | None = None
    encoder: EncoderFactory = ResNet18
    encoder_scale: float | None = None
    fusion: str = "concatenation"
    clips: ClipSpec = TWO_FRAMES
    augmentation: Augmentation = CROP_AND_FLIP
    augment_on: str | None = None
    shuffle_window: int = 1024
    epochs: int = 50
    batch_size: int = 64
    seed: int = 0
    learning_rate: float = 0.002
    decay_epochs: Sequence[int] = (30,)
    decay_factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float | None = None
    precision: str = "float32"
    jit_compile: bool = False
    steps_per_loop: int = 50
    checkpoint_every_steps: int = 500
    keep_checkpoints: int = 1

    def __post_init__(self) -> None:
        problems = [
            f"`classify.{name}` should be one of {', '.join(map(str, allowed))}. Found {getattr(self, name)!r}."
            for name, allowed in dict(
                method=RECIPES, fusion=FUSIONS, precision=PRECISIONS, augment_on=(None, *AUGMENT_ON)
            ).items()
            if getattr(self, name) not in allowed
        ]
        for name in (
            "epochs",
            "batch_size",
            "shuffle_window",
            "steps_per_loop",
            "checkpoint_every_steps",
            "keep_checkpoints",
        ):
            if getattr(self, name) < 1:
                problems.append(f"`classify.{name}` should be at least 1. Found {getattr(self, name)}.")
        for name in ("learning_rate", "decay_factor", "momentum", "weight_decay"):
            if not getattr(self, name) >= 0:
                problems.append(f"`classify.{name}` should be at least 0. Found {getattr(self, name)}.")
        if self.batch_size > MOST_CLIPS:
            problems.append(f"`classify.batch_size` should be at most {MOST_CLIPS:,}. Found {self.batch_size}.")
        if self.momentum > 1:
            problems.append(f"`classify.momentum` should be at most 1. Found {self.momentum}.")
        if self.encoder_scale is not None and not self.encoder_scale > 0:
            problems.append(f"`classify.encoder_scale` should be None or above 0. Found {self.encoder_scale}.")
        if self.clip_norm is not None and not self.clip_norm > 0:
            problems.append(f"`classify.clip_norm` should be None or above 0. Found {self.clip_norm}.")
        if list(self.decay_epochs) != sorted(set(self.decay_epochs)) or min(self.decay_epochs, default=1) < 1:
            problems.append(
                f"`classify.decay_epochs` should be increasing numbers of at least 1. Found {self.decay_epochs}."
            )
        if self.harmonizer is not None and self.harmonizer.losses_after:
            problems.append(
                f"`classify.harmonizer` should not need the losses after the step. Found {type(self.harmonizer).__name__}."
            )
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def recipe(self) -> Recipe:
        """What the method does with the losses."""
        recipe = RECIPES[self.method]
        return recipe if self.encoder_scale is None else dataclasses.replace(recipe, encoder_scale=self.encoder_scale)

    def build_harmonizer(self) -> harmonization.Harmonizer:
        """Returns the harmonizer."""
        return self.recipe.harmonizer() if self.harmonizer is None else self.harmonizer


def parse(gin_files: Sequence[str], bindings: Sequence[str]) -> Classify:
    """Reads gin files, then bindings, and returns the run they describe.

    Raises:
      BadInput: A file is missing, a name is misspelt, a value has the wrong type or range.
    """
    constructors = {
        "classify": Classify, "ResNet18": ResNet18, "VATTEncoder": VATTEncoder, "Spectrogram": Spectrogram,
        "ClipSpec": ClipSpec, "Augmentation": Augmentation, "GradientBlending": GradientBlending,
    }  # fmt: skip
    return gin_config.parse("classify", {**constructors, **gin_config.HARMONIZERS}, gin_files, bindings)
