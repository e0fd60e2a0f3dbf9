"""The second step of preparation: a unit's items become records in files of their own."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_datasets as tfds

from data.preparing.clip_builder import OPEN_ITEMS, ClipBuilder, Item
from data.preparing.parallel import interleave
from data.preparing.plan import Unit, unit_path
from data.preparing.tally import Tally
from data.records.schema import record_features, serialize
from data.source.storage import join
from data.source.written_files import as_os_errors, read_json, renamed_when_done, write_json

# Our choice, for remote storage, where each small file takes its time.
_READERS = 32


class Job(NamedTuple):
    """What every unit of a data set has in common; can be sent to other processes and machines.

    Attributes:
      builder_class, config: the data set. A `ListedClipsConfig` is sent without its list.
      multi_label: whether records have several classes.
      staging: the directory of the plan.
      directory: where the files of records go.
      shards: how many of these each split has.
    """

    builder_class: type[ClipBuilder]
    config: tfds.core.BuilderConfig
    multi_label: bool
    staging: str
    directory: str
    shards: dict[str, int]

    def shard_path(self, split: str, index: int) -> str:
        """Returns the path of a file of records, as TFDS names it."""
        name = f"{self.builder_class.name}-{split}.tfrecord-{index:05d}-of-{self.shards[split]:05d}"
        return join(self.directory, name)


class Done(NamedTuple):
    """What came of a unit.

    Attributes:
      unit: the unit.
      shard_lengths: records in each of its files.
      bytes: of all its records.
      tally: what was counted and noted.
    """

    unit: Unit
    shard_lengths: list[int]
    bytes: int
    tally: Tally


Runner = Callable[[Job, Sequence[Unit]], None]
"""Prepares units; returns when all are done, or raises what went wrong in one of them."""


def captions_path(job: Job, unit: Unit) -> str:
    """Returns the path of the captions in a unit's records: JSON strings, one a line."""
    return unit_path(job.staging, unit.number, "captions")


def pending_units(job: Job, units: Iterable[Unit]) -> list[Unit]:
    """Returns those of the units that are not done; one whose files of records are gone is to be done again."""
    marks = set(tf.io.gfile.listdir(join(job.staging, "units")))
    records = set(tf.io.gfile.listdir(job.directory))
    pending = []
    for unit in units:
        is_marked = os.path.basename(_done_path(job, unit)) in marks
        if is_marked and records.issuperset(map(os.path.basename, _shard_paths(job, unit))):
            continue
        if is_marked:
            tf.io.gfile.remove(_done_path(job, unit))
        pending.append(unit)
    return pending


def read_done(job: Job, units: Sequence[Unit]) -> list[Done]:
    """Returns what came of units that are all done."""
    with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(functools.partial(_read, job), units))


def prepare_unit(job: Job, unit: Unit, threads: int = 1, on_item: Callable[[int], Any] = lambda clips: None) -> Done:
    """Makes the records of a unit, unless that is done already; the same bytes with any number of threads.

    A unit is done once its `.done.json` is there. Its files have other names until they are whole.

    Args:
      job: the data set.
      unit: the unit.
      threads: how many read and encode.
      on_item: called with each finished item's number of clips, in any thread.

    Raises:
      OSError: a file cannot be written: the disk is full, or out of reach.
    """
    if tf.io.gfile.exists(_done_path(job, unit)):
        return _read(job, unit)
    items = map(job.builder_class.item_from_json, read_json(unit_path(job.staging, unit.number)))
    tallies: list[Tally] = []
    make = functools.partial(_records_of, job, tallies, on_item)
    lengths, size = [0] * unit.shards, 0
    with _writers(job, unit) as (shards, captions):
        records = interleave(make, items, open_items=OPEN_ITEMS, threads=threads)
        for index, (record, texts) in enumerate(records):
            shards[index % unit.shards].write(record)
            captions.write("".join(f"{json.dumps(text)}\n" for text in texts))
            lengths[index % unit.shards] += 1
            size += len(record)
    done = Done(unit, lengths, size, sum(tallies, Tally()))
    write_json(_done_path(job, unit), {"shard_lengths": lengths, "bytes": size, "tally": done.tally.to_json()})
    return done


def _read(job: Job, unit: Unit) -> Done:
    content = read_json(_done_path(job, unit))
    return Done(unit, content["shard_lengths"], content["bytes"], Tally.from_json(content["tally"]))


def _done_path(job: Job, unit: Unit) -> str:
    return unit_path(job.staging, unit.number, "done.json")


def _shard_paths(job: Job, unit: Unit) -> list[str]:
    return [job.shard_path(unit.split, unit.first_shard + index) for index in range(unit.shards)]


def _records_of(
    job: Job, tallies: list[Tally], on_item: Callable[[int], Any], item: Item
) -> Iterator[tuple[bytes, list[str]]]:
    """Yields an item's records and the captions in them."""
    features, tally = record_features(job.multi_label), Tally()
    for record in job.builder_class.named_records(job.config, item, tally):
        yield serialize(features, record), record["captions"]["text"]
    tallies.append(tally)
    on_item(tally.counts["clips"])


@contextlib.contextmanager
def _writers(job: Job, unit: Unit) -> Iterator[tuple[list[tf.io.TFRecordWriter], tf.io.gfile.GFile]]:
    """Opens the unit's files of records, and one for the captions in these, of which vocabularies are made."""
    with contextlib.ExitStack() as renaming, contextlib.ExitStack() as files:
        open_file = lambda path: renaming.enter_context(renamed_when_done(path))  # noqa: E731
        with as_os_errors(job.directory):
            shards = [files.enter_context(tf.io.TFRecordWriter(open_file(path))) for path in _shard_paths(job, unit)]
            captions = files.enter_context(tf.io.gfile.GFile(open_file(captions_path(job, unit)), "w"))
            captions.write("")  # Else there is no file where there are no captions.
            yield shards, captions
