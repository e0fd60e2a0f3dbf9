"""The base of all data sets: a list of items, such as media files, each of which gives records on its own."""

from __future__ import annotations

import abc
import functools
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import tensorflow_datasets as tfds
import tqdm
from absl import logging

from data.errors import PreparationError
from data.preparing.listing import hash_position
from data.preparing.parallel import interleave
from data.preparing.tally import Tally
from data.records.sources import SourceFacts

Item = TypeVar("Item")
OPEN_ITEMS = 16
"""Items that are read at once, whatever the number of threads; neighbors in a shard are of different items."""


class ClipBuilder(tfds.core.GeneratorBasedBuilder, abc.ABC, Generic[Item], skip_registration=True):
    """A TFDS builder whose records are made item by item, wherever an item's turn comes.

    `data.preparing.prepare.prepare` divides the items into units of work and writes records, vocabularies and a
    report; `tfds build` writes the same records alone.

    The class of its configurations is in the same module and called like the builder, with `Config` at the
    end. They have `parameters()`, JSON values of everything that decides what the records hold.
    """

    NOTES: ClassVar[tuple[str, ...]] = ()
    """Kinds of notes, besides `skipped`, that `make_records` adds for the report."""
    url_infos: ClassVar[dict] = {}  # Nothing is downloaded; TFDS would look for a list.

    @classmethod
    def config_class(cls) -> type[tfds.core.BuilderConfig]:
        """Returns the class of the configurations."""
        return getattr(sys.modules[cls.__module__], f"{cls.__name__}Config")

    @classmethod
    def get_default_builder_config(cls) -> tfds.core.BuilderConfig:
        """Returns the configuration that `tfds build` uses."""
        return cls.config_class()()

    @classmethod
    def multi_label(cls, config: tfds.core.BuilderConfig) -> bool:
        """Returns whether clips may have several classes; see `data.records.schema.record_features`."""
        return False

    @classmethod
    @abc.abstractmethod
    def items(cls, config: tfds.core.BuilderConfig) -> Mapping[str, Sequence[Item]]:
        """Returns the items of each split."""

    @staticmethod
    @abc.abstractmethod
    def name_of(item: Item) -> str:
        """Returns an item's name, unique in the data set."""

    @classmethod
    @abc.abstractmethod
    def make_records(cls, config: tfds.core.BuilderConfig, item: Item, tally: Tally) -> Iterator[dict[str, Any]]:
        """Yields an item's records, a function of the arguments alone, and counts them; called in threads.

        An item that gives no record counts as `videos_bad`, with a note of the kind `skipped`.
        """

    @classmethod
    def named_records(cls, config: tfds.core.BuilderConfig, item: Item, tally: Tally) -> Iterator[dict[str, Any]]:
        """Yields what `make_records` does; before an error that it did not expect ends all, says at which item it was."""
        try:
            yield from cls.make_records(config, item, tally)
        except Exception as error:
            logging.error("%s: %s: %s", cls.name_of(item), type(error).__name__, error)
            raise

    @classmethod
    @abc.abstractmethod
    def report(cls, config: tfds.core.BuilderConfig, tallies: Mapping[str, Tally]) -> dict[str, Any]:
        """Returns what the report says of the counts of all splits."""

    @classmethod
    def complete(cls, config: tfds.core.BuilderConfig, items: Sequence[Item]) -> Iterable[Item]:
        """Returns some items with everything that their records need, shortly before these are made."""
        return items

    @staticmethod
    def item_from_json(values: Any) -> Item:
        """Returns the item that became these values when it was written as JSON."""
        return values

    @classmethod
    def expected_clips(cls, config: tfds.core.BuilderConfig, item: Item) -> float:
        """Returns about how many records an item gives."""
        return 1.0

    @classmethod
    def unions(cls, config: tfds.core.BuilderConfig) -> Mapping[str, Sequence[str]]:
        """Returns the splits that are put together from others, with their names."""
        return {}

    @classmethod
    def names_left_out(cls, config: tfds.core.BuilderConfig) -> Mapping[str, Sequence[str]]:
        """Returns, by reason, the names that cannot be items."""
        return {}

    @classmethod
    def sources(cls, config: tfds.core.BuilderConfig) -> Mapping[str, SourceFacts]:
        """Returns what is known of the files that records name as their `source`."""
        return {}

    @classmethod
    def in_order(cls, items: Sequence[Item]) -> list[Item]:
        """Returns items in an order that stays when others come or go."""
        return sorted(items, key=lambda item: hash_position(cls.name_of(item)))

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        config = self._config_for(dl_manager)
        generators: dict[str, Iterator[tuple[str, dict[str, Any]]]] = {}
        for split, items in sorted(self.items(config).items()):
            examples = self._generate_examples(config, split, items)
            # TFDS cannot write a split in which nothing turns out to be usable.
            if (first := next(examples, None)) is not None:
                generators[split] = itertools.chain([first], examples)
        if not generators:
            raise PreparationError("no file can be used; nothing is left to prepare")
        return generators

    def _config_for(self, dl_manager: tfds.download.DownloadManager) -> tfds.core.BuilderConfig:
        return self.builder_config

    def _generate_examples(
        self, config: tfds.core.BuilderConfig, split: str, items: Sequence[Item]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        notes: list[tuple[str, str, Any]] = []
        progress = tqdm.tqdm(self.in_order(items), split, unit=" items", mininterval=1)
        completed = itertools.chain.from_iterable(self.complete(config, [item]) for item in progress)
        make = functools.partial(self._records_of, config, notes)
        for record in interleave(make, completed, open_items=OPEN_ITEMS, threads=os.cpu_count() or 1):
            yield record["clip_id"], record
        for kind, name, what in sorted(notes, key=repr):
            logging.warning("%s: %s: %s", kind, name, what)

    def _records_of(
        self, config: tfds.core.BuilderConfig, notes: list[tuple[str, str, Any]], item: Item
    ) -> Iterator[dict[str, Any]]:
        tally = Tally()
        yield from self.named_records(config, item, tally)
        notes += tally.notes
