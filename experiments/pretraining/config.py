"""The configuration of a pre-training run, and how gin files fill it.

gin reaches `pretrain` and the public constructors that `parse` names, nothing else.
"""

import dataclasses
import inspect
import math
import os
from collections.abc import Callable, Sequence

import data
import harmonization
import vatt
from data import Augmentation, ClipSpec
from experiments.pretraining.clip_curriculum import ClipCurriculum
from experiments.pretraining.clip_weights import ClipWeights, as_clip_weights
from experiments.pretraining.similarity_curriculum import SimilarityCurriculum, SimilarityGate
from experiments.pretraining.step import GRAMS, OBJECTIVES
from experiments.running import gin_config

PRECISIONS = ("float32", "mixed_bfloat16")
MOST_CLIPS = 2**20
"""Per batch; larger ones are slips of the keyboard, which would fill the memory."""
TOKENIZERS = {"wordpiece": data.WordPieceTokenizer, "words": data.WordTokenizer}


_CHOICES = dict(
    all_reduce=("after", "before"), scope=("all", "encoder"), precision=PRECISIONS, tokenizer=TOKENIZERS,
    loss=vatt.LOSS_FORMS, gram=GRAMS, granularity=("batch", "sample"),
    augment_on=(None, *data.AUGMENT_ON),
)  # fmt: skip
_AT_LEAST_1 = (
    "steps",
    "batch_size",
    "shuffle_window",
    "steps_per_loop",
    "checkpoint_every_steps",
    "keep_checkpoints",
    "measure_gradients_every",
)


@dataclasses.dataclass(frozen=True)
class Pretrain:
    """One pre-training run. Defaults are the paper's recipe where it states one (facts: poster and reproducibility card).

    Attributes:
      model: Makes the model from the clips' shapes and the vocabulary's size; in gin `@VATT`.
      steps: Optimizer steps, gated ones included.
      batch_size: Clips per step over all replicas.
      seed: Of the weights, the order of the clips, their augmentation, DropToken and dropout.
      datasets: Names of prepared sets; several are mixed clip by clip.
      dataset_weights: Their shares, of which only the ratio matters; `None` for equal ones (our choice; VATT does not say).
      clip_weights: Drops or weighs clips by what `experiments.rank_clips` measured: its table, clips.csv, or a `ClipWeights`;
        `None` to count all in full.
      clips: Shape of a clip.
      augmentation: What training does to clips.
      augment_on: Where frames are cropped to their size, mirrored and colored: "host", by the processor that decodes them, or
        "device", in the training step, which is sent bytes and not floats. The pixels are the same to within 2e-5. `None`
        for the faster one where the run is: "device" on TPUs and GPUs, "host" on CPUs.
      tokenizer: "wordpiece" or "words" (VATT's).
      shuffle_window: Size of the shuffle window in clips; a resume re-reads and discards at most this many.
      harmonizer: A harmonizer, or the name of one ("sum", "gr", "cl", "both", ...).
      granularity: "batch" lets the harmonizer's gate (of "cl" and "both") judge whole steps, "sample" single clips, whose
        losses it weighs; the harmonizer then does the rest. Our choice, not the paper's; see `ClipCurriculum`.
      clip_gate: What judges the clips, if not the harmonizer's own gate; of a harmonizer without any, the default schedule
        over all steps. A `SimilarityGate` judges the text and the sound of each clip by the embeddings of the batch.
      clip_softness: 0 for a hard gate of clips, or how soft it is; see `GradientCurriculum.sample_weights`.
      all_reduce: Harmonize "after" the gradients are summed over the replicas, or "before"; see `HarmonizedTrainer`.
      scope: Harmonize "all" variables or the shared "encoder"'s.
      gram: What the weights of the gradients are decided by: the "exact" Gram matrix, or one that costs no second backward
        pass through the encoder, "features" or "top_block"; see `HarmonizedTrainer`.
      measure_gradients_every: Steps between two in which both gradients are taken although the method does not need them (sum,
        reweight, rlw and the like; see `Harmonizer.needs_gram`), for the cosines in the log. Such a step takes as much longer as
        a harmonized one, a third or so. `None` for 1 step in 20, which costs less than 2 % over all, but at least 1,000 of a
        run's steps.
      clips_per_pass: Gradient caching: how many clips of a device pass through the towers at a time, a multiple of 4, so
        that any batch fits; `None` for all of its share of the batch. The step is that of the whole batch, but for
        rounding, for one more forward pass. See `MicroBatches`.
      gradient_parts: Parts of the batch whose gradients are taken one by one, for error bars of the cosine and a test whether a
        conflict is one, which `Significant` acts by: an even number on each device, four at least, each a multiple of 4 clips;
        `None` for none. For one more forward pass, as with `clips_per_pass`.
      temperature: Of both losses.
      loss: "nce"; as in the published code "asymmetric_nce" or "symmetric_nce"; or against false pairs "nce_or_none" or
        "robust_xid". See `vatt.contrastive_loss`.
      learning_rate: Peak of Adam's learning rate.
      final_learning_rate: Where the half cosine ends at the last step.
      warmup_steps: Linear from 0 to the peak; `None` for 2 % of the steps, 10,000 at most, which is the paper's figure.
      precision: "float32" or "mixed_bfloat16".
      jit_compile: Compile the step with XLA on CPU and GPU (one device only); TPUs always do.
      steps_per_loop: Steps that a line of metrics.jsonl stands for; on a TPU, steps between two returns to Python.
      checkpoint_every_steps: Steps between two checkpoints; there is one at the end too.
      keep_checkpoints: How many of the newest stay.
    """

    model: Callable[..., vatt.VATT]
    steps: int = 500_000
    batch_size: int = 2048
    seed: int = 0
    datasets: Sequence[str] = ("synthetic",)
    dataset_weights: Sequence[float] | None = None
    clip_weights: ClipWeights | str | None = None
    clips: ClipSpec = ClipSpec()
    augmentation: Augmentation = Augmentation()
    augment_on: str | None = None
    tokenizer: str = "wordpiece"
    shuffle_window: int = 1024
    harmonizer: harmonization.Harmonizer | str = "sum"
    granularity: str = "batch"
    clip_gate: harmonization.GradientCurriculum | SimilarityGate | None = None
    clip_softness: float = 0.0
    all_reduce: str = "after"
    scope: str = "all"
    gram: str = "exact"
    measure_gradients_every: int | None = None
    clips_per_pass: int | None = None
    gradient_parts: int | None = None
    temperature: float = 0.07
    loss: str = "nce"
    learning_rate: float = 1e-4
    final_learning_rate: float = 5e-5
    warmup_steps: int | None = None
    precision: str = "float32"
    jit_compile: bool = False
    steps_per_loop: int = 50
    checkpoint_every_steps: int = 5_000
    keep_checkpoints: int = 3

    def __post_init__(self) -> None:
        if self.warmup_steps is None:
            object.__setattr__(self, "warmup_steps", min(10_000, self.steps // 50))
        if self.measure_gradients_every is None:
            object.__setattr__(self, "measure_gradients_every", max(1, min(20, self.steps // 1000)))
        problems = [
            *self._wrong_choices(), *self._wrong_sizes(), *self._wrong_rates(), *self._wrong_pairs(), *self._wrong_mixture(),
            *self._wrong_tables(),
        ]  # fmt: skip
        if problems:
            raise ValueError("\n".join(problems))
        if self.build_harmonizer().needs_parts and self.gradient_parts is None:  # an unknown name is found here
            raise ValueError(
                "`pretrain.gradient_parts` should say into how many parts the batch is split, 8 say, since "
                f"`pretrain.harmonizer` judges a conflict by their gradients. Found None, and {type(self.harmonizer).__name__}."
            )

    def _wrong_choices(self):
        return [
            f"`pretrain.{name}` should be one of {', '.join(map(str, allowed))}. Found {getattr(self, name)!r}."
            for name, allowed in _CHOICES.items()
            if getattr(self, name) not in allowed
        ]

    def _wrong_sizes(self):
        problems = [
            f"`pretrain.{name}` should be at least 1. Found {getattr(self, name)}."
            for name in _AT_LEAST_1
            if getattr(self, name) < 1
        ]
        if self.clips_per_pass is not None and (
            self.clips_per_pass < 1 or self.clips_per_pass % vatt.BatchPart.CLIPS_PER_WORD
        ):
            problems.append(
                f"`pretrain.clips_per_pass` should be a multiple of {vatt.BatchPart.CLIPS_PER_WORD}. Found {self.clips_per_pass}."
            )
        if self.gradient_parts is not None and (self.gradient_parts < 4 or self.gradient_parts % 2):
            problems.append(
                f"`pretrain.gradient_parts` should be an even number of at least 4. Found {self.gradient_parts}."
            )
        if self.batch_size > MOST_CLIPS:
            problems.append(f"`pretrain.batch_size` should be at most {MOST_CLIPS:,}. Found {self.batch_size}.")
        return problems

    def _wrong_rates(self):
        problems = []
        if not 0 <= self.warmup_steps < self.steps:
            problems.append(
                f"`pretrain.warmup_steps` should be at least 0 and less than `pretrain.steps` = {self.steps}. "
                f"Found {self.warmup_steps}."
            )
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            problems.append(
                f"`pretrain.final_learning_rate` should lie between 0 and `pretrain.learning_rate` = {self.learning_rate}. "
                f"Found {self.final_learning_rate}."
            )
        if not 0.0 < self.temperature < math.inf:
            problems.append(f"`pretrain.temperature` should be above 0. Found {self.temperature}.")
        if not 0.0 <= self.clip_softness < math.inf:
            problems.append(f"`pretrain.clip_softness` should be at least 0. Found {self.clip_softness}.")
        return problems

    def _wrong_pairs(self):
        problems = []
        if self.granularity == "batch" and (self.clip_gate or self.clip_softness):
            problems.append(
                "`pretrain.clip_gate` and `pretrain.clip_softness` should be used with `pretrain.granularity = 'sample'`."
            )
        if self.gram != "exact" and self.all_reduce == "before":
            problems.append(
                f"`pretrain.gram = {self.gram!r}` should be used with `pretrain.all_reduce = 'after'`, which then costs no "
                "more: only the gradients above the cut are summed twice. Found 'before'."
            )
        if self.gram == "top_block" and self.clips_per_pass is not None:
            problems.append(
                "`pretrain.clips_per_pass` should be used with `pretrain.gram = 'features'` or 'exact', since the last block's "
                "gradients are known only after the passes that they would decide about. Found 'top_block'."
            )
        if self.gradient_parts is not None and (self.gram != "exact" or self.all_reduce == "before"):
            problems.append(
                "`pretrain.gradient_parts` should be used with `pretrain.gram = 'exact'` and `pretrain.all_reduce = 'after'`. "
                f"Found {self.gram!r} and {self.all_reduce!r}."
            )
        return problems

    def _wrong_mixture(self):
        problems = []
        if not self.datasets:
            problems.append("`pretrain.datasets` should name at least one prepared data set. Found none.")
        if self.dataset_weights is not None and len(self.dataset_weights) != len(self.datasets):
            problems.append(
                f"`pretrain.dataset_weights` should have one number for each of `pretrain.datasets` = {tuple(self.datasets)}. "
                f"Found {tuple(self.dataset_weights)}."
            )
        elif self.dataset_weights is not None:
            data.mixed_clips(self.datasets, 0, self.dataset_weights)  # refuses weights that make no mixture
        return problems

    def _wrong_tables(self):
        try:
            weights = as_clip_weights(self.clip_weights)
            if weights is not None and self.datasets:
                weights.paths(self.datasets)
        except ValueError as error:
            return [str(error)]
        return []

    def build_harmonizer(self) -> harmonization.Harmonizer:
        """Returns what harmonizes the gradients, without its gate if that judges clips.

        One that was only named gets the default schedule over all steps, if it takes one.
        """
        harmonizer = self._chosen_harmonizer()
        return harmonizer.split_gate()[1] if self.granularity == "sample" else harmonizer

    @property
    def clip_slots(self) -> int:
        """Rows of the table in which the clips' ranks are averaged; 0 for none."""
        judged = self.granularity == "sample" and isinstance(self.clip_gate, SimilarityGate)
        return self.clip_gate.clip_slots if judged else 0

    def build_clip_curriculum(self) -> ClipCurriculum | SimilarityCurriculum | None:
        """Returns what judges the clips; `None` if nothing does. Call it under the strategy: it may have state."""
        if self.granularity == "batch":
            return None
        if isinstance(self.clip_gate, SimilarityGate):
            return SimilarityCurriculum(self.clip_gate, OBJECTIVES, self.clip_softness)
        gate = self.clip_gate or self._chosen_harmonizer().split_gate()[0]
        return ClipCurriculum(
            gate or harmonization.GradientCurriculum(harmonization.LinearSchedule(self.steps)), self.clip_softness
        )

    def _chosen_harmonizer(self):
        if not isinstance(self.harmonizer, str):
            return self.harmonizer
        method = harmonization.METHODS.get(self.harmonizer)
        scheduled = method is not None and "schedule" in inspect.signature(method).parameters
        options = {"schedule": harmonization.LinearSchedule(self.steps)} if scheduled else {}
        return harmonization.get(self.harmonizer, **options)


def parse(gin_files: Sequence[str], bindings: Sequence[str], earlier: Sequence[str] = ()) -> Pretrain:
    """Reads `earlier` bindings, then gin files, then bindings, and returns the run they describe.

    Raises:
      BadInput: A file is missing, a name is misspelt, a value has the wrong type or range.
    """
    return gin_config.parse("pretrain", _constructors(), gin_files, bindings, earlier)


def parse_run(config: str | os.PathLike) -> Pretrain:
    """Reads the configuration that a run directory holds.

    Raises:
      BadInput: The file is missing, or is not the configuration of a pre-training run.
    """
    return gin_config.parse_run("pretrain", _constructors(), config)


def _constructors():
    own = {
        "pretrain": Pretrain, "ClipSpec": ClipSpec, "ClipWeights": ClipWeights, "Augmentation": Augmentation,
        "SimilarityGate": SimilarityGate, "Significant": harmonization.Significant,
    }  # fmt: skip
    return own | gin_config.MODELS | gin_config.HARMONIZERS
