"""Writes a zoo, prepares it as a folder of videos, and judges what came out."""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

import data
from experiments.benchmarks.zoo.breaking import write_specimen
from experiments.benchmarks.zoo.caption_forms import expected_texts
from experiments.benchmarks.zoo.judging import (
    FRAMES_PER_SECOND,
    IMAGE_SIZE_PX,
    RESULTS,
    SAMPLE_RATE_HZ,
    UNNOTED,
    WRONG,
    Verdict,
    judge,
)
from experiments.benchmarks.zoo.specimens import Specimen, draw

_PARTS = ("container", "oddity", "layout", "orientation", "captions")


def visit(specimens: Sequence[Specimen], directory: str | os.PathLike) -> tuple[list[Verdict], list[str]]:
    """Returns what becomes of each specimen when all are prepared together, and the report's false counts.

    The files stay in `directory`.
    """
    videos = pathlib.Path(directory, "videos")
    videos.mkdir()
    for specimen in specimens:
        write_specimen(specimen, videos)
    builder_class = data.dataset_builder("folder")
    config = builder_class.config_class()(
        source_dir=str(videos),
        test_fraction=0.0,
        image_size_px=IMAGE_SIZE_PX,
        frames_per_second=FRAMES_PER_SECOND,
        sample_rate_hz=SAMPLE_RATE_HZ,
        max_bad_fraction=1.0,
        caption_languages=["en"],
    )
    prepared = data.prepare(builder_class, config, str(pathlib.Path(directory, "data")))
    records = _records(prepared.directory)
    notes = _notes(prepared.report, specimens)
    verdicts = [judge(specimen, records[_name(specimen)], notes[_name(specimen)]) for specimen in specimens]
    return verdicts, miscounts(prepared.report, verdicts)


def table(verdicts: Iterable[Verdict]) -> str:
    """Returns how many files were read how, by what they are, as Markdown."""
    verdicts = list(verdicts)
    rows = ["| | files | " + " | ".join(RESULTS) + " |", "|---|" + "---:|" * (1 + len(RESULTS)), _row("all", verdicts)]
    for part in _PARTS:
        rows.append(f"| **{part}** |" + " |" * (1 + len(RESULTS)))
        for kind in dict.fromkeys(sorted((getattr(verdict.specimen, part) for verdict in verdicts), key=str.lower)):
            rows.append(_row(kind, [verdict for verdict in verdicts if getattr(verdict.specimen, part) == kind]))
    return "\n".join(rows)


def _row(name: str, verdicts: Sequence[Verdict]) -> str:
    counts = collections.Counter(verdict.result for verdict in verdicts)
    return f"| {name} | {len(verdicts)} | " + " | ".join(str(counts[result]) for result in RESULTS) + " |"


def _name(specimen: Specimen) -> str:
    return unicodedata.normalize("NFC", specimen.file_name)


def _records(directory: str) -> Mapping[str, list[dict[str, Any]]]:
    """Returns the records by the name of their file."""
    found = collections.defaultdict(list)
    builder = tfds.builder_from_directory(directory)
    for split in builder.info.splits:
        for record in tfds.as_numpy(builder.as_dataset(split=split)):
            found[unicodedata.normalize("NFC", record["source"].decode())].append(record)
    return found


def _notes(report: Mapping[str, Any], specimens: Iterable[Specimen]) -> Mapping[str, dict[str, Any]]:
    """Returns what a report says of each file, by kind."""
    notes: dict[str, dict[str, Any]] = collections.defaultdict(dict)
    named = {kind: report[kind] for kind in data.dataset_builder("folder").NOTES}
    named["skipped"] = {name: reason for reason, names in report["skipped"].items() for name in names}
    for kind, by_name in named.items():
        for name, what in by_name.items():
            notes[unicodedata.normalize("NFC", name)][kind] = what
    unread = {os.path.splitext(path)[0] for paths in report["caption_files_not_read"].values() for path in paths}
    for specimen in specimens:
        if unicodedata.normalize("NFC", specimen.stem) in unread:
            notes[_name(specimen)]["caption_files_not_read"] = "in a form that is not read"
    return notes


def miscounts(report: Mapping[str, Any], verdicts: Iterable[Verdict]) -> list[str]:
    """Returns which counts of a report differ from what was planted."""
    used = [verdict for verdict in verdicts if verdict.clips]
    expected = {
        "videos_used": len(used),
        "videos_without_audio_track": sum(verdict.specimen.oddity == "no sound" for verdict in used),
        "videos_without_captions": sum(not expected_texts(verdict.specimen.captions) for verdict in used),
        "captions_in_other_languages": sum(verdict.specimen.captions == "German alone" for verdict in verdicts),
    }
    return [f"{name} is {report[name]}, not {count}" for name, count in expected.items() if report[name] != count]


def run(seed: int, count: int, directory: str | None) -> int:
    """Prints the table and what is wrong; returns the exit code."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only
    with contextlib.nullcontext(directory) if directory else tempfile.TemporaryDirectory() as place:
        verdicts, false_counts = visit(draw(seed, count), place)
    print(table(verdicts))
    bad = [verdict for verdict in verdicts if verdict.result in (WRONG, UNNOTED)]
    for verdict in bad:
        print(f"{verdict.result}: {verdict.specimen}: {'; '.join(verdict.faults)}")
    print(*(f"the report: {what}" for what in false_counts), sep="\n")
    return 1 if bad or false_counts else 0
