"""The first step of preparation: which unit of work makes which records, and into how many files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_datasets as tfds

from data.preparing.clip_builder import ClipBuilder, Item
from data.preparing.parallel import interleave
from data.preparing.tally import Tally
from data.records.schema import record_features, serialize
from data.source.storage import join
from data.source.written_files import read_json, write_json

# A unit is what a killed run loses and what a worker takes at a time. A shuffle window and a host's
# share are whole files, so files are kept small. All of these are our choice.
UNIT_BYTES, SHARD_BYTES = 512 * 2**20, 48 * 2**20
# Of very large splits both grow, so that their numbers do not; files up to a size that can be shuffled.
_MANY_UNITS, _MANY_SHARDS = 20_000, 16_384
_MAX_SHARD_BYTES = 256 * 2**20
_MAX_SHARDS_PER_UNIT = 128
_SAMPLES = 8
# Of the units' files, in remote storage, where each small file takes its time.
_WRITERS = 16
_LAYOUT = 1


class Unit(NamedTuple):
    """A part of a split that is prepared on its own.

    Attributes:
      number: its number among all units.
      split: the split.
      items: how many items it has.
      first_shard: index of its first file among those of the split.
      shards: how many files it writes.
    """

    number: int
    split: str
    items: int
    first_shard: int
    shards: int


class Plan(NamedTuple):
    """How a data set is prepared.

    Attributes:
      identity: see `identity_of`.
      units: all units, in order.
    """

    identity: dict[str, Any]
    units: list[Unit]

    def shards(self) -> dict[str, int]:
        """Returns how many files each split has."""
        return {unit.split: unit.first_shard + unit.shards for unit in self.units}


def identity_of(builder_class: type[ClipBuilder], config: tfds.core.BuilderConfig) -> dict[str, Any]:
    """Returns what tells a plan from others: with another, nothing that was begun can be used."""
    parameters = json.loads(json.dumps(config.parameters()))
    version = str(builder_class.VERSION)
    return {"layout": _LAYOUT, "config": config.name, "version": version, "parameters": parameters}


def read_plan(staging: str) -> Plan | None:
    """Returns the plan in a staging directory; None where there is no whole one."""
    try:
        content = read_json(plan_path(staging))
        return Plan(content["identity"], [Unit(*unit) for unit in content["units"]])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make_plan(
    builder_class: type[ClipBuilder],
    items: Mapping[str, Sequence[Item]],
    identity: dict[str, Any],
    config: tfds.core.BuilderConfig,
    staging: str,
) -> Plan:
    """Divides the items of each split into units and writes what each of these has to do.

    What `ClipBuilder.complete` adds to the items is held for a few units at a time.
    """
    tf.io.gfile.makedirs(join(staging, "units"))
    divided: list[tuple[Unit, Sequence[Item]]] = []
    for split, found in sorted(items.items()):
        divided += _divide(builder_class, config, split, builder_class.in_order(found), len(divided))

    def write(unit: Unit, part: Iterable[Item]) -> Iterator[Unit]:
        write_json(unit_path(staging, unit.number), list(part))
        yield unit

    completed = ((unit, builder_class.complete(config, part)) for unit, part in divided)
    units = interleave(lambda work: write(*work), completed, open_items=_WRITERS, threads=_WRITERS)
    plan = Plan(identity, list(units))
    write_json(plan_path(staging), plan._asdict())
    return plan


def plan_path(staging: str) -> str:
    """Returns where the plan of a staging directory is."""
    return join(staging, "plan.json")


def unit_path(staging: str, number: int, suffix: str = "json") -> str:
    """Returns where a unit's items are, or with another suffix something else of it."""
    return join(staging, f"units/{number:06d}.{suffix}")


def _divide(
    builder_class: type[ClipBuilder],
    config: tfds.core.BuilderConfig,
    split: str,
    ordered: Sequence[Item],
    first_number: int,
) -> list[tuple[Unit, Sequence[Item]]]:
    """Returns the units of a split and their items, about as many bytes in each."""
    total = _estimate_bytes(builder_class, config, ordered)
    count = min(len(ordered), math.ceil(total / max(UNIT_BYTES, total / _MANY_UNITS)) or 1)
    shard_bytes = min(max(SHARD_BYTES, total / _MANY_SHARDS), _MAX_SHARD_BYTES)
    shards = min(max(1, round(total / count / shard_bytes)), _MAX_SHARDS_PER_UNIT)
    bounds = [len(ordered) * index // count for index in range(count + 1)]
    parts = [ordered[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]
    return [
        (Unit(first_number + index, split, len(part), index * shards, shards), part) for index, part in enumerate(parts)
    ]


def _estimate_bytes(
    builder_class: type[ClipBuilder], config: tfds.core.BuilderConfig, ordered: Sequence[Item]
) -> float:
    """Returns about how many bytes of records the items give, from the first clips of a few of them."""
    count = min(_SAMPLES, 1 + len(ordered) // _SAMPLES)
    chosen = [ordered[len(ordered) * index // count] for index in range(count)]
    features = record_features(builder_class.multi_label(config))

    def estimate(item: Item) -> Any:
        records = builder_class.named_records(config, item, Tally())
        first = next(records, None)
        records.close()
        clips = builder_class.expected_clips(config, item)
        yield 0 if first is None else clips * len(serialize(features, first))

    sample = list(builder_class.complete(config, chosen))
    return len(ordered) / count * sum(interleave(estimate, sample, open_items=count, threads=os.cpu_count() or 1))
