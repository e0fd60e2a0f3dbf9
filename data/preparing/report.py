"""The content of `prepare_report.json`, over all units."""

from __future__ import annotations

import collections
import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from data.errors import PreparationError
from data.preparing.listing import by_reason, printable
from data.preparing.tally import Tally
from data.preparing.units import Done, Job
from data.source.storage import join
from data.source.written_files import renamed_when_done

# With more notes than this (our choice) the report counts them, and a separate file holds them.
_MOST_NOTES = 10_000
NOTES_FILE = "prepare_notes.jsonl"
_EXAMPLES = 3
_Note = tuple[str, str, Any]


def report_of(job: Job, results: Sequence[Done], directory: str) -> dict[str, Any]:
    """Returns the findings: the data set's counts, then the names of skipped and incomplete files.

    `skipped` maps each reason to the names skipped for it; the other keys are `ClipBuilder.NOTES` and
    map names to remarks. Where there are more than 10,000 names in all, these are
    counts instead, and `prepare_notes.jsonl` in `directory` has the names.
    """
    tallies: dict[str, Tally] = {}
    for done in results:
        tallies.setdefault(done.unit.split, Tally()).counts.update(done.tally.counts)
    left_out = job.builder_class.names_left_out(job.config)
    notes = [("skipped", name, reason) for reason, names in left_out.items() for name in names]
    notes += itertools.chain.from_iterable(done.tally.notes for done in results)
    notes = [(kind, printable(name), what) for kind, name, what in notes]
    kinds = job.builder_class.NOTES
    return job.builder_class.report(job.config, tallies) | (_report_notes(notes, kinds, directory) if kinds else {})


def require_enough(job: Job, results: Sequence[Done]) -> None:
    """Raises `PreparationError` if nothing is left, or of a split less than the user allows."""
    splits = [done.unit.split for done in results]
    if not any(sum(done.shard_lengths) for done in results):
        raise PreparationError(_explain(results, "nothing is left to prepare"))
    for split, parts in _judged_splits(job, splits).items():
        judged = [done for done in results if done.unit.split in parts]
        bad, listed = _bad_of(judged)
        if bad and bad > job.config.max_bad_fraction * listed:
            limit = f"more of split {split!r} than --max_bad_fraction={job.config.max_bad_fraction} allows"
            raise PreparationError(_explain(judged, limit))


def _judged_splits(job: Job, listed: Iterable[str]) -> dict[str, Sequence[str]]:
    """Returns the splits that people use, with their parts; a part alone may be one file."""
    unions = job.builder_class.unions(job.config)
    parts = set(itertools.chain(*unions.values()))
    return {split: (split,) for split in listed if split not in parts} | dict(unions)


def _bad_of(results: Sequence[Done]) -> tuple[int, int]:
    """Returns how many files gave nothing, and how many there are."""
    return sum(done.tally.counts["videos_bad"] for done in results), sum(done.unit.items for done in results)


def _explain(results: Sequence[Done], limit: str) -> str:
    bad, listed = _bad_of(results)
    notes = itertools.chain.from_iterable(done.tally.notes for done in results)
    examples = [f"{name}: {what}" for kind, name, what in notes if kind == "skipped"]
    shown = "; ".join(examples[:_EXAMPLES]) + ("; ..." if len(examples) > _EXAMPLES else "")
    return f"{bad} of {listed} files cannot be used, {limit} ({shown}). prepare_report.json names them all."


def _report_notes(notes: list[_Note], kinds: Sequence[str], directory: str) -> dict[str, Any]:
    if len(notes) <= _MOST_NOTES:
        named = {kind: {name: what for of, name, what in sorted(notes, key=repr) if of == kind} for kind in kinds}
        return {"skipped": by_reason((what, name) for kind, name, what in notes if kind == "skipped")} | named
    with renamed_when_done(join(directory, NOTES_FILE)) as path, tf.io.gfile.GFile(path, "w") as file:
        for kind, name, what in notes:
            file.write(json.dumps({"kind": kind, "name": name, "what": what}) + "\n")
    skipped = collections.Counter(what for kind, _, what in notes if kind == "skipped")
    counts = collections.Counter(kind for kind, *_ in notes)
    return {"skipped": dict(skipped), **{kind: counts[kind] for kind in kinds}, "names": NOTES_FILE}
