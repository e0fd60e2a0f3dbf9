"""The base of the data sets that list media files: decoded, cut, resampled, written and reported."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from data.errors import DataError
from data.media.remarks import KINDS
from data.preparing.caption_reading import CAPTION_NOTES, caption_counts
from data.preparing.clip_builder import ClipBuilder
from data.preparing.cutting import cut_video, expected_clips
from data.preparing.listed_clips_config import ListedClipsConfig
from data.preparing.listing import ListedVideo, video_from_json
from data.preparing.tally import Tally
from data.records.schema import dataset_info, settings_of


class ListedClips(ClipBuilder[ListedVideo], skip_registration=True):
    """Cuts the files of a `ListedClipsConfig` into clips, one record each.

    A subclass says what the data set is: `VERSION`, `DESCRIPTION`, `CITATION`, whether its clips may have
    several classes, and whether they have frames. Files that cannot be decoded are skipped and named in
    the report.
    """

    DESCRIPTION: ClassVar[str]
    CITATION: ClassVar[str | None] = None
    MULTI_LABEL: ClassVar[bool] = False
    HAS_VIDEO: ClassVar[bool] = True
    NOTES = ("incomplete", "longer_than_listed", *CAPTION_NOTES, *KINDS)
    MANUAL_DOWNLOAD_INSTRUCTIONS = "--manual_dir is the folder that the builder's docstring describes."

    @classmethod
    def items(cls, config: ListedClipsConfig) -> dict[str, list[ListedVideo]]:
        """Returns the listed videos of each split.

        Raises:
          DataError: without a source folder, or if two files or clips have the same name.
        """
        if config.listed is None:
            raise DataError(f"--source_dir should be the data set's folder. Found {config.source_dir!r}")
        _require_different(video.name for video in config.listed.videos)
        _require_different(segment.clip_id for video in config.listed.videos for segment in video.segments)
        by_split = collections.defaultdict(list)
        for video in config.listed.videos:
            by_split[video.split].append(video)
        return dict(by_split)

    @staticmethod
    def name_of(item: ListedVideo) -> str:
        """Returns the video's name."""
        return item.name

    @classmethod
    def make_records(cls, config: ListedClipsConfig, item: ListedVideo, tally: Tally) -> Iterator[dict[str, Any]]:
        """Yields the records of the video's clips; see `cut_video`."""
        return cut_video(config.tree.with_members(item.members), item, config.cutting(), tally)

    @classmethod
    def complete(cls, config: ListedClipsConfig, items: Sequence[ListedVideo]) -> Iterable[ListedVideo]:
        """Returns what the configuration completes."""
        return config.complete(items)

    @staticmethod
    def item_from_json(values: Sequence[Any]) -> ListedVideo:
        """Returns the `ListedVideo`."""
        return video_from_json(values)

    @classmethod
    def expected_clips(cls, config: ListedClipsConfig, item: ListedVideo) -> float:
        """Returns how many clips the video's header promises."""
        return expected_clips(config.tree.with_members(item.members), item, config.cutting())

    @classmethod
    def unions(cls, config: ListedClipsConfig) -> Mapping[str, Sequence[str]]:
        """Returns those of the list."""
        return config.listed.unions

    @classmethod
    def names_left_out(cls, config: ListedClipsConfig) -> Mapping[str, Sequence[str]]:
        """Returns those that the list skips."""
        return config.listed.skipped

    @classmethod
    def report(cls, config: ListedClipsConfig, tallies: Mapping[str, Tally]) -> dict[str, Any]:
        """Returns the counts, every key always there.

        `videos_listed` counts the files of each split that are there, `videos_used` those that gave a
        clip, `videos_skipped` those that did not or are not there, `clips_skipped` the listed clips of
        files that are there which these do not hold, `captions_before_their_clip` those that had ended when the
        clip that they belong to begins; `caption_counts` explains the counts of captions.
        """
        counts = sum((tally.counts for tally in tallies.values()), collections.Counter())
        names = ("videos_used", "videos_without_audio_track", "videos_without_captions")
        names += ("clips_skipped", "clips_without_audio", "clips_without_captions", "captions_before_their_clip")
        listed = collections.Counter(video.split for video in config.listed.videos)
        return {
            "videos_listed": dict(sorted(listed.items())),
            "videos_skipped": counts["videos_bad"] + sum(map(len, config.listed.skipped.values())),
            **{name: counts[name] for name in names},
            **caption_counts(counts),
            "video_seconds": round(counts["frames"] / config.frames_per_second, 3),
            "audio_seconds": round(counts["samples"] / config.sample_rate_hz, 3),
            "clips_per_class": {name: counts[f"class {label}"] for label, name in enumerate(config.listed.class_names)},
        }

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        info = dataset_info(
            self,
            self.DESCRIPTION,
            config.parameters() if config.listed else settings_of(config, "source_dir", "max_bad_fraction"),
            citation=self.CITATION,
            multi_label=self.multi_label(config),
            has_video=self.has_video(config),
        )
        if config.listed is not None:
            _describe(info, config)
        return info

    @classmethod
    def multi_label(cls, config: ListedClipsConfig) -> bool:
        """Returns whether clips may have several classes."""
        return cls.MULTI_LABEL

    @classmethod
    def has_video(cls, config: ListedClipsConfig) -> bool:
        """Returns whether records have frames."""
        return cls.HAS_VIDEO

    def _config_for(self, dl_manager: tfds.download.DownloadManager) -> ListedClipsConfig:
        """Returns the configuration, with `--manual_dir` for the source folder if it has none."""
        config = self.builder_config
        if config.source_dir is None:
            config = dataclasses.replace(config, source_dir=str(dl_manager.manual_dir))
            _describe(self.info, config)
        return config


def _require_different(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"the lists have {name} twice; each file and each clip needs a unique name")
        seen.add(name)


def _describe(info: tfds.core.DatasetInfo, config: ListedClipsConfig) -> None:
    """Says in the metadata what only the source's lists know."""
    unions = {name: list(splits) for name, splits in config.listed.unions.items()}
    info.metadata.update(
        class_names=list(config.listed.class_names), parameters=config.parameters(), split_unions=unions
    )
