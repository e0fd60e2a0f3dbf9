"""The data set `folder`: a user's own videos, cut into clips with their captions (TFDS builder)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from data.errors import DataError
from data.preparing.caption_reading import CaptionOptions
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import CaptionedClipsConfig
from data.preparing.listing import ClipList, ListedVideo, by_reason, printable, printable_names
from data.preparing.tally import Tally
from data.records.sources import SourceFacts
from data.sets.folders.captions import FolderCaptions
from data.sets.folders.descriptions import Descriptions
from data.sets.folders.files import FolderFiles
from data.sets.folders.labels import FolderLabels, find_labels, read_labels
from data.sets.folders.splits import split_by_name, split_labeled
from data.source.file_kinds import VIDEO_SUFFIXES
from data.source.names import composed
from data.text.encodings import is_encoding
from data.text.languages import language_of
from data.text.marks import DROP_PURE


@dataclasses.dataclass(eq=False, kw_only=True)
class FolderConfig(CaptionedClipsConfig):
    """Settings of `CaptionedClipsConfig`, and which files are for what.

    Attributes:
      test_fraction: Share of the files that become the `test` split, unless `labels` names splits.
      labels: A CSV file with the classes of the files, as a path from here or from `source_dir`. Columns:
        file (relative to `source_dir`), labels (a name, or several with | between them) and optionally
        split (train, validation or test); see `data.sets.folders.labels.read_labels`. Files that it does
        not name are skipped. Where any file has several classes, the records get the feature `labels`.
      validation_fraction: With `labels` that name no validation split, the share of the training
        files that becomes it (0.1 by default); see `data.sets.folders.splits.split_labeled`.
      caption_languages: Languages of the captions, preferred languages first, such as en,de. Captions in other
        languages are not read; those whose language is unknown come last. Not given: no language in the name, then
        the first by its tag.
      caption_encoding: Encoding of the caption files that are not Unicode, such as cp1251; guessed if not given.
    """

    ADDED_LATER = (*CaptionedClipsConfig.ADDED_LATER, "caption_languages", "caption_encoding")

    test_fraction: float = 0.1
    labels: str | None = None
    validation_fraction: float | None = None
    caption_marks: str = DROP_PURE
    caption_languages: Sequence[str] | None = None
    caption_encoding: str | None = None

    def __post_init__(self) -> None:
        """Finds the videos and reads their labels; raises `DataError` as the base does."""
        if self.validation_fraction is not None and not self.labels:
            raise DataError("validation_fraction goes with labels: a folder without them has no split `validation`")
        for name in ("test_fraction", "validation_fraction"):
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise DataError(f"{name} should be a share in [0, 1]. Found {getattr(self, name)}")
        self._wanted_languages()
        if self.caption_encoding is not None and not is_encoding(self.caption_encoding):
            raise DataError(
                f"caption_encoding should be an encoding that Python knows, such as cp1251. Found {self.caption_encoding!r}"
            )
        self.known: FolderLabels | None = None
        self.files: FolderFiles | None = None
        self.descriptions: Descriptions | None = None
        self.captions: FolderCaptions | None = None
        super().__post_init__()

    def read_source(self) -> ClipList:
        """Finds the videos, deals them to the splits and reads their labels."""
        self.files = FolderFiles(self.tree)
        self.descriptions = Descriptions(self.tree, self.files)
        self.captions = FolderCaptions(self.files, self.descriptions.by_video, self._wanted_languages())
        videos = list(self._find_videos())
        if not videos:
            suffixes = ", ".join(VIDEO_SUFFIXES)
            raise DataError(
                f"no video file ({suffixes}) anywhere below {self.source_dir}, nor in tar files named like 00000.tar"
            )
        if self.labels:
            return self._with_labels(videos)
        splits = split_by_name(videos, self.test_fraction, self._origins(videos))
        return ClipList(_dealt(splits), skipped=self._skipped())

    def parameters(self) -> dict[str, Any]:
        """Returns the base class's parameters with the labels' content in place of their path."""
        settings = super().parameters()
        for name in ("labels", "validation_fraction"):
            settings.pop(name)
        if self.known:
            settings |= {"labels_fingerprint": self.known.fingerprint(), "validation_fraction": self.validation_share}
        return settings

    @property
    def validation_share(self) -> float:
        """`validation_fraction`, or its default."""
        return 0.1 if self.validation_fraction is None else self.validation_fraction

    def caption_options(self) -> CaptionOptions:
        """Returns how captions are read."""
        options = super().caption_options()
        return options._replace(languages=self._wanted_languages(), encoding=self.caption_encoding, tracks=True)

    def _wanted_languages(self) -> tuple[str, ...]:
        tags = (self.caption_languages,) if isinstance(self.caption_languages, str) else self.caption_languages or ()
        found = tuple(tag for tag in map(language_of, map(str.strip, tags)) if tag)
        if len(found) < len(tags):
            raise DataError(
                f"caption_languages should be tags of languages, such as en,de,pt-BR. Found {','.join(tags)}"
            )
        return found

    def _find_videos(self) -> Iterator[ListedVideo]:
        for path, name in printable_names(self.files.with_suffix(VIDEO_SUFFIXES)).items():
            captions = self.captions.of(path)
            members = self.files.members_of(path, captions)
            yield ListedVideo(name, "", path, caption_path=captions, members=members)

    def _origins(self, videos: Sequence[ListedVideo]) -> dict[str, str]:
        """Returns the addresses of samples by name: several samples may be parts of one video."""
        samples = (video for video in videos if self.files.is_sample(video.path))
        said = {video.name: self.descriptions.by_video.get(video.path) for video in samples}
        return {name: of.facts.url for name, of in said.items() if of and of.facts.url}

    def _skipped(self) -> dict[str, list[str]]:
        """Returns what cannot be read in tar files, by reason."""
        return by_reason((reason, printable(path)) for path, reason in self.files.faults)

    def _with_labels(self, videos: list[ListedVideo]) -> ClipList:
        """Keeps the videos that have labels."""
        self.known = read_labels(find_labels(self.labels, self.tree))
        labeled = [video._replace(**self.known.of(video.name)) for video in videos if self.known.names(video.name)]
        unlabeled = sorted({video.name for video in videos if not self.known.names(video.name)})
        if not labeled:
            named = ", ".join(sorted(self.known.by_file)[:3])
            raise DataError(
                f"{self.known.path} names none of the videos below {self.source_dir}: it has {named}, ...; there are "
                f"{', '.join(unlabeled[:3])}, .... Paths are relative to --source_dir."
            )
        splits = split_labeled(
            labeled, self.known.split_of, self.test_fraction, self.validation_share, self._origins(labeled)
        )
        skipped = self._skipped() | ({"the labels do not name it": unlabeled} if unlabeled else {})
        return ClipList(_dealt(splits), self.known.class_names, skipped)


class Folder(ListedClips):
    """Clips of the videos in a folder, with the labels that the user gave, if any.

    Every video (`data.source.file_kinds.VIDEO_SUFFIXES`) anywhere below the folder is read, with the captions next to it
    (`data.text.caption_files.CAPTION_SUFFIXES`), or else those of a text track in it; also in tar files of samples
    (`data.source.tars`), in place. Whether text and audio match the video is unknown.
    """

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "Clips cut from a folder of videos, with the captions that lie next to them in time."

    @classmethod
    def multi_label(cls, config: FolderConfig) -> bool:
        """Returns whether any file has several labels."""
        return config.known is not None and config.known.multi_label

    @classmethod
    def report(cls, config: FolderConfig, tallies: Mapping[str, Tally]) -> dict[str, Any]:
        """Returns the base class's report and what is not read; with labels also `multi_label` and labeled files without video.

        `sources_described` counts the videos of which `sources.jsonl` knows an id or title, `descriptions_not_read` names the
        files that should say it.
        """
        said = config.descriptions
        report = super().report(config, tallies) | config.files.report({*said.paths, *config.captions.texts})
        report |= config.captions.report(report["caption_languages"])
        report |= {"sources_described": len(cls.sources(config)), "descriptions_not_read": said.faults}
        if config.known is None:
            return report
        names = config.known.by_file.keys() - {composed(video.name) for video in config.listed.videos}
        return report | {"multi_label": config.known.multi_label, "labels_without_video": sorted(names)}

    @classmethod
    def sources(cls, config: FolderConfig) -> Mapping[str, SourceFacts]:
        """Returns the ids, titles and addresses that descriptions next to the videos say, or the names of these."""
        said = config.descriptions.by_video
        found = {video.name: said[video.path].facts for video in config.listed.videos if video.path in said}
        return {name: facts for name, facts in found.items() if any(facts)}


def _dealt(splits: Mapping[str, list[ListedVideo]]) -> list[ListedVideo]:
    return [video._replace(split=split) for split, videos in splits.items() for video in videos]
