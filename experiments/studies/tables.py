"""The study's tables, each a head and lines of text."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.evaluation.alignment import INDICATORS
from experiments.evaluation.statistics import BETTER, EQUAL, SAME, UNDECIDED, WORSE, Interval, interval
from experiments.evaluation.task import Metric
from experiments.pretraining.step import OBJECTIVES
from experiments.studies.config import ORACLE
from experiments.studies.results import FIGURES, INTERIM, PRIMARY, Comparison, Noise, Reached, Results
from experiments.training.quantities import BY_NAME, objective_title

Lines = list[list[str]]
KINDS = {"misaligned": "either", "text_only": "text only", "audio_only": "sound only"}
"""The kinds of misaligned clips, as `alignment.separation` names them, with their titles."""
_SIGNS = {BETTER: " **better**", WORSE: " **worse**", EQUAL: " equal", UNDECIDED: "", SAME: "", INTERIM: " interim"}
_GRADIENTS = {
    **{
        each.figure_title: (each.name, each.factor, min(each.figure.digits, 3))
        for each in (BY_NAME[name] for name in ("cosine", "conflict_rate", "keep", "clip_weight"))
    },
    **{f"loss {objective_title(name)}": (f"loss_{name}", 1, 2) for name in OBJECTIVES},
}
"""Heads of columns: name in a point's `training`, factor, digits after the point."""


def noise_title(noise: Noise) -> str:
    """Returns how a noise is called: shares of text and sound in percent."""
    return f"text {noise[0]:.0%}, sound {noise[1]:.0%}".replace("%", " %")


def short_title(noise: Noise) -> str:
    """Returns how a noise is called where there is little room: without what is not noisy."""
    parts = [f"{name} {share:.0%}" for name, share in zip(("text", "sound"), noise, strict=True) if share]
    return ", ".join(parts).replace("%", " %") or "clean"


def with_interval(found: Interval | None, digits: int, sign: bool = False) -> str:
    """Returns `mean ± half width`, the mean alone where there is no interval, a dash for nothing."""
    if found is None:
        return "-"
    mean = f"{found.mean:{'+' if sign else ''}.{digits}f}"
    return mean if math.isnan(found.half_width) else f"{mean} ± {found.half_width:.{digits}f}"


def verdicts(results: Results) -> Lines:
    """Returns a line per method but the baseline: R@10 minus the baseline's at every noise, and what is shown by it."""
    compared, noises = results.methods_compared(PRIMARY), [tuple(noise) for noise in results.study.noise]
    lines = [[f"R@10 minus {results.study.baseline}, points", *map(short_title, noises)]]
    for method in list(results.study.methods)[1:]:
        cells = [_verdict_cell(results, compared.get((method, noise))) for noise in noises]
        lines.append([method, *cells])
    return lines


def _verdict_cell(results, comparison):
    if comparison is None:
        return "-"
    found = with_interval(comparison.difference.interval, PRIMARY.digits, sign=True)
    return f"{found} {verdict_words(results)[comparison.verdict]}"


def verdict_words(results: Results) -> dict[str, str]:
    """Returns how each verdict is called, with the study's margin."""
    equal = f"equal within {results.study.margin_points:g}"
    return {
        BETTER: "**better**",
        WORSE: "**worse**",
        EQUAL: equal,
        SAME: f"{equal}: the same in all seeds",
        UNDECIDED: UNDECIDED,
        INTERIM: INTERIM,
    }


def ceiling(results: Results) -> Lines:
    """Returns a line per noise: R@10 of the baseline and of the oracle, and the oracle's gain."""
    lines = [["noise", results.study.baseline, ORACLE, "gain, points", "seeds"]]
    for noise, found in results.oracle_compared(PRIMARY).items():
        ends = [with_interval(results.interval(name, noise, PRIMARY), 1) for name in (results.study.baseline, ORACLE)]
        gain = difference(found, PRIMARY)
        lines.append([noise_title(noise), *ends, gain, str(found.difference.interval.seeds)])
    return lines


def shares(results: Results) -> Lines:
    """Returns a line per method but the baseline: the share of the oracle's gain that it reaches, in percent, by noise."""
    if not results.oracle_compared(PRIMARY):
        return []
    lines = [["share of the oracle's gain, %", *map(short_title, results.noisy)]]
    for method in list(results.study.methods)[1:]:
        found = results.oracle_shares(method)
        lines.append([method, *(_share(found.get(noise)) for noise in results.noisy)])
    return lines


def _share(found: Reached | None) -> str:
    if found is None:
        return "-"
    ratio, low, high = (100 * found.share.ratio, 100 * found.share.low, 100 * found.share.high)
    bounds = "no bounds" if math.isnan(low) else f"{low:.0f} to {high:.0f}"
    return f"{ratio:.0f} ({bounds}){_SIGNS[INTERIM] if found.interim else ''}"


def figures(results: Results, noise: Noise) -> Lines:
    """Returns a line per method: the figures at one noise; the oracle is the last one."""
    lines = [["method", *(metric.title for metric in FIGURES), "seeds"]]
    for method in results.study.trained:
        if not results.by_seed(method, noise):
            continue
        cells = [with_interval(results.interval(method, noise, metric), metric.digits) for metric in FIGURES]
        lines.append([method, *cells, str(len(results.by_seed(method, noise)))])
    return lines


def differences(results: Results, noise: Noise) -> Lines:
    """Returns a line per method but the baseline: the paired differences to it at one noise, and what is shown by them."""
    compared = {metric: results.methods_compared(metric) for metric in FIGURES}
    lines = [[f"minus {results.study.baseline}", *(metric.title for metric in FIGURES)]]
    for method in list(results.study.methods)[1:]:
        lines.append(
            [method, *(difference(compared[metric].get((method, tuple(noise))), metric) for metric in FIGURES)]
        )
    return lines


def difference(comparison: Comparison | None, metric: Metric) -> str:
    """Returns a difference with its interval and, where one is shown, the verdict."""
    if comparison is None:
        return "-"
    if comparison.verdict == SAME:
        return "0, same in all seeds"
    return with_interval(comparison.difference.interval, metric.digits, sign=True) + _SIGNS[comparison.verdict]


def ablations(results: Results) -> Lines:
    """Returns a line per ablation: its R@10; R@10, median rank and both probes, each minus the method that it changes."""
    metrics = FIGURES[2:]
    compared = {metric: results.ablations_compared(metric) for metric in metrics}
    noise = tuple(results.study.ablation_noise)
    lines = [["ablation", f"its {PRIMARY.title}", "minus", *(metric.title for metric in metrics), "seeds"]]
    for name in results.study.ablations:
        own = with_interval(results.interval(name, noise, PRIMARY), PRIMARY.digits)
        cells = [difference(compared[metric].get(name), metric) for metric in metrics]
        lines.append([name, own, results.study.ablation(name).method, *cells, str(len(results.by_seed(name, noise)))])
    return lines


def gradients(results: Results) -> Lines:
    """Returns a line per variant and noise: what its gradients did, means over steps and seeds."""
    lines = [["variant", "noise", *_GRADIENTS]]
    for variant in results.study.variants:
        for noise in map(tuple, results.study.noise):
            found = [result["training"] for result in results.by_seed(variant, noise).values()]
            if found:
                cells = [_mean(found, *field) for field in _GRADIENTS.values()]
                lines.append([variant, noise_title(noise), *cells])
    return lines


def _mean(found: Sequence[Mapping[str, float]], key: str, factor: float, digits: int) -> str:
    values = [each[key] for each in found if key in each]
    return f"{factor * np.mean(values):.{digits}f}" if values else "-"


def areas(results: Results, method: str, noise: Noise, indicator: str, kind: str) -> dict[int, list[float]]:
    """Returns the areas under the ROC curve of an indicator, over the seeds, by the step that they were measured at."""
    found: dict[int, list[float]] = {}
    for result in results.by_seed(method, noise).values():
        for watched in result["watched"]:
            if (area := watched["auc"][indicator][kind]) is not None:
                found.setdefault(watched["step"], []).append(area)
    return found


def last_areas(by_step: Mapping[int, list[float]]) -> list[float]:
    """Returns those of `areas` that were measured last; empty if nothing was."""
    return by_step[max(by_step)] if by_step else []


def indicators(results: Results) -> Lines:
    """Returns a line per watched method, noise and indicator: the areas under the ROC curve at the last step measured."""
    lines = [["method", "noise", "indicator", *KINDS.values(), "seeds"]]
    for method in results.study.watched:
        for noise in results.noisy:
            for indicator, title in INDICATORS.items():
                last = [last_areas(areas(results, method, noise, indicator, kind)) for kind in KINDS]
                if last[0]:
                    cells = [with_interval(interval(values) if values else None, 3) for values in last]
                    lines.append([method, noise_title(noise), title, *cells, str(len(last[0]))])
    return lines


def indicators_over_training(results: Results) -> Lines:
    """Returns a line per watched method, noise and indicator: the areas for any misalignment, by the step measured."""
    lines = [["method", "noise", "indicator", *(f"step {step}" for step in results.study.watch_steps)]]
    for method in results.study.watched:
        for noise in results.noisy:
            for indicator, title in INDICATORS.items():
                found = areas(results, method, noise, indicator, "misaligned")
                if found:
                    values = [found.get(step) for step in results.study.watch_steps]
                    cells = [with_interval(interval(each) if each else None, 2) for each in values]
                    lines.append([method, noise_title(noise), title, *cells])
    return lines


def cost(seconds: Mapping[str, float], plain: str) -> Lines:
    """Returns a line per step that was timed: milliseconds, and how many times the plain step's.

    Args:
      seconds: What was timed, by name.
      plain: The name of the plain step.
    """
    lines = [["step", "ms", f"x {plain}"]]
    return lines + [[name, f"{1000 * value:.1f}", f"{value / seconds[plain]:.2f}"] for name, value in seconds.items()]
