"""What the finished points of a study say: figures by method, noise and seed, and their comparisons."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from experiments.evaluation.all_tasks import TASKS
from experiments.evaluation.statistics import Difference, Interval, Share, interval, paired_difference, share, verdicts
from experiments.evaluation.task import Metric
from experiments.evaluation.tasks.retrieval import RETRIEVAL
from experiments.studies.config import CLEAN, ORACLE, Point, Study

Noise = tuple[float, float]
FIGURES = (*RETRIEVAL.main_metrics, *TASKS["linear_probe"].metrics)
"""What is compared; higher is better, but of the median rank lower."""
(PRIMARY,) = (metric for metric in FIGURES if metric.name == "R@10")
"""The study's conclusions are about it; all other figures are secondary."""
INTERIM = "interim"
"""The verdict while seeds are missing. Looking early and stopping when the result looks good produces false findings."""


class Comparison(NamedTuple):
    """A variant compared with another one, at one noise and in one figure.

    Attributes:
      difference: Over the seeds that both have.
      verdict: See `statistics.verdicts`; `INTERIM` if these are not all that the study plans.
    """

    difference: Difference
    verdict: str


class Reached(NamedTuple):
    """Which share of the oracle's gain a method reaches.

    Attributes:
      share: Over the seeds that the method, the oracle and the baseline have.
      interim: Whether these are not all that the study plans.
    """

    share: Share
    interim: bool


class Results:
    """The results of a study's finished points.

    Args:
      study: The study.
      points: What `StudyDirectory.read_points` or `Record.read` returned; those that are not the study's are skipped.
    """

    def __init__(self, study: Study, points: Sequence[dict]):
        found = {Point(**result["point"]): result for result in points}
        wanted = [point for variant in study.variants for point in study.points(variant)]
        self.study, self.points = study, [found[point] for point in wanted if point in found]
        self._by_place: dict[tuple[str, Noise], dict[int, dict]] = {}
        for result in self.points:
            point = result["point"]
            place = point["variant"], (point["text_noise"], point["audio_noise"])
            self._by_place.setdefault(place, {})[point["seed"]] = result

    @property
    def missing(self) -> int:
        """How many points are not finished."""
        return sum(len(self.study.points(variant)) for variant in self.study.variants) - len(self.points)

    @property
    def places(self) -> list[tuple[str, Noise]]:
        """Variants and noises that have finished points."""
        return list(self._by_place)

    def by_seed(self, variant: str, noise: Noise) -> dict[int, dict]:
        """Returns the results of a variant at a noise."""
        return self._by_place.get((variant, tuple(noise)), {})

    def values(self, variant: str, noise: Noise, metric: Metric) -> dict[int, float]:
        """Returns a figure by seed, as it is shown."""
        found = {seed: metric.value(result) for seed, result in self.by_seed(variant, noise).items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def interval(self, variant: str, noise: Noise, metric: Metric) -> Interval | None:
        """Returns a figure's mean over the seeds; `None` if no seed has it."""
        values = self.values(variant, noise, metric)
        return interval(list(values.values())) if values else None

    @property
    def planned_comparisons(self) -> int:
        """How many comparisons of methods with the baseline the study plans for each figure."""
        return (len(self.study.methods) - 1) * len(self.study.noise)

    def methods_compared(self, metric: Metric) -> dict[tuple[str, Noise], Comparison]:
        """Compares every method at every noise with the baseline; one family for the correction."""
        pairs = [
            (method, tuple(noise), self.study.baseline)
            for method in list(self.study.methods)[1:]
            for noise in self.study.noise
        ]
        return {(method, noise): found for (method, noise, _), found in self._compared(pairs, metric).items()}

    def oracle_compared(self, metric: Metric) -> dict[Noise, Comparison]:
        """Compares the oracle with the baseline at every noise; another family."""
        pairs = [(ORACLE, noise, self.study.baseline) for noise in self.noisy if self.study.oracle]
        return {noise: found for (_, noise, _), found in self._compared(pairs, metric).items()}

    def oracle_shares(self, method: str) -> dict[Noise, Reached]:
        """Returns which share of the oracle's gain in `PRIMARY` a method reaches, by noise.

        Only of noises where the oracle gains on average.
        """
        found = {}
        for noise in self.noisy if self.study.oracle else ():
            names = (method, ORACLE, self.study.baseline)
            reached, most, least = (self.values(name, noise, PRIMARY) for name in names)
            seeds = [seed for seed in reached if seed in most and seed in least]
            gains = [[values[seed] - least[seed] for seed in seeds] for values in (reached, most)]
            if sum(gains[1]) > 0:
                found[noise] = Reached(share(*gains), len(seeds) < self._planned_seeds(noise, *names))
        return found

    @property
    def noisy(self) -> list[Noise]:
        """The study's noises, without `CLEAN`."""
        return [noise for noise in map(tuple, self.study.noise) if noise != CLEAN]

    def ablations_compared(self, metric: Metric) -> dict[str, Comparison]:
        """Compares every ablation with the method that it changes; another family."""
        noise = tuple(self.study.ablation_noise)
        pairs = [(name, noise, self.study.ablation(name).method) for name in self.study.ablations]
        return {name: found for (name, _, _), found in self._compared(pairs, metric).items()}

    def _compared(self, pairs, metric) -> Mapping[tuple[str, Noise, str], Comparison]:
        margin = self.study.margin_points if metric == PRIMARY else None
        found = {
            (variant, noise, other): paired_difference(
                self.values(variant, noise, metric), self.values(other, noise, metric), margin
            )
            for variant, noise, other in pairs
        }
        present = {pair: difference for pair, difference in found.items() if difference is not None}
        whole = [
            (variant, noise, other)
            for (variant, noise, other), each in present.items()
            if each.interval.seeds == self._planned_seeds(noise, variant, other)
        ]
        said = verdicts([present[pair] for pair in whole], metric.name != "median rank", family=len(pairs))
        final = dict(zip(whole, said, strict=True))
        return {pair: Comparison(difference, final.get(pair, INTERIM)) for pair, difference in present.items()}

    def _planned_seeds(self, noise, *variants) -> int:
        planned = [{point.seed for point in self.study.points(name) if point.noise == noise} for name in variants]
        return len(set.intersection(*planned))
