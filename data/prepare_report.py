"""What `prepare_report.json` says of all units together."""

from __future__ import annotations

import collections
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from data.errors import PreparationError
from data.files import renamed_when_done
from data.listing import by_reason
from data.plan import Plan, Unit
from data.storage import join
from data.tally import Tally
from data.units import Job, done_with

# With more notes than this (our choice) the report counts them, and a file beside it holds them.
_MOST_NOTES = 10_000
NOTES_FILE = "prepare_notes.jsonl"
_EXAMPLES = 3
_Note = tuple[str, str, Any]


def tallies_of(job: Job, plan: Plan) -> dict[str, Tally]:
    """Returns the counts of each split, without the notes."""
    tallies: dict[str, Tally] = {}
    for unit in plan.units:
        part = Tally.from_json(done_with(job, unit).tally)
        tallies.setdefault(unit.split, Tally()).counts.update(part.counts)
    return tallies


def report_of(job: Job, plan: Plan, directory: str) -> dict[str, Any]:
    """Returns what was found: the data set's own counts, then the names of what was left out or is not whole.

    `skipped` maps each reason to the names left out for it; the other keys are `ClipBuilder.NOTES` and
    map names to what there is to say of them. Where there are more than 10,000 names in all, these are
    counts instead, and `prepare_notes.jsonl` in `directory` has the names.
    """
    report = job.builder_class.report(job.config, tallies_of(job, plan))
    return report | _report_notes(lambda: _notes(job, plan), job.builder_class.NOTES, directory)


def require_enough(job: Job, plan: Plan) -> None:
    """Raises `PreparationError` if nothing is left, or of a split less than the user allows."""
    listed, bad = collections.Counter(), collections.Counter()
    for unit in plan.units:
        listed[unit.split] += unit.items
    for split, tally in tallies_of(job, plan).items():
        bad[split] += tally.counts["videos_bad"]
    if bad.total() == listed.total():
        share = f"{bad.total()} of {listed.total()}"
        raise PreparationError(_explain(job, plan.units, share, "nothing is left to prepare"))
    for split, parts in _judged_splits(job, listed).items():
        files, unusable = (sum(counts[part] for part in parts) for counts in (listed, bad))
        allowed = job.config.max_bad_fraction if unusable else 1.0
        if unusable > allowed * files:
            limit = f"more of split {split!r} than --max_bad_fraction={allowed} allows"
            units = [unit for unit in plan.units if unit.split in parts]
            raise PreparationError(_explain(job, units, f"{unusable} of {files}", limit))


def _judged_splits(job: Job, listed: Iterable[str]) -> dict[str, Sequence[str]]:
    """Returns the splits that people use, with their parts; a part alone may be one file."""
    unions = job.builder_class.unions(job.config)
    parts = set(itertools.chain(*unions.values()))
    return {split: (split,) for split in listed if split not in parts} | dict(unions)


def _explain(job: Job, units: Sequence[Unit], share: str, limit: str) -> str:
    reasons = (f"{name}: {what}" for unit in units for kind, name, what in _notes_of(job, unit) if kind == "skipped")
    examples = list(itertools.islice(reasons, _EXAMPLES + 1))
    shown = "; ".join(examples[:_EXAMPLES]) + ("; ..." if len(examples) > _EXAMPLES else "")
    return f"{share} files cannot be used, {limit} ({shown}). prepare_report.json names them all."


def _notes(job: Job, plan: Plan) -> Iterator[_Note]:
    for reason, names in job.builder_class.names_left_out(job.config).items():
        yield from (("skipped", name, reason) for name in names)
    for unit in plan.units:
        yield from _notes_of(job, unit)


def _notes_of(job: Job, unit: Unit) -> list[_Note]:
    return Tally.from_json(done_with(job, unit).tally).notes


def _report_notes(notes: Callable[[], Iterator[_Note]], kinds: Sequence[str], directory: str) -> dict[str, Any]:
    if not kinds:
        return {}
    kept = sorted(itertools.islice(notes(), _MOST_NOTES + 1), key=repr)
    if len(kept) <= _MOST_NOTES:
        named = {kind: {name: what for of, name, what in kept if of == kind} for kind in kinds}
        return {"skipped": by_reason((what, name) for kind, name, what in kept if kind == "skipped")} | named
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    with renamed_when_done(join(directory, NOTES_FILE)) as path, tf.io.gfile.GFile(path, "w") as file:
        for kind, name, what in notes():
            counts[kind][what if kind == "skipped" else kind] += 1
            file.write(json.dumps({"kind": kind, "name": name, "what": what}) + "\n")
    return {"skipped": dict(counts["skipped"]), **{kind: counts[kind].total() for kind in kinds}, "names": NOTES_FILE}
