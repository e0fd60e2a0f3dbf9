"""Puts the page about a data set together."""

import html
import itertools
from collections.abc import Mapping, Sequence

from data import PreparedDataset, shards_of
from experiments.dataset_checks.caption_facts import captions_section
from experiments.dataset_checks.contact_sheet import Card, contact_sheet
from experiments.dataset_checks.plots import class_bars, histograms
from experiments.dataset_checks.preparation_notes import notes_section
from experiments.dataset_checks.summary import MISSING, SplitSummary, class_name
from experiments.reports.html import page, plots, table
from experiments.running.durations import duration

_SIZES = 12


def build_page(
    prepared: PreparedDataset, splits: Mapping[str, SplitSummary], whole: SplitSummary, cards: Sequence[Card]
) -> str:
    """Returns the page as HTML that needs nothing else.

    Args:
      prepared: The data set.
      splits: What is in each of its splits.
      whole: What is in all of them, each clip once.
      cards: The clips to show.
    """
    sections = {"Splits": _splits(prepared, splits, whole), "Clips": plots(histograms(whole), "plots large")}
    if prepared.class_names:
        sections["Classes"] = _classes(prepared, splits)
    if captions := captions_section(prepared.directory):
        sections["Captions"] = captions
    if notes := notes_section(prepared.directory):
        sections["Notes of preparation"] = notes
    if whole.frame_sizes:
        sections["Frame sizes"] = _sizes(whole)
    if cards:
        sections[f"A look at {len(cards)} clips"] = _INTRODUCTION + contact_sheet(cards)
    rates = f"{prepared.frames_per_second:g} frames/s, " if prepared.has_video else ""
    subtitle = f"{len(whole.seconds):,} clips, {duration(sum(whole.seconds))}; {rates}{prepared.sample_rate_hz:,} Hz."
    return page(f"Data set {prepared.name}", f"{subtitle} <code>{html.escape(prepared.directory)}</code>", sections)


_INTRODUCTION = (
    "<p>Drawn at random. Four frames, evenly spaced; the audio, scaled to its loudest sample, with its root mean square "
    "below full scale; the captions with their times in the clip.</p>"
)


def _splits(prepared, splits, whole):
    head = ("", "clips", "hours", "files", *(f"no {name}" for name in MISSING), "silent", "captions")
    lines = [_line(name, summary) for name, summary in splits.items()]
    note = ""
    if shared := _shared_sources(prepared, splits):
        note = f'<p class="soft">Files with clips in two splits: {html.escape(shared)}.</p>'
    return table(head, {"": [*lines, _line("all", whole)]}) + note


def _line(name, summary):
    missing = [_count(summary.missing[what]) for what in (*MISSING, "silent")]
    counts = (f"{len(summary.seconds):,}", f"{sum(summary.seconds) / 3600:,.2f}", f"{len(summary.sources):,}")
    return (name, *counts, *missing, _count(len(summary.words)))


def _count(number):
    return f"{number:,}" if number else "-"


def _shared_sources(prepared, splits):
    found = []
    for one, other in itertools.combinations(splits, 2):
        if set(prepared.shard_paths[one]) & set(prepared.shard_paths[other]):
            continue  # one is a part of the other
        if shared := len(splits[one].sources & splits[other].sources):
            found.append(f"{one} and {other} {shared:,}")
    return ", ".join(found)


def _classes(prepared, splits):
    own = dict.fromkeys(shard.split for shard in shards_of(prepared))  # no unions: they would count twice
    counts = {
        split: {class_name(number, prepared.class_names): clips for number, clips in splits[split].classes.items()}
        for split in own
    }
    return plots([class_bars(counts, prepared.class_names)], "plots wide")


def _sizes(whole):
    clips, frequent = len(whole.seconds), whole.frame_sizes.most_common(_SIZES)
    lines = [(f"{width} x {height}", f"{count:,}", f"{count / clips:.1%}") for (width, height), count in frequent]
    others = sum(whole.frame_sizes.values()) - sum(count for _, count in frequent)
    if others:
        lines.append((f"{len(whole.frame_sizes) - _SIZES} others", f"{others:,}", f"{others / clips:.1%}"))
    return table(("width x height", "clips", "share"), {"": lines})
