"""Finds a prepared data set on disk: its records, rates, classes and vocabularies."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath
from google.protobuf import json_format

from data.errors import DataError
from data.records.sources import SourceFacts, read_sources
from data.records.trusted_features import require_own_features
from data.source.regular_files import require_no_pipes
from data.source.storage import join, storage_of
from data.text.vocabulary import WORD_FILE, WORDPIECE_FILE

LABELED_SPLITS = ("train", "validation", "test")
"""What a classifier learns from, chooses its weights by and is tested on."""
_DAMAGE = (
    LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, OSError, json_format.Error,
    tf.errors.OpError,
)  # fmt: skip
_MOST_FOLDERS_DEEP = 2  # <config>/<version>


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
    """A data set that `experiments.prepare_data` has written.

    Attributes:
      name: Name of the data set, as given to `--dataset`.
      directory: `<data_dir>/<name>/<config>/<version>`, the directory of everything below.
      split_sizes: Clips in each split. Splits that are unions of others are among them, so that a
        clip may count in several (UCF101, HMDB51 and ESC-50 have several splits each).
      shard_paths: TFRecord files of each split.
      shard_lengths: Records in each of these files.
      features: The TFDS features that parse a record.
      frames_per_second: Rate of the stored frames.
      sample_rate_hz: Sampling rate of the stored audio.
      class_names: Names of the labels; empty where there are none.
      has_video: Whether the records have frames; those of an audio data set have none.
    """

    name: str
    directory: str
    split_sizes: dict[str, int]
    shard_paths: dict[str, tuple[str, ...]]
    shard_lengths: dict[str, tuple[int, ...]]
    features: tfds.features.FeaturesDict
    frames_per_second: float
    sample_rate_hz: int
    class_names: tuple[str, ...]
    has_video: bool = True

    @property
    def multi_label(self) -> bool:
        """Whether clips may have several classes; then batches have `labels`."""
        return "labels" in self.features

    @property
    def wordpiece_vocabulary_path(self) -> str:
        """File for `WordPieceTokenizer`."""
        return str(epath.Path(self.directory) / WORDPIECE_FILE)

    @property
    def word_vocabulary_path(self) -> str:
        """File for `WordTokenizer`."""
        return str(epath.Path(self.directory) / WORD_FILE)

    @functools.cached_property
    def sources(self) -> dict[str, SourceFacts]:
        """What is known of the files that records name as their `source`: ids, titles, addresses."""
        return read_sources(self.directory)

    def describe(self) -> dict[str, object]:
        """Returns the facts by which a resumed run notices that its data have been prepared differently."""
        return {
            "clips": dict(self.split_sizes),
            "train_files": list(self.shard_lengths.get("train", ())),
            "frames_per_second": self.frames_per_second,
            "sample_rate_hz": self.sample_rate_hz,
        }

    def require_split(self, split: str) -> None:
        """Raises `DataError` when there is no such split or no clip in it."""
        if not self.split_sizes.get(split):
            sizes = ", ".join(f"{name} ({size} clips)" for name, size in self.split_sizes.items())
            raise DataError(f"{self.directory} has no clips in the split {split!r}; it has: {sizes or 'none'}.")


def open_dataset(name: str, data_dir: str) -> PreparedDataset:
    """Opens `<data_dir>/<name>/<config>/<version>/` (or without a config).

    Args:
      name: The data set; `name/config` or `name/config/version` picks one of several. A plain name
        opens the one that was written last (our choice).
      data_dir: The directory given to `experiments.prepare_data`; may be on Cloud Storage.

    Raises:
      DataError: There is no such data set, or it was not written by `experiments.prepare_data`.
    """
    directory = _newest_version(name, data_dir)
    try:
        require_no_pipes(str(directory))
        require_own_features(directory)
        builder = tfds.builder_from_directory(directory)
        metadata = builder.info.metadata or {}
        if builder.info.file_format is not tfds.core.FileFormat.TFRECORD:
            raise DataError(f"Its records are {builder.info.file_format}, not TFRecord.")
        shards = _shards(directory, builder.info.splits, metadata.get("split_unions") or {})
        return PreparedDataset(
            name=name.split("/")[0],
            directory=str(directory),
            split_sizes={split: sum(lengths.values()) for split, lengths in shards.items()},
            shard_paths={split: tuple(lengths) for split, lengths in shards.items()},
            shard_lengths={split: tuple(lengths.values()) for split, lengths in shards.items()},
            features=builder.info.features,
            frames_per_second=_rate(metadata, "frames_per_second"),
            sample_rate_hz=int(_rate(metadata, "sample_rate_hz")),
            class_names=tuple(metadata.get("class_names") or ()),
            has_video=bool(metadata.get("has_video", True)),
        )
    except _DAMAGE as error:
        raise DataError(
            f"{directory} is not a data set of `experiments.prepare_data` "
            f"({type(error).__name__}: {error}). Its dataset_info.json, features.json or metadata.json is damaged or from "
            "another version. "
            f"Prepare it again: {_prepare_command(name, data_dir)}"
        ) from error


def _rate(metadata: Mapping[str, object], name: str) -> float:
    rate = float(metadata[name])
    if not 0 < rate < 2**31:
        raise ValueError(f"{name} is {rate}")
    return rate


def open_labeled(name: str, data_dir: str, multi_label: bool = False) -> PreparedDataset:
    """Opens a data set for a program that trains a classifier, as `open_dataset` does.

    Args:
      name: The data set.
      data_dir: The directory given to `experiments.prepare_data`.
      multi_label: Whether its clips may have several classes.

    Raises:
      DataError: There is none, it has no classes or too many for a clip, or lacks a split of `LABELED_SPLITS`.
    """
    prepared = open_dataset(name, data_dir)
    if not prepared.class_names:
        raise DataError(
            f"{prepared.directory} should have classes, for a classifier to learn. Its metadata.json names none."
        )
    if prepared.multi_label and not multi_label:
        raise DataError(
            f"{prepared.directory} should have one class per clip for this program. Found a multi-label set; "
            "experiments.finetune takes it."
        )
    for split in LABELED_SPLITS:
        prepared.require_split(split)
    return prepared


def _shards(
    directory: epath.Path, splits: Mapping[str, tfds.core.SplitInfo], unions: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, int]]:
    """Returns the files of every split, of the unions too, and how many records each holds."""
    shards = {
        split: {str(path): length for path, length in zip(info.filepaths, info.shard_lengths, strict=True)}
        for split, info in splits.items()
    }
    for path in itertools.chain(*shards.values()):
        if epath.Path(path).parent != directory:
            raise DataError(f"Its records should lie in its directory. Found {path}.")
    for union, parts in unions.items():
        # A part of which no clip could be used was not written.
        there = [shards[part].items() for part in parts if part in shards]
        if there:
            shards[union] = dict(itertools.chain(*there))
    return shards


def _newest_version(name: str, data_dir: str) -> epath.Path:
    root = join(os.fspath(data_dir), name)
    try:
        found = {path: _written(path) for path in _finished_below(root, _MOST_FOLDERS_DEEP)}
    except OSError as error:
        raise DataError(f"{root} cannot be read: {error}") from error
    if not found:
        raise DataError(
            f"No prepared data set at {root} (looked for <config>/<version>/dataset_info.json). "
            f"Prepare it first: {_prepare_command(name, data_dir)}"
        )
    return epath.Path(max(found, key=lambda path: (found[path], path)))


def _finished_below(folder: str, depth: int) -> Iterator[str]:
    """Yields the directories of finished data sets; paths are literal, which `glob` would take for patterns."""
    folders, files = storage_of(folder).entries(folder)
    if "dataset_info.json" in files:
        yield folder
    if depth:
        for name in folders:
            if "incomplete" not in name:  # a directory that is still being written
                yield from _finished_below(join(folder, name), depth - 1)


def _written(directory: str) -> float:
    return epath.Path(join(directory, "dataset_info.json")).stat().mtime


def _prepare_command(name: str, data_dir: str) -> str:
    return f"python -m experiments.prepare_data --dataset={name.split('/')[0]} --data_dir={data_dir}"
