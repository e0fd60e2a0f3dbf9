"""The base of synthetic data sets: as many clips as requested, one function call each."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from data.preparing.clip_builder import ClipBuilder
from data.preparing.tally import Tally

SPLITS = ("train", "validation", "test")


class RenderedClips(ClipBuilder[str], skip_registration=True):
    """Makes `train_clips`, `validation_clips` and `test_clips` clips; an empty split is omitted.

    Its items are names such as `train/000012`. A subclass has a config with these numbers and says how
    a clip is made.
    """

    @staticmethod
    @abc.abstractmethod
    def make_clip(config: tfds.core.BuilderConfig, split: str, index: int) -> dict[str, Any]:
        """Makes the record of one clip, a function of its arguments alone; called in several threads."""

    @staticmethod
    def count(record: dict[str, Any], tally: Tally) -> None:
        """Takes note of a record for the report."""

    @classmethod
    def items(cls, config: tfds.core.BuilderConfig) -> dict[str, list[str]]:
        """Returns the names of each split's clips."""
        sizes = {split: getattr(config, f"{split}_clips") for split in SPLITS}
        return {split: [clip_name(split, index) for index in range(size)] for split, size in sizes.items() if size}

    @staticmethod
    def name_of(item: str) -> str:
        """Returns the name, which is the item itself."""
        return item

    @classmethod
    def make_records(cls, config: tfds.core.BuilderConfig, item: str, tally: Tally) -> Iterator[dict[str, Any]]:
        """Yields the one record of an item."""
        split, index = item.split("/")
        record = cls.make_clip(config, split, int(index))
        cls.count(record, tally)
        tally.counts["clips"] += 1
        yield record


def clip_name(split: str, index: int) -> str:
    """Returns what a clip is called."""
    return f"{split}/{index:06d}"
