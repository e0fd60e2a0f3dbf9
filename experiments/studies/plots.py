"""The study's plots, as PNG."""

import io
import itertools
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.evaluation.alignment import INDICATORS
from experiments.evaluation.statistics import BETTER, EQUAL, SAME, UNDECIDED, WORSE, Interval, interval
from experiments.reports.plots import ALIGNED, MISALIGNED, NEUTRAL, PALETTE, styled
from experiments.studies.config import ORACLE
from experiments.studies.results import INTERIM, PRIMARY, Noise, Results
from experiments.studies.tables import areas, noise_title, short_title

_DPI = 110
_MARKERS = "osD^vP*X"
_VERDICT_COLORS = {BETTER: ALIGNED, WORSE: MISALIGNED, EQUAL: PALETTE[0], UNDECIDED: NEUTRAL, INTERIM: NEUTRAL}
_SPREAD = 0.3  # of the methods around their noise's place


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


@styled
def recall(results: Results) -> bytes | None:
    """Draws R@10 by noise and variant with its intervals; `None` if there is none."""
    if not results.points:
        return None
    figure = Figure((7, 4.0), layout="constrained")
    axes = figure.subplots()
    _by_noise(axes, results, lambda variant, noise: results.interval(variant, noise, PRIMARY))
    axes.set(title=f"{PRIMARY.title}: mean and 95 % interval", ylabel=PRIMARY.title, ylim=(0, None))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return _png(figure)


@styled
def differences(results: Results) -> bytes | None:
    """Draws R@10 minus the baseline's, a panel per noise, colored by verdict; `None` if there is nothing to compare."""
    compared, oracle = results.methods_compared(PRIMARY), results.oracle_compared(PRIMARY)
    if not compared and not oracle:
        return None
    compared = compared | {(ORACLE, noise): found for noise, found in oracle.items()}
    noises = [noise for noise in map(tuple, results.study.noise) if any(place[1] == noise for place in compared)]
    names = [name for name in results.study.trained[1:] if any(place[0] == name for place in compared)]
    figure = Figure((max(5.0, 1.2 + 2.8 * len(noises)), 1.3 + 0.3 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(noises), sharey=True, squeeze=False)[0]
    for axes, noise in zip(panels, noises, strict=True):
        _forest(axes, [compared.get((name, noise)) for name in names], results.study.margin_points)
        axes.set(title=short_title(noise), xlabel="points")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    figure.suptitle(f"R@10 minus that of {results.study.baseline}", fontsize="medium")
    handles = [Line2D([], [], color=color, label=word, **_marker(word)) for word, color in _VERDICT_COLORS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return _png(figure)


def _forest(axes, comparisons, margin):
    axes.axvspan(-margin, margin, color=NEUTRAL, alpha=0.15, linewidth=0)
    axes.axvline(0, color=NEUTRAL, linewidth=1)
    for place, found in enumerate(comparisons):
        if found is not None:
            color = _VERDICT_COLORS[EQUAL if found.verdict == SAME else found.verdict]
            mean, half_width = found.difference.interval[:2]
            axes.errorbar(mean, place, xerr=np.nan_to_num(half_width), color=color, capsize=2, **_marker(found.verdict))
    axes.grid(visible=False, axis="y")


def _marker(verdict):
    return {"marker": "o", "markersize": 5, "fillstyle": "none" if verdict == INTERIM else "full"}


def _by_noise(axes, results: Results, value: Callable[[str, Noise], Interval | None]) -> None:
    pairs = [tuple(noise) for noise in results.study.noise]
    for number, variant in enumerate(results.study.variants):
        shift = _SPREAD * (2 * number / max(1, len(results.study.variants) - 1) - 1)
        found = [(place + shift, value(variant, noise)) for place, noise in enumerate(pairs)]
        found = [(place, each) for place, each in found if each is not None]
        axes.errorbar(
            [place for place, _ in found], [each.mean for _, each in found], [np.nan_to_num(each.half_width) for _, each in found],
            **look(number), markersize=5, linestyle="none", capsize=2, label=variant,
        )  # fmt: skip
    axes.set_xticks(range(len(pairs)), [short_title(noise).replace(", ", "\n") for noise in pairs])
    axes.set_xlim(-0.5, len(pairs) - 0.5)
    axes.grid(visible=False, axis="x")


def look(number: int) -> dict[str, str]:
    """Returns color and marker of a variant by its number; no two of 64 are alike."""
    again = number // len(PALETTE)  # how often the colors have begun again
    return {"color": PALETTE[number % len(PALETTE)], "marker": _MARKERS[(number + again) % len(_MARKERS)]}


@styled
def areas_over_training(results: Results) -> bytes | None:
    """Draws how well each indicator finds misaligned clips over the training; `None` if nothing was watched."""
    panels = _watched(results)
    if not panels:
        return None
    methods, noises = (list(dict.fromkeys(names)) for names in zip(*panels, strict=True))
    figure = Figure((4.6 * len(noises), 3.0 * len(methods) + 0.6), layout="constrained")
    grid = figure.subplots(len(methods), len(noises), sharex=True, sharey=True, squeeze=False)
    for method, noise in panels:
        axes = grid[methods.index(method), noises.index(noise)]
        for number, (indicator, title) in enumerate(INDICATORS.items()):
            by_step = areas(results, method, noise, indicator, "misaligned")
            found = [interval(by_step[step]) for step in sorted(by_step)]
            means, widths = np.array([each.mean for each in found]), np.nan_to_num([each.half_width for each in found])
            color = PALETTE[number]
            axes.plot(sorted(by_step), means, color=color, marker=_MARKERS[number], markersize=4, label=title)
            axes.fill_between(sorted(by_step), means - widths, means + widths, color=color, alpha=0.15, linewidth=0)
        axes.axhline(0.5, color=NEUTRAL, linewidth=1)
        axes.set(title=f"{method}; {noise_title(noise)}")
    for lowest in grid[-1]:
        lowest.set_xlabel("step")
    figure.supylabel("AUC of misaligned clips", fontsize="medium")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return _png(figure)


@styled
def cosines(results: Results) -> bytes | None:
    """Draws the distribution of both gradient cosines over clips, aligned and misaligned, all seeds, at the last step."""
    panels = [panel for panel in _watched(results) if panel[0] == results.study.watched[0]]
    if not panels:
        return None
    names = [name for name in INDICATORS if "gradient" in name]
    figure = Figure((4.6 * len(panels), 2.8 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), len(panels), squeeze=False)
    for row, name in zip(grid, names, strict=True):
        for axes, (method, noise) in zip(row, panels, strict=True):
            _histogram(axes, *_clips(results, method, noise, name))
            axes.set(title=f"{method}; {noise_title(noise)}", xlabel=INDICATORS[name])
        row[0].set_ylabel("density")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return _png(figure)


def _histogram(axes, values, misaligned):
    edges = np.linspace(-1, 1, 41)
    for members, color, label in ((~misaligned, ALIGNED, "aligned"), (misaligned, MISALIGNED, "misaligned")):
        if members.any():
            axes.hist(values[members], edges, density=True, color=color, alpha=0.55, label=label)
    axes.axvline(0, color=NEUTRAL, linewidth=1)


def _clips(results, method, noise, indicator):
    """Values of all clips of all seeds, and whether they are misaligned."""
    kept = [result["watched"][-1]["values"] for result in results.by_seed(method, noise).values()]
    joined = {
        name: np.concatenate([each[name] for each in kept]) for name in (indicator, "text_aligned", "audio_aligned")
    }
    return joined[indicator], (joined["text_aligned"] < 1) | (joined["audio_aligned"] < 1)


def _watched(results):
    """The watched methods and the noises at which they have finished points."""
    pairs = itertools.product(results.study.watched, results.noisy)
    return [(method, noise) for method, noise in pairs if results.by_seed(method, noise)]
