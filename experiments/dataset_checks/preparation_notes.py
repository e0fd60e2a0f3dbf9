"""What the report of a preparation notes of single files, as HTML."""

from __future__ import annotations

import collections
import json
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from data import join_path
from experiments.reports.html import table

KINDS = {
    "skipped": "not used",
    "incomplete": "used in part",
    "longer_than_listed": "longer than listed: the first seconds are used",
    "broken_cues": "captions with broken times",
    "unreadable_captions": "caption files that cannot be read",
    "guessed_encodings": "caption files whose encoding was guessed",
    "unread_captions": "captions in other languages or forms, not read",
    "captions_without_video": "caption files without a video",
    "caption_files_not_read": "caption files of a form that is not read",
    "descriptions_not_read": "descriptions that cannot be read",
    "several_tracks": "several video or sound tracks",
    "high_dynamic_range": "high dynamic range",
    "interlaced": "interlaced video",
    "held_frames": "one frame for more than a minute",
    "unmixed_channels": "sound channels that were not mixed",
    "cancelling_channels": "sound channels that cancel each other",
    "unusable_samples": "samples that are no sound",
    "concealed_errors": "broken pictures or sound that the decoder filled in",
    "restarted_clocks": "time stamps that start again midway: used up to there",
}
"""The kinds of notes in a report, and what the page calls them."""
_NAMED = 3


def read_report(directory: str) -> dict[str, Any]:
    """Returns the report of a data set's preparation; empty where there is none, as `tfds build` writes none."""
    try:
        with tf.io.gfile.GFile(join_path(directory, "prepare_report.json")) as file:
            return dict(json.load(file))
    except (tf.errors.OpError, OSError, ValueError, TypeError):
        return {}


def notes_section(directory: str) -> str:
    """Returns a table of the notes by kind: how many files, and some of them with what is said; empty without notes.

    Args:
      directory: That of the prepared data set. Where its report only counts the notes, `prepare_notes.jsonl` names files.
    """
    report = read_report(directory)
    counts = {kind: count for kind in KINDS if (count := _count(kind, report.get(kind)))}
    if not counts:
        return ""
    listed = _listed(directory) if report.get("names") else {}
    lines = []
    for kind, count in counts.items():
        examples = listed.get(kind) or _examples(report[kind])
        lines.append((KINDS[kind], f"{count:,}", "; ".join(examples[:_NAMED]) + ("; ..." if count > _NAMED else "")))
    return table(("", "files", "such as"), {"": lines}, texts=(0, 2))


def _count(kind: str, notes: Any) -> int:
    """Returns how many files a part of the report names, in whatever form."""
    if not isinstance(notes, Mapping):
        return len(notes) if isinstance(notes, list) else notes if isinstance(notes, int) else 0
    # Where a report only counts, `skipped` counts by reason.
    return sum(what if kind == "skipped" and isinstance(what, int) else _files(what) for what in notes.values())


def _files(what: Any) -> int:
    return len(what) if isinstance(what, list) else 1


def _examples(notes: Any) -> list[str]:
    """Returns the files that a part of the report names, with what it says of them."""
    if not isinstance(notes, Mapping):
        return list(notes) if isinstance(notes, list) else []
    by_file = [
        (name, key) if isinstance(what, list) else (key, what)
        for key, what in notes.items()
        for name in (what if isinstance(what, list) else [key])
    ]
    return [f"{name} ({what})" for name, what in by_file]


def _listed(directory: str) -> dict[str, list[str]]:
    """Returns the first files of each kind in the list of all notes."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    try:
        with tf.io.gfile.GFile(join_path(directory, "prepare_notes.jsonl")) as file:
            for note in map(json.loads, file):
                if len(found[note["kind"]]) < _NAMED:
                    found[note["kind"]].append(f"{note['name']} ({note['what']})")
    except (tf.errors.OpError, ValueError, KeyError, TypeError):
        pass
    return found
