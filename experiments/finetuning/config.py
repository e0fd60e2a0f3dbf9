"""The configuration of a fine-tuning run, and how gin files fill it."""

import dataclasses
import os
from collections.abc import Callable, Sequence

import vatt
from data import AUGMENT_ON, Augmentation, ClipSpec
from experiments.pretraining.config import MOST_CLIPS, PRECISIONS
from experiments.running import gin_config
from experiments.running.command_line import BadInput

ENTRIES = {"video": "video", "audio": "waveform"}
"""The modalities that can be fine-tuned, with the entry of a batch that each is read from."""
NO_AUDIO_NOISE = Augmentation(audio_noise=0.0)
CLIPS_320 = ClipSpec(frames=32, frames_per_second=12.5, image_size=320)


@dataclasses.dataclass(frozen=True)
class Finetune:
    """One run of supervised fine-tuning. Defaults are the paper's recipe for video (VATT, A.2.5).

    Where the published code differs, one parameter each turns it on: `drop_token_rate = 0.5`,
    `backbone_clip_norm = 0.75`.

    Attributes:
      modality: "video" or "audio".
      dataset: Name of a prepared set with labels; trains on `train`, chooses the weights on `validation`.
      checkpoint: Run directory or checkpoint to start from; `None` to start from scratch. The flag `--checkpoint`.
      model: Makes the model where there is no checkpoint; in gin `@VATT`.
      clips: Shape of a clip; may differ from pre-training's.
      augmentation: What training does to clips.
      augment_on: As `pretrain.augment_on`: where frames are finished, on the "host" or on the "device"; `None` for the faster.
      shuffle_window: Size of the shuffle window in clips.
      steps: Optimizer steps.
      batch_size: Clips per step over all replicas.
      seed: Of the weights, the order of the clips, their augmentation, mixup, DropToken and dropout.
      frozen: Train the classifier alone, on the features of inference; else everything.
      learning_rate: Peak of SGD's learning rate, from which it falls by half a cosine to 0 at the last step.
      warmup_steps: Linear from 0 to the peak; `None` for 2.5 % of the steps, 2,500 at most, which is the paper's figure.
      momentum: Of SGD.
      label_smoothing: Share of the label that is spread over all classes; of single-label sets only.
      classifier_dropout: Rate before the classifier (published code: 0.5 for video, 0 for audio; the paper is silent).
      drop_token_rate: Share of the tokens that training drops (paper: none); in place of the model's own.
      dropout: Rate inside the model; in place of the model's own.
      backbone_clip_norm: Greatest global norm of the model's gradient; the classifier's is never clipped. `None` (paper)
        for none.
      mixup_alpha: Mixes each clip and its labels with another clip of the replica's batch, in shares from
        Beta(alpha, alpha), a share per clip (paper, AudioSet: 5). Above 0.5; `None` for none.
      balance_classes: Weigh a clip's loss by the mean, over its labels, of 1 / (the label's count in the global batch), as
        for AudioSet (VATT, A.3, "data balancing", as the published code reads it, which counts per replica).
      evaluate_every_steps: Steps between two looks at `validation`, in one view per clip; there is one at the end too.
      test_windows: Windows of a test clip (paper: 4); the logits are averaged.
      test_crops: Crops of each window, of video (paper: 3).
      evaluation_batch_size: Clips that are evaluated at once, view by view.
      precision: "float32" or "mixed_bfloat16".
      jit_compile: Compile the step with XLA (one device only).
      steps_per_loop: Steps that a line of metrics.jsonl stands for; on a TPU, steps between two returns to Python.
      checkpoint_every_steps: Least steps between two checkpoints; there is one at the end too.
      keep_checkpoints: How many of the newest stay, in addition to the best one.
    """

    modality: str
    dataset: str
    checkpoint: str | None = None
    model: Callable[..., vatt.VATT] | None = None
    clips: ClipSpec = CLIPS_320
    augmentation: Augmentation = NO_AUDIO_NOISE
    augment_on: str | None = None
    shuffle_window: int = 1024
    steps: int = 100_000
    batch_size: int = 64
    seed: int = 0
    frozen: bool = False
    learning_rate: float = 0.005
    warmup_steps: int | None = None
    momentum: float = 0.9
    label_smoothing: float = 0.1
    classifier_dropout: float = 0.5
    drop_token_rate: float = 0.0
    dropout: float = 0.1
    backbone_clip_norm: float | None = None
    mixup_alpha: float | None = None
    balance_classes: bool = False
    evaluate_every_steps: int = 5_000
    test_windows: int = 4
    test_crops: int = 3
    evaluation_batch_size: int = 4
    precision: str = "float32"
    jit_compile: bool = False
    steps_per_loop: int = 50
    checkpoint_every_steps: int = 1_000
    keep_checkpoints: int = 1

    def __post_init__(self) -> None:
        if self.warmup_steps is None:
            object.__setattr__(self, "warmup_steps", min(2_500, self.steps // 40))
        problems = [
            f"`finetune.{name}` should be one of {', '.join(map(str, allowed))}. Found {getattr(self, name)!r}."
            for name, allowed in dict(modality=ENTRIES, precision=PRECISIONS, augment_on=(None, *AUGMENT_ON)).items()
            if getattr(self, name) not in allowed
        ]
        problems += [
            f"`finetune.{name}` should be {wanted}. Found {getattr(self, name)}."
            for wanted, names, fits in _RANGES
            for name in names
            if getattr(self, name) is not None and not fits(getattr(self, name))
        ]
        if self.warmup_steps >= self.steps:
            problems.append(
                f"`finetune.warmup_steps` should be below `finetune.steps`, {self.steps}. Found {self.warmup_steps}."
            )
        if self.checkpoint is None and self.model is None:
            problems.append(
                "Give --checkpoint=RUN; or, to start from scratch, `finetune.model = @VATT`. Found neither."
            )
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def entry(self) -> str:
        """The entry of a batch that the model reads."""
        return ENTRIES[self.modality]

    @property
    def clip_shape(self) -> tuple[int, ...]:
        """Shape of what the model reads of a clip."""
        clips = self.clips
        shapes = {"video": (clips.frames, clips.image_size, clips.image_size, 3), "audio": (clips.waveform_samples,)}
        return shapes[self.modality]


_RANGES = (
    (
        "at least 1",
        (
            "steps", "batch_size", "shuffle_window", "evaluate_every_steps", "test_windows", "test_crops",
            "evaluation_batch_size", "steps_per_loop", "checkpoint_every_steps", "keep_checkpoints",
        ),
        lambda value: value >= 1,
    ),
    (f"at most {MOST_CLIPS:,}", ("batch_size", "evaluation_batch_size"), lambda value: value <= MOST_CLIPS),
    ("at most 1,000", ("test_windows", "test_crops"), lambda value: value <= 1000),
    ("at least 0", ("learning_rate", "warmup_steps"), lambda value: value >= 0),
    ("from 0 to 1", ("momentum",), lambda value: 0 <= value <= 1),
    (
        "at least 0 and below 1",
        ("label_smoothing", "classifier_dropout", "drop_token_rate", "dropout"),
        lambda value: 0 <= value < 1,
    ),
    ("None or above 0", ("backbone_clip_norm",), lambda value: value > 0),
    ("None or above 0.5", ("mixup_alpha",), lambda value: value > 0.5),
)  # fmt: skip


def parse(
    gin_files: Sequence[str], bindings: Sequence[str], checkpoint: str = "", earlier: Sequence[str] = ()
) -> Finetune:
    """Reads `earlier` bindings, gin files, bindings, then the checkpoint if there is one; returns the run they describe.

    Raises:
      BadInput: A file is missing, a name is misspelt, a value has the wrong type or range.
    """
    if any(mark in checkpoint for mark in "'\\\n"):
        raise BadInput(
            f"--checkpoint should be a path without quotes, backslashes and line ends. Found {checkpoint!r}."
        )
    # As a binding, so that config.gin holds it and resuming with another one is noticed.
    given = [f"finetune.checkpoint = '{checkpoint}'"] if checkpoint else []
    return gin_config.parse("finetune", _CONSTRUCTORS, gin_files, [*bindings, *given], earlier)


def parse_run(config: str | os.PathLike) -> Finetune:
    """Reads the configuration that a run directory holds.

    Raises:
      BadInput: The file is missing, or is not the configuration of a fine-tuning.
    """
    return gin_config.parse_run("finetune", _CONSTRUCTORS, config)


_CONSTRUCTORS = {"finetune": Finetune, "VATT": vatt.VATT, "ClipSpec": ClipSpec, "Augmentation": Augmentation}
