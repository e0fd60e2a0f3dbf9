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
ORACLE = "oracle"
"""The name of the first method where it is trained without the false narrations and sounds."""
SYNTHETIC, TUXPAINT = "synthetic", "tuxpaint"
DATASETS = (SYNTHETIC, TUXPAINT)
"""Data sets whose `text_noise` and `audio_noise` plant misaligned clips."""
_AT_LEAST_1 = ("train_clips", "validation_clips", "test_clips", "cost_repeats")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")  # names are directories


class Point(NamedTuple):
    """One training run of the study.

    Attributes:
      variant: The name of a method or of an ablation, or `ORACLE`.
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
      noise_seeds: Noise to how many of the first of `seeds` are used there; all where a noise is not named.
      dataset: One of `DATASETS`.
      dataset_options: More settings of the data set by name, such as `source_dir`; see its builder's configuration.
      two_pass: Methods that are trained twice: with all clips, then from the start without the texts and sounds that the
        first pass ranks lowest, as `pretrain.clip_weights` drops them.
      oracle: Whether the first method is also trained without the narrations and sounds that are of another scene, at
        every noise: what a method that finds them could gain.
      margin_points: Differences in R@10 smaller than this do not matter; see `evaluation.statistics.equivalence_p_value`.
      ablation_noise: The noise that the ablations are trained on, one of `noise`.
      ablation_seeds: The first of `seeds`, so many, that the ablations are trained with.
      train_clips, validation_clips, test_clips: Sizes of the splits of `synthetic`.
      watched: Methods in whose runs the indicators of misalignment are measured.
      watch_steps: The steps after which they are measured; the last one's values are kept per clip.
      watched_clips: On so many clips of the validation split.
      cost_repeats: Times each method's step is timed.
      notes: Sentences for the head of the page, such as what has been run.
    """

    methods: Mapping[str, str | Sequence[str]]
    ablations: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    gin_files: Sequence[str] = ()
    bindings: Sequence[str] = ()
    noise: Sequence[Sequence[float]] = (CLEAN, (0.3, 0.3), (0.6, 0.3))
    seeds: Sequence[int] = (1, 2, 3, 4, 5)
    noise_seeds: Mapping[tuple[float, float], int] = dataclasses.field(default_factory=dict)
    dataset: str = SYNTHETIC
    dataset_options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    two_pass: Sequence[str] = ()
    oracle: bool = False
    margin_points: float = 3.0
    ablation_noise: Sequence[float] = (0.6, 0.3)
    ablation_seeds: int = 5
    train_clips: int = 720
    validation_clips: int = 144
    test_clips: int = 240
    watched: Sequence[str] = ()
    watch_steps: Sequence[int] = ()
    watched_clips: int = 128
    cost_repeats: int = 20
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        wrong = [
            f"`study.{name}` should {expected}. Found {getattr(self, name)!r}."
            for name, (right, expected) in self._requirements().items()
            if not right
        ]
        if wrong:
            raise ValueError("\n".join(wrong))

    def _requirements(self):
        return {**self._of_variants(), **self._of_points(), **self._of_measurements()}

    def _of_variants(self):
        return {
            "methods": (
                len(self.methods) > 0 and all(_NAME.fullmatch(name) for name in self.named),
                "name at least one method; names, also of ablations, consist of letters, digits, `_`, `.`, `+` and `-`",
            ),
            "ablations": (
                all(len(found) > 1 and found[0] in self.methods for found in self.ablations.values())
                and not self.ablations.keys() & self.methods.keys(),
                "have unique names and begin with the name of a method, followed by what is changed",
            ),
            "dataset": (self.dataset in DATASETS, f"be one of {', '.join(DATASETS)}"),
            "two_pass": (set(self.two_pass) <= self.methods.keys(), "name some of the methods"),
            "oracle": (
                not self.oracle or ORACLE not in self.named,
                f"be False where a method or ablation is called {ORACLE}",
            ),
        }

    def _of_points(self):
        pairs = [*self.noise, self.ablation_noise]
        return {
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
            "noise_seeds": (
                self.noise_seeds.keys() <= set(map(tuple, self.noise))
                and all(n >= 1 for n in self.noise_seeds.values()),
                "give some of `study.noise` a number of seeds, at least 1",
            ),
            "ablation_noise": (tuple(self.ablation_noise) in map(tuple, self.noise), "be one of `study.noise`"),
            "ablation_seeds": (
                1 <= self.ablation_seeds <= len(self.seeds),
                "be at least 1, at most the number of seeds",
            ),
        }

    def _of_measurements(self):
        return {
            "margin_points": (self.margin_points > 0, "be above 0"),
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
    def named(self) -> tuple[str, ...]:
        """Names of all methods and ablations."""
        return *self.methods, *self.ablations

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the methods, and `ORACLE` if it is part of the study."""
        return (*self.methods, ORACLE) if self.oracle else tuple(self.methods)

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of all that have points: methods, `ORACLE` if it is part of the study, ablations."""
        return *self.trained, *self.ablations

    def is_oracle(self, variant: str) -> bool:
        """Whether a variant is trained without the false narrations and sounds."""
        return self.oracle and variant == ORACLE

    def has_two_passes(self, variant: str) -> bool:
        """Whether a variant is trained a second time without what it ranked lowest."""
        return (self.ablation(variant).method if variant in self.ablations else variant) in self.two_pass

    def ablation(self, name: str) -> Ablation:
        """Returns one of the ablations."""
        method, *settings = self.ablations[name]
        return Ablation(method, tuple(settings))

    def points(self, variant: str) -> list[Point]:
        """Returns a variant's points; those of a seed follow each other."""
        if variant in self.trained:
            pairs = [tuple(noise) for noise in self.noise if not self.is_oracle(variant) or tuple(noise) != CLEAN]
            return [Point(variant, *noise, seed) for seed in self.seeds for noise in pairs if self._uses(seed, noise)]
        return [Point(variant, *self.ablation_noise, seed) for seed in self.seeds[: self.ablation_seeds]]

    def _uses(self, seed, noise):
        return seed in self.seeds[: self.noise_seeds.get(noise, len(self.seeds))]

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
        if self.is_oracle(variant):
            return self._settings(self.baseline)
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
