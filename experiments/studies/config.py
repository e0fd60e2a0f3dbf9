"""The configuration of the study on planted noise, and its points. gin reaches `study`, nothing else."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from experiments.pretraining import config
from experiments.pretraining.config import Pretrain
from experiments.running import gin_config
from experiments.running.command_line import BadInput

CLEAN = (0.0, 0.0)
_AT_LEAST_1 = ("train_clips", "validation_clips", "test_clips", "cost_repeats")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")  # names are directories


class Point(NamedTuple):
    """One training run of the study.

    Attributes:
      variant: The name of a method or of an ablation.
      text_noise, audio_noise: Shares of the training clips whose narration or sound is of another scene.
      seed: Of the data, the weights, the order of the clips, their augmentation and DropToken.
    """

    variant: str
    text_noise: float
    audio_noise: float
    seed: int

    @property
    def noise(self) -> tuple[float, float]:
        """Both noises."""
        return self.text_noise, self.audio_noise

    @property
    def name(self) -> str:
        """What is particular to the point within its variant."""
        return f"text={self.text_noise:g},audio={self.audio_noise:g},seed={self.seed}"


class Ablation(NamedTuple):
    """A method with something changed.

    Attributes:
      method: The method's name.
      settings: More gin files and bindings.
    """

    method: str
    settings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Study:
    """What is trained, on what, and what is looked at.

    Attributes:
      methods: Name to one or several gin files or bindings. The first one is what the others are compared with.
      ablations: Name to the method that something is changed of, and the gin files and bindings that change it.
      gin_files: What all runs read before those of their method.
      bindings: Of all runs; they win over the files, and those of the methods and ablations win over them.
      noise: Pairs of `text_noise` and `audio_noise`; every method is trained on each.
      seeds: Every method is trained with each.
      ablation_noise: The noise that the ablations are trained on, one of `noise`.
      ablation_seeds: The first of `seeds`, so many, that the ablations are trained with.
      train_clips, validation_clips, test_clips: Sizes of the data sets' splits.
      watched: Methods in whose runs the indicators of misalignment are measured.
      watch_steps: The steps after which they are measured; the last one's values are kept per clip.
      watched_clips: On so many clips of the validation split.
      cost_repeats: Times each method's step is timed.
    """

    methods: Mapping[str, str | Sequence[str]]
    ablations: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    gin_files: Sequence[str] = ()
    bindings: Sequence[str] = ()
    noise: Sequence[Sequence[float]] = (CLEAN, (0.3, 0.3), (0.6, 0.3))
    seeds: Sequence[int] = (1, 2, 3, 4, 5)
    ablation_noise: Sequence[float] = (0.6, 0.3)
    ablation_seeds: int = 5
    train_clips: int = 720
    validation_clips: int = 144
    test_clips: int = 240
    watched: Sequence[str] = ()
    watch_steps: Sequence[int] = ()
    watched_clips: int = 128
    cost_repeats: int = 20

    def __post_init__(self) -> None:
        wrong = [
            f"`study.{name}` should {expected}. Found {getattr(self, name)!r}."
            for name, (right, expected) in self._requirements().items()
            if not right
        ]
        if wrong:
            raise ValueError("\n".join(wrong))

    def _requirements(self):
        pairs = [*self.noise, self.ablation_noise]
        return {
            "methods": (
                len(self.methods) > 0 and all(_NAME.fullmatch(name) for name in self.variants),
                "name at least one method; names, also of ablations, consist of letters, digits, `_`, `.`, `+` and `-`",
            ),
            "ablations": (
                all(len(found) > 1 and found[0] in self.methods for found in self.ablations.values())
                and not self.ablations.keys() & self.methods.keys(),
                "have unique names and begin with the name of a method, followed by what is changed",
            ),
            "noise": (
                all(len(pair) == 2 and all(0 <= share <= 1 for share in pair) for pair in pairs)
                and len(self.noise) > 0,
                "hold pairs of shares in [0, 1]",
            ),
            "seeds": (
                len(self.seeds) > 0
                and len(set(self.seeds)) == len(self.seeds)
                and 0 <= min(self.seeds) <= max(self.seeds) < 2**31,
                "hold different whole numbers from 0 to 2^31 - 1",
            ),
            "ablation_noise": (tuple(self.ablation_noise) in map(tuple, self.noise), "be one of `study.noise`"),
            "ablation_seeds": (
                1 <= self.ablation_seeds <= len(self.seeds),
                "be at least 1, at most the number of seeds",
            ),
            "watched": (set(self.watched) <= self.methods.keys(), "name some of the methods"),
            "watch_steps": (
                list(self.watch_steps) == sorted({step for step in self.watch_steps if step > 0}),
                "be increasing steps of at least 1",
            ),
            **{name: (getattr(self, name) >= 1, "be at least 1") for name in _AT_LEAST_1},
            "watched_clips": (1 <= self.watched_clips <= self.validation_clips, "be at most `study.validation_clips`"),
        }

    @property
    def baseline(self) -> str:
        """The method that the others are compared with."""
        return next(iter(self.methods))

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of all methods and ablations."""
        return *self.methods, *self.ablations

    def ablation(self, name: str) -> Ablation:
        """Returns one of the ablations."""
        method, *settings = self.ablations[name]
        return Ablation(method, tuple(settings))

    def points(self, variant: str) -> list[Point]:
        """Returns a variant's points; those of a seed follow each other."""
        if variant in self.methods:
            return [Point(variant, *noise, seed) for seed in self.seeds for noise in self.noise]
        return [Point(variant, *self.ablation_noise, seed) for seed in self.seeds[: self.ablation_seeds]]

    def pretraining(self, variant: str) -> Pretrain:
        """Returns the configuration of a variant's runs, without their seed and data.

        Raises:
          BadInput: It cannot be used.
        """
        settings = self._settings(variant)
        files = [setting for setting in settings if setting.endswith(".gin")]
        bindings = [setting for setting in settings if not setting.endswith(".gin")]
        try:
            parsed = config.parse([*self.gin_files, *files], [*self.bindings, *bindings])
        except BadInput as error:
            raise BadInput(f"the variant {variant}: {error}") from error
        if self.watch_steps and self.watch_steps[-1] > parsed.steps:
            raise BadInput(
                f"`study.watch_steps` should be at most {parsed.steps}, the last step. Found {self.watch_steps[-1]}."
            )
        return parsed

    def _settings(self, variant):
        if variant in self.methods:
            found = self.methods[variant]
            return (found,) if isinstance(found, str) else tuple(found)
        ablation = self.ablation(variant)
        return (*self._settings(ablation.method), *ablation.settings)


def parse(gin_files: Sequence[str], bindings: Sequence[str]) -> Study:
    """Reads gin files, then bindings, and returns the study they describe.

    Raises:
      BadInput: A file is missing, a name is misspelt, a value has the wrong type or range.
    """
    if not gin_files:
        raise BadInput("--gin_file is needed; see --help for an example.")
    return gin_config.parse("study", {"study": Study}, gin_files, bindings)
