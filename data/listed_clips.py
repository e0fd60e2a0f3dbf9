"""The base of the published data sets: a list of clips, decoded, resampled, written and reported."""

from __future__ import annotations

import abc
import collections
import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import tensorflow_datasets as tfds
import tqdm

from data.clip_list import ClipList, ListedClip, by_reason, fingerprint
from data.errors import DataError, PreparationError
from data.media import DecodedClip, MediaFormat, MediaReader
from data.parallel import map_in_order
from data.records import dataset_info, make_record, settings_of

# A clip that is this much shorter than its file's header says is reported as incomplete.
_MISSING_SECONDS, _MISSING_SHARE = 1.0, 0.05


@dataclasses.dataclass(eq=False, kw_only=True)
class ListedClipsConfig(tfds.core.BuilderConfig):
    """Decides what is made of a data set's files. Each data set has its own subclass.

    Attributes:
      source_dir: the folder that holds the data set as it is published.
      clip_seconds: a longer clip is cut off after this.
      image_size_px: the shorter side of a frame is scaled down to it, never up.
      frames_per_second, sample_rate_hz: rates of what is stored.
      max_bad_fraction: preparation fails if more than this share of a split's files is unusable.
    """

    name: str = "default"
    source_dir: str | None = None
    clip_seconds: float = 10.0
    image_size_px: int = 256
    frames_per_second: float = 10.0
    sample_rate_hz: int = 16000
    max_bad_fraction: float = 0.5

    def __post_init__(self) -> None:
        """Reads the list of clips.

        Raises:
          DataError: if the folder does not hold the data set, or a value makes no sense.
        """
        if not 0 <= self.max_bad_fraction <= 1:
            raise DataError(f"max_bad_fraction is a share in [0, 1], not {self.max_bad_fraction}")
        for name in ("image_size_px", "frames_per_second", "sample_rate_hz"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.clip_seconds * self.frames_per_second < 1:
            raise DataError(f"clip_seconds={self.clip_seconds} does not hold a frame")
        if not self.source_dir or not os.path.isdir(self.source_dir):
            raise DataError(f"--source_dir must be the data set's folder, not {self.source_dir!r}")
        self.listed = self.read_source()

    def read_source(self) -> ClipList:
        """Returns the clips that `source_dir` holds; each data set's own.

        Raises:
          DataError: if the folder does not hold the data set.
        """
        raise NotImplementedError

    def parameters(self) -> dict[str, Any]:
        """Returns what decides the records' content: settings, and which files there are."""
        settings = settings_of(self, "source_dir", "max_bad_fraction")
        return settings | {"source_fingerprint": fingerprint(self.source_dir, self.listed.clips)}


class _Result(NamedTuple):
    """What became of a clip: its record, or why there is none."""

    clip: ListedClip
    record: dict[str, Any] | None = None
    reason: str | None = None
    incomplete: str | None = None


class ListedClips(tfds.core.GeneratorBasedBuilder, abc.ABC, skip_registration=True):
    """Decodes the clips of a `ListedClipsConfig`, one record each.

    A subclass says what the data set is: `VERSION`, `DESCRIPTION`, `CITATION`. The clips with files
    that cannot be decoded are left out and named in the report.
    """

    DESCRIPTION: ClassVar[str]
    CITATION: ClassVar[str]
    url_infos: ClassVar[dict] = {}  # Nothing is downloaded; TFDS would look for a list.

    def __init__(self, **kwargs: Any):
        """Takes what a TFDS builder takes; `config` is a `ListedClipsConfig`."""
        self._counts: collections.Counter[str] = collections.Counter()
        self._used: collections.Counter[int] = collections.Counter()
        self._faults: list[tuple[str, str]] = []
        self._incomplete: dict[str, str] = {}
        super().__init__(**kwargs)

    def report(self) -> dict[str, Any]:
        """Returns the counts, every key always there.

        `clips_listed` counts the clips of each split whose files are there. `skipped` maps each
        reason to the names left out for it: not there, or not usable. `incomplete` maps clips that
        are used to what is missing of them.
        """
        listed = self.builder_config.listed
        skipped = listed.skipped | by_reason(self._faults)
        return {
            "clips_listed": dict(collections.Counter(clip.split for clip in listed.clips)),
            "clips_skipped": sum(map(len, skipped.values())),
            "clips_without_audio": self._counts["without_audio"],
            "video_seconds": round(self._counts["frames"] / self.builder_config.frames_per_second, 3),
            "clips_per_class": {
                name: self._used[label] for label, name in enumerate(listed.class_names)
            },
            "skipped": skipped,
            "incomplete": self._incomplete,
        }

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        return dataset_info(
            self, self.DESCRIPTION, config.parameters(), config.listed.class_names, self.CITATION
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        by_split = collections.defaultdict(list)
        for clip in self.builder_config.listed.clips:
            by_split[clip.split].append(clip)
        generators = {}
        for split in sorted(by_split):
            examples = self._generate_examples(split, by_split[split])
            # TFDS cannot write a split in which nothing turns out to be usable.
            if (first := next(examples, None)) is not None:
                generators[split] = itertools.chain([first], examples)
        if not generators:
            raise PreparationError(self._explain("nothing is left to prepare"))
        return generators

    def _generate_examples(
        self, split: str, clips: Sequence[ListedClip]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        faults = 0
        results = map_in_order(self._try, clips)
        for result in tqdm.tqdm(results, split, len(clips), unit=" clips", mininterval=1):
            if result.record is None:
                faults += 1
                self._faults.append((result.reason, result.clip.clip_id))
                continue
            self._count(result)
            yield result.clip.clip_id, result.record
        if faults > self.builder_config.max_bad_fraction * len(clips):
            limit = f"--max_bad_fraction={self.builder_config.max_bad_fraction}"
            raise PreparationError(self._explain(f"more of split {split!r} than {limit} allows"))

    def _count(self, result: _Result) -> None:
        self._used[result.clip.label] += 1
        self._counts["frames"] += len(result.record["video"])
        self._counts["without_audio"] += not result.record["audio"].size
        if result.incomplete:
            self._incomplete[result.clip.clip_id] = result.incomplete

    def _explain(self, limit: str) -> str:
        listed = len(self.builder_config.listed.clips)
        examples = "; ".join(f"{name}: {reason}" for reason, name in self._faults[:3])
        return (
            f"{len(self._faults)} of {listed} clips cannot be used, {limit} ({examples}"
            f"{'; ...' if len(self._faults) > 3 else ''}). prepare_report.json names them all."
        )

    def _try(self, clip: ListedClip) -> _Result:
        try:
            return self._make(clip)
        except DataError as error:
            return _Result(clip, reason=str(error))

    def _make(self, clip: ListedClip) -> _Result:
        config = self.builder_config
        path, sound_path = (
            part and os.path.join(config.source_dir, part)
            for part in (clip.video_path, clip.sound_path)
        )
        clock = MediaFormat(config.frames_per_second, config.image_size_px, config.sample_rate_hz)
        reader = MediaReader(path, clock, sound_path)
        spans = dict(start_seconds=clip.start_seconds, end_seconds=clip.end_seconds)
        decoded = next(reader.clips(config.clip_seconds, **spans))
        if sound_path and not decoded.audio.size:
            raise DataError("its sound file holds no sound")
        record = make_record(
            decoded, (), clip_id=clip.clip_id, source=clip.video_path, label=clip.label
        )
        return _Result(clip, record, incomplete=self._missing(clip, reader, decoded))

    def _missing(self, clip: ListedClip, reader: MediaReader, decoded: DecodedClip) -> str | None:
        config = self.builder_config
        end = min(reader.promised_seconds, clip.end_seconds or reader.promised_seconds)
        expected = min(end - clip.start_seconds, config.clip_seconds)
        seconds = len(decoded.frames) / config.frames_per_second
        if expected - seconds <= max(_MISSING_SECONDS, _MISSING_SHARE * expected):
            return None
        return f"{seconds:.1f} of {expected:.1f} s decoded"
