"""The page about a study and the files next to it, generated from its results."""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from experiments.running.plain_text import markdown_table
from experiments.running.run_directory import RunDirectory
from experiments.studies import plots as study_plots
from experiments.studies import tables as study_tables
from experiments.studies.config import CLEAN, SYNTHETIC, TUXPAINT, Study
from experiments.studies.findings import findings
from experiments.studies.record import Record
from experiments.studies.results import FIGURES, Results
from experiments.studies.tables import Lines, noise_title, short_title
from experiments.sweeps.table import csv_text

PLAIN_STEP = "one gradient"
"""Name of plain VATT's step in the table of step costs."""
_INTRODUCTION = """\
# Planted noise: what harmonized gradients do when it is known which clips are misaligned

Written by `experiments.study`{source}; do not edit.

{dataset}

The model is far smaller than any in the paper, and so are data and training: the findings are about the methods'
mechanism, not about the paper's table.
"""
_DATASETS = {
    SYNTHETIC: """\
The data set `synthetic` shows a moving shape with matching audio and a narration. With given probabilities the
narration or the audio of a training clip comes from a scene of another class, and its record says so. The test split is
clean.""",
    TUXPAINT: """\
The data set `tuxpaint` shows pictures under a slow pan and zoom, with their names as people speak and write them. With given
probabilities the written or the spoken name of a training clip is another picture's, and its record says so. The test split is
clean, and none of its names and pictures is in another split. The splits are the same for all seeds, so that the intervals
are about training again, not about other test clips.""",
}
_SOURCE = " from [results.csv](results.csv) and [results.jsonl](results.jsonl)"
_READING = """\
`±` is half the width of the 95 % confidence interval over seeds, by Student's t; it is not corrected for the number of
comparisons. A seed determines data, weights, order and augmentation, the same for all methods and noises; so differences are
paired, seed by seed. **better** and **worse** mean that the paired t test's p value, corrected by Holm's method for all planned
comparisons of that figure (of all methods and noises; of all ablations), is below 0.05. *Equal within {margin:g}* means that
no difference is shown and two one-sided t tests, whose p values are corrected by Holm's method in the same way, show that R@10
differs by less than {margin:g} points. All else is undecided, or *interim* while planned seeds are missing: looking early
and stopping when the result looks good produces false findings. R@10 was chosen beforehand as the primary figure; steps, rate,
sizes, DropToken (none) and the noises were chosen without comparing methods, by short runs of plain VATT alone.
With few seeds ({seeds} here) only large differences can be shown.
"""
_CEILING = """\
`oracle` is {baseline}, with the same weights, clips and order, trained without the narrations and sounds that are of another
scene: what a method could gain that finds them all. A method's share is its own gain over {baseline} divided by that of the
oracle, over the same seeds, in brackets Fieller's 95 % interval; "no bounds" where the oracle's gain may be nothing, *interim*
while planned seeds are missing.
"""
_INDICATORS = """\
How well an indicator tells misaligned clips from those aligned in audio and in text, among {clips} clips of the
validation split: the area under the ROC curve of "a low value means misaligned"; 0.5 is chance. Text only, sound only: only
the text, or only the audio, comes from another scene.
"""
_ABLATIONS = """\
At {noise}: its R@10, and each figure minus that of the method that it changes, with the same seeds. The cosine's
thresholds mean little for a dot product, which depends on the scale of the gradients; "before the all-reduce" harmonizes
on each of two replicas.
"""
_COST = (
    "Median of {repeats} steps that took turns in one process when nothing else of the study ran; batch of {batch}.\n"
)


class Provenance(NamedTuple):
    """Where a study's results come from.

    Attributes:
      command: The command line that made them.
      date: When the page was written.
      environment: What `run_directory.environment` returned for the runs.
      processor: Name and number of the processors.
    """

    command: str
    date: str
    environment: Mapping[str, object]
    processor: str


def write_page(
    directory: pathlib.Path,
    results: Results,
    cost: Mapping[str, float] | None,
    settings: Sequence[str],
    origin: Provenance,
) -> None:
    """Writes README.md, results.csv, results.jsonl and the plots.

    Args:
      directory: Where to.
      results: What has been found.
      cost: Seconds per step by name; `None` if they have not been measured.
      settings: Sentences on the runs' configuration.
      origin: Where the results come from.
    """
    files = RunDirectory(directory)
    drawn = {
        "differences.png": study_plots.differences(results),
        "recall.png": study_plots.recall(results),
        "indicators.png": study_plots.areas_over_training(results),
        "cosines.png": study_plots.cosines(results),
    }
    for name, picture in drawn.items():
        if picture is not None:
            files.write_bytes(directory / name, picture)
    if results.points:
        files.write(directory / "results.csv", csv_text([_row(result) for result in results.points]))
        Record(directory).keep(results.points)
    pictures = [name for name, picture in drawn.items() if picture is not None]
    files.write(directory / "README.md", page(results, cost, settings, origin, pictures))


def page(
    results: Results,
    cost: Mapping[str, float] | None,
    settings: Sequence[str],
    origin: Provenance,
    pictures: Sequence[str],
) -> str:
    """Returns the page in Markdown."""
    study = results.study
    parts = [_introduction(results), _list(study.notes)]
    if results.missing:
        about = "; what follows is about those" if results.points else ""
        parts.append(f"**{results.missing} points are not finished, {len(results.points)} are{about}.**\n")
    if results.points:
        parts += ["## What it shows\n", _list(findings(results)), *_verdicts(results, pictures), *_ceiling(results)]
    parts += _methods(results, pictures)
    parts += _section("What the gradients did", study_tables.gradients(results))
    parts += _indicators(results, pictures)
    text = _ABLATIONS.format(noise=noise_title(tuple(study.ablation_noise)))
    parts += _section("Ablations", study_tables.ablations(results), text)
    if cost:
        text = _COST.format(repeats=study.cost_repeats, batch=study.pretraining(study.baseline).batch_size)
        parts += _section("Cost of a step", study_tables.cost(cost, PLAIN_STEP), text)
    parts += ["## The setting\n", _list([*_compared(study), *settings, *_design(results)]), *_again(results, origin)]
    return "\n".join(part for part in parts if part)


def _introduction(results: Results) -> str:
    source = _SOURCE if results.points else ""
    return _INTRODUCTION.format(source=source, dataset=_DATASETS[results.study.dataset])


def _verdicts(results: Results, pictures: Sequence[str]) -> list[str]:
    counts = [len(results.by_seed(*place)) for place in results.places]
    seeds = " to ".join(map(str, sorted({min(counts), max(counts)})))
    reading = _READING.format(margin=results.study.margin_points, seeds=seeds)
    lines = study_tables.verdicts(results)
    table = markdown_table(lines) if len(lines) > 1 else ""
    return [table, _picture("differences.png", "Paired differences in R@10 by noise and method", pictures), reading]


def _ceiling(results: Results) -> list[str]:
    parts = _section("The ceiling", study_tables.ceiling(results), _CEILING.format(baseline=results.study.baseline))
    lines = study_tables.shares(results)
    return [*parts, markdown_table(lines)] if len(lines) > 1 else parts


def _methods(results: Results, pictures: Sequence[str]) -> list[str]:
    parts = []
    for noise in map(tuple, results.study.noise):
        figures, differences = study_tables.figures(results, noise), study_tables.differences(results, noise)
        if len(figures) > 1:
            title = "no noise" if noise == CLEAN else noise_title(noise)
            parts += [f"### Noise: {title}\n", markdown_table(figures)]
            parts += [markdown_table(differences)] if len(differences) > 1 else []
    return ["## Methods\n", _picture("recall.png", "R@10 by noise and variant", pictures), *parts] if parts else []


def _indicators(results: Results, pictures: Sequence[str]) -> list[str]:
    lines = study_tables.indicators(results)
    parts = _section("Which clips are misaligned", lines, _INDICATORS.format(clips=results.study.watched_clips))
    if parts:
        parts += ["The same over the training, for clips misaligned in either:\n"]
        parts += [markdown_table(study_tables.indicators_over_training(results))]
    parts += [_picture("indicators.png", "AUC of the indicators over the training", pictures)]
    return [*parts, _picture("cosines.png", "Cosines of aligned and misaligned clips", pictures)]


def _section(title: str, lines: Lines, text: str = "") -> list[str]:
    return [f"## {title}\n", text, markdown_table(lines)] if len(lines) > 1 else []


def _picture(name: str, title: str, pictures: Sequence[str]) -> str:
    return f"![{title}]({name})\n" if name in pictures else ""


def _list(sentences: Sequence[str]) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences)


def _compared(study: Study) -> list[str]:
    noises = "; ".join(short_title(tuple(noise)) for noise in study.noise)
    return [f"Methods: {', '.join(study.trained)}.", f"Noises: {noises}."]


def _design(results: Results) -> list[str]:
    study = results.study
    seeds = [f"{number} at {short_title(noise)}" for noise, number in study.noise_seeds.items()]
    first = f"; of these the first {', '.join(seeds)}" if seeds else ""
    ablations = f"; of the ablations the first {study.ablation_seeds}" if study.ablations else ""
    return [
        f"Seeds {', '.join(map(str, study.seeds))}{first}{ablations}.",
        _sizes(results),
        "Retrieval is over all test clips; probes are linear, learned on the clean training clips of the same scenes.",
    ]


def _sizes(results: Results) -> str:
    study = results.study
    if study.dataset == SYNTHETIC:
        return (
            f"Clips: {study.train_clips} to train on, {study.validation_clips} to watch, {study.test_clips} to test on."
        )
    sizes = "".join(
        f", {point['linear_probe']['video']['train_clips']} clips to train on and "
        f"{point['retrieval']['text_to_video']['gallery']} to test on"
        for point in results.points[:1]
    )
    options = ", ".join(f"{name} {value}" for name, value in study.dataset_options.items() if name != "source_dir")
    return f"Data set: {study.dataset}, {options or 'by its defaults'}{sizes}."


def _again(results: Results, origin: Provenance) -> list[str]:
    environment = origin.environment
    versions = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    changes = " with uncommitted changes" if environment["uncommitted_changes"] else ""
    return [
        "## To make it again\n",
        f"    {origin.command}\n",
        _list(
            [
                *_runs(results),
                f"This page: {origin.date}; {origin.processor}; {environment['platform']}.",
                f"Python {environment['python']}, {versions}; commit {environment['commit'] or 'unknown'}{changes}.",
            ]
        ),
    ]


def _runs(results: Results) -> list[str]:
    """Sentences on the time that the points took, and on where they were made."""
    seconds = [sum(result["seconds"].values()) for result in results.points]
    if not seconds:
        return ["No run is finished."]
    places = collections.Counter(
        "; ".join(made[name] for name in ("processor", "date", "commit"))
        for result in results.points
        if (made := result.get("origin"))
    )
    total, mean = sum(seconds) / 3600, sum(seconds) / len(seconds)
    lines = [f"{len(seconds)} runs, {mean:.0f} s each on average, {total:.1f} hours in all, tracing not counted."]
    return lines + [f"{number} of them: {place}." for place, number in places.items()]


def _row(result: dict) -> dict[str, object]:
    shown = {metric.title: metric.value(result) for metric in FIGURES}
    seconds = {f"seconds {name}": value for name, value in result["seconds"].items()}
    return {**result["point"], **shown, **result["training"], **seconds}
