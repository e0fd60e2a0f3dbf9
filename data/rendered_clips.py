"""The base of the data sets that are made up: as many clips as asked for, one function call each."""

from __future__ import annotations

import abc
import functools
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
import tqdm

from data.parallel import map_in_order

SPLITS = ("train", "validation", "test")


class RenderedClips(tfds.core.GeneratorBasedBuilder, abc.ABC, skip_registration=True):
    """Makes `train_clips`, `validation_clips` and `test_clips` clips; an empty split is left out.

    A subclass has a config with these numbers and says how a clip is made.
    """

    url_infos = {}  # Nothing is downloaded; TFDS would look for a list beside this file.

    @staticmethod
    @abc.abstractmethod
    def make_clip(config: tfds.core.BuilderConfig, split: str, index: int) -> dict[str, Any]:
        """Makes the record of one clip, a function of its arguments alone; called in several threads."""

    def count(self, split: str, record: dict[str, Any]) -> None:
        """Takes note of a record for the report."""

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        sizes = {split: getattr(self.builder_config, f"{split}_clips") for split in SPLITS}
        return {split: self._generate_examples(split) for split in SPLITS if sizes[split]}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        clips = getattr(self.builder_config, f"{split}_clips")
        records = map_in_order(functools.partial(self.make_clip, self.builder_config, split), range(clips))
        for record in tqdm.tqdm(records, split, clips, unit=" clips", mininterval=1):
            self.count(split, record)
            yield record["clip_id"], record
