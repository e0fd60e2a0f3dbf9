"""The study's plots, as PNG."""

import io
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from experiments.evaluation.alignment import INDICATORS
from experiments.reports.plots import ALIGNED, MISALIGNED, NEUTRAL, PALETTE, styled
from experiments.studies.config import CLEAN
from experiments.studies.results import PRIMARY, Results
from experiments.studies.statistics import Interval, interval
from experiments.studies.tables import areas, noise_title

_DPI = 110
_MARKERS = "osD^vP*X"
_SPREAD = 0.3  # of the methods around their noise's place


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


@styled
def recall(results: Results) -> bytes:
    """Draws R@10 by noise and method, and the paired differences to the baseline, both with their intervals."""
    study, title = results.study, PRIMARY.title
    figure = Figure((10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    compared = results.methods_compared(PRIMARY)

    def difference(method: str, noise: tuple[float, float]) -> Interval | None:
        found = compared.get((method, noise))
        return found.difference.interval if found else None

    _by_noise(left, results, list(study.methods), lambda method, noise: results.interval(method, noise, PRIMARY))
    _by_noise(right, results, list(study.methods)[1:], difference)
    left.set(title=f"{title}: mean and 95 % interval", ylabel=title, ylim=(0, None))
    right.axhline(0, color=NEUTRAL, linewidth=1)
    right.set(title=f"Paired difference to {study.baseline}", ylabel="points")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=8)
    return _png(figure)


def _by_noise(axes, results: Results, methods: list[str], value: Callable) -> None:
    pairs = [tuple(noise) for noise in results.study.noise]
    for method in methods:
        number = list(results.study.methods).index(method)
        shift = _SPREAD * (2 * number / max(1, len(results.study.methods) - 1) - 1)
        found = [(place + shift, value(method, noise)) for place, noise in enumerate(pairs)]
        found = [(place, each) for place, each in found if each is not None]
        axes.errorbar(
            [place for place, _ in found], [each.mean for _, each in found], [np.nan_to_num(each.half_width) for _, each in found],
            color=PALETTE[number % len(PALETTE)], marker=_MARKERS[number % len(_MARKERS)], markersize=5, linestyle="none",
            capsize=2, label=method,
        )  # fmt: skip
    axes.set_xticks(range(len(pairs)), [noise_title(noise).replace(", ", "\n") for noise in pairs])
    axes.set_xlim(-0.5, len(pairs) - 0.5)
    axes.grid(visible=False, axis="x")


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
    return [
        (method, noise)
        for method in results.study.watched
        for noise in map(tuple, results.study.noise)
        if noise != CLEAN and results.by_seed(method, noise)
    ]
