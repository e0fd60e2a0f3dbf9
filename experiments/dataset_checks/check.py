"""Checks the records of a data set and collects the findings, in little memory."""

import collections
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tqdm

from data import (
    Damage,
    PreparedDataset,
    Shard,
    file_damage,
    interleave,
    parse_clip,
    read_record,
    read_records,
    shards_of,
)
from experiments.dataset_checks.clip_check import WARNINGS, CheckedClip, check_clip
from experiments.dataset_checks.duplicates import HashedClips, Place
from experiments.running.own_files import read_json_object

LISTED = 1000
"""Of each fault, so many clips are named; all are counted."""


class _Found:
    """How often something was found, and the first examples."""

    def __init__(self):
        self.count, self.examples = 0, []

    def add(self, example: Any) -> None:
        self.count += 1
        if self.count <= LISTED:
            self.examples.append(example)

    def to_json(self, name: Callable[[Any], Any] = lambda example: example) -> dict[str, Any]:
        return {"count": self.count, "examples": list(map(name, self.examples))}


class _Job(NamedTuple):
    """A record to check: where it is, and its bytes."""

    place: Place
    number: int
    record: bytes


def check(prepared: PreparedDataset, splits: Sequence[str] = ()) -> tuple[list[Damage], dict[str, Any]]:
    """Decodes every record once.

    Args:
      prepared: The data set.
      splits: Those to check; none for all.

    Returns:
      What is damaged, in order, and as JSON values what was found: `clips` that are not damaged per split, `files`;
      `damaged`, `suspicious` and `duplicates`, each of names with a `count` and `examples`, up to 1000 of them.

    Raises:
      DataError: There is no such split.
    """
    shards = shards_of(prepared, splits)
    damages = [damage for shard in shards for damage in file_damage(shard.path)]
    clips, suspicious, hashes = collections.Counter(), {name: _Found() for name in WARNINGS}, HashedClips()
    records = collections.Counter(damage.shard for damage in damages)
    numbers = {split: number for number, split in enumerate(prepared.shard_paths)}
    for job, clip in _checked(shards, damages, prepared):
        shard = shards[job.place.shard]
        records[shard.path] += 1
        if clip.damage:
            damages.append(Damage(shard.path, job.number, job.place.offset, clip.damage))
            continue
        clips[shard.split] += 1
        for name in clip.warnings:
            suspicious[name].add({"split": shard.split, "clip_id": clip.clip_id})
        hashes.add(job.place, numbers[shard.split], clip.media, clip.look, clip.sound)
    damages = sorted([*damages, *_lengths_that_differ(shards, records)])
    return damages, {
        "dataset": prepared.name,
        "directory": prepared.directory,
        "files": len(shards),
        "clips": dict(clips),
        "damaged": {"records": _damaged(damages)},
        "suspicious": {name: found.to_json() for name, found in suspicious.items()},
        "duplicates": _duplicates(hashes, shards),
    }


def is_findings(path: pathlib.Path) -> bool:
    """Tells whether a file holds what `check` found; raises `BadInput` if it is no JSON object."""
    return {"damaged", "suspicious", "duplicates"} <= read_json_object(path).keys()


def _checked(
    shards: Sequence[Shard], damages: Iterable[Damage], prepared: PreparedDataset
) -> Iterator[tuple[_Job, CheckedClip]]:
    threads = os.cpu_count() or 1
    skipped = collections.defaultdict(set)
    for damage in damages:
        skipped[damage.shard].add(damage.offset)

    def make(job: _Job) -> Iterator[tuple[_Job, CheckedClip]]:
        clip = check_clip(job.record, prepared)
        yield job._replace(record=b""), clip

    jobs = (
        _Job(Place(place, offset), number, record)
        for place, shard in enumerate(shards)
        for number, offset, record in read_records(shard.path, skipped[shard.path])
    )
    total = sum(shard.records for shard in shards)
    results = interleave(make, jobs, open_items=4 * threads, threads=threads)
    return iter(tqdm.tqdm(results, "checking", total, unit=" clips", mininterval=1))


def _duplicates(hashes: HashedClips, shards: Sequence[Shard]) -> dict[str, Any]:
    def name(places: Sequence[Place]) -> list[dict[str, str]]:
        clips = [parse_clip(read_record(shards[place.shard].path, place.offset)) for place in places]
        return [
            {"split": shards[p.shard].split, "clip_id": clip.clip_id} for p, clip in zip(places, clips, strict=True)
        ]

    found = {name: _Found() for name in ("equal_across_splits", "equal_within_split", "alike_across_splits")}
    for group in hashes.equal():
        by_split = collections.defaultdict(list)
        for place in group:
            by_split[shards[place.shard].split].append(place)
        if len(by_split) > 1:
            found["equal_across_splits"].add(group)
        for places in by_split.values():
            if len(places) > 1:
                found["equal_within_split"].add(places)
    for pair in hashes.alike():
        found["alike_across_splits"].add(pair)
    return {kind: places.to_json(name) for kind, places in found.items()}


def _lengths_that_differ(shards: Iterable[Shard], records: Mapping[str, int]) -> Iterator[Damage]:
    """Yields as damage at their end the files that do not hold as many records as the data set says."""
    for shard in shards:
        if (count := records[shard.path]) != shard.records:
            less, more = (
                f"ends after {count} of {shard.records} records",
                f"holds {count} records instead of {shard.records}",
            )
            reason = f"the file {less if count < shard.records else more}"
            yield Damage(shard.path, count, tf.io.gfile.stat(shard.path).length, reason)


def _damaged(damages: Sequence[Damage]) -> dict[str, Any]:
    return {"count": len(damages), "examples": [damage._asdict() for damage in damages[:LISTED]]}
