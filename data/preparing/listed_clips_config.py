"""How the files of a data set that lists media files are found, cut and resampled."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from data.errors import DataError
from data.media.reader import MediaFormat
from data.preparing.caption_reading import CaptionOptions
from data.preparing.cutting import Cutting
from data.preparing.listing import ClipList, ListedVideo, fingerprint
from data.records.schema import settings_of
from data.source.tree import SourceTree
from data.text.marks import KEEP, POLICIES


@dataclasses.dataclass(eq=False, kw_only=True)
class ListedClipsConfig(tfds.core.BuilderConfig):
    """Decides how a data set's files are prepared. Each data set has its own subclass.

    Attributes:
      source_dir: The folder that holds the data set as it is published; None for `tfds build`, which
        has `--manual_dir`. `prepare_data` also takes a .zip or .tar(.gz, .bz2, .xz) file of it, which it
        unpacks in `--data_dir`.
      clip_seconds: A longer clip is cut off after this; a file without listed clips is cut into clips
        of this length.
      image_size_px: The shorter side of a frame is scaled down to it, never up.
      frames_per_second: Rate of the stored frames.
      sample_rate_hz: Sampling rate of the stored audio.
      max_bad_fraction: Preparation fails if more than this share of a split's files is unusable.

    With a `source_dir` it has `tree`, the `SourceTree` there, and `listed`, the result of `read_source`.
    """

    ADDED_LATER: ClassVar[tuple[str, ...]] = ()
    """Settings that data sets prepared by earlier versions do not have."""

    name: str = "default"
    source_dir: str | None = None
    clip_seconds: float = 10.0
    image_size_px: int = 256
    frames_per_second: float = 10.0
    sample_rate_hz: int = 48000
    max_bad_fraction: float = 0.5

    def __post_init__(self) -> None:
        """Reads the source's lists.

        Raises:
          DataError: if the folder does not hold the data set, or a value makes no sense.
        """
        if not 0 <= self.max_bad_fraction <= 1:
            raise DataError(f"max_bad_fraction should be a share in [0, 1]. Found {self.max_bad_fraction}")
        for name in ("image_size_px", "frames_per_second", "sample_rate_hz"):
            if not 1 <= getattr(self, name) < math.inf:
                raise DataError(f"{name} should be at least 1. Found {getattr(self, name)}")
        if not 1 <= self.clip_seconds * self.frames_per_second < math.inf:
            raise DataError(f"clip_seconds={self.clip_seconds} should be finite and hold at least one frame")
        self.tree: SourceTree | None = None
        self.listed: ClipList | None = None
        if self.source_dir is not None:
            self.tree = SourceTree(self.source_dir)
            self.listed = self.read_source()

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the list behind, which may be long, and what else was read: workers make records alone."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Finds the source folder again."""
        self.__dict__.update(state)
        self.tree, self.listed = None if self.source_dir is None else SourceTree(self.source_dir), None

    def read_source(self) -> ClipList:
        """Returns the files and clips that `tree` holds; each data set's own.

        Raises:
          DataError: if the folder does not hold the data set.
        """
        raise NotImplementedError

    def complete(self, videos: Sequence[ListedVideo]) -> Iterable[ListedVideo]:
        """Returns some of the listed videos with what is too large to hold for all of them.

        Called shortly before their records are planned, in one process; for captions in an index.
        """
        return videos

    def cutting(self) -> Cutting:
        """Returns how the files are cut."""
        media_format = MediaFormat(self.frames_per_second, self.image_size_px, self.sample_rate_hz)
        return Cutting(media_format, self.clip_seconds)

    def parameters(self) -> dict[str, Any]:
        """Returns what decides the records' content: settings, and which files there are.

        Settings added later are among them only where they are not the defaults. So data that were prepared before there was
        a setting are still known again.
        """
        settings = settings_of(self, "source_dir", "max_bad_fraction")
        for field in dataclasses.fields(self):
            if field.name in self.ADDED_LATER and getattr(self, field.name) == field.default:
                del settings[field.name]
        return settings | ({} if self.listed is None else {"source_fingerprint": self._fingerprint})

    @functools.cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.tree, self.listed.videos)


@dataclasses.dataclass(eq=False, kw_only=True)
class CaptionedClipsConfig(ListedClipsConfig):
    """Settings of `ListedClipsConfig`, and how whole videos with captions are cut.

    Attributes:
      minimum_seconds: The remainder at a video's end is kept if it is this long. A video that is
        shorter than that is one clip all the same.
      max_captions: A clip has at most this many captions, the nearest in time.
      caption_reach_seconds: Captions further from the clip than this are not its own.
      caption_marks: What is done with marks such as [Music] and (applause): keep, drop_pure (captions that are
        nothing else are dropped), or remove (also within captions, with speakers' names in capitals, >> and the
        dashes of dialogues).
    """

    ADDED_LATER = ("caption_marks",)

    minimum_seconds: float = 2.0
    max_captions: int = 16
    caption_reach_seconds: float = 10.0
    caption_marks: str = KEEP

    def __post_init__(self) -> None:
        """Reads the source's lists; raises DataError as the base does."""
        if self.caption_marks not in POLICIES:
            raise DataError(f"caption_marks should be one of {', '.join(POLICIES)}. Found {self.caption_marks!r}")
        for name in ("minimum_seconds", "max_captions", "caption_reach_seconds"):
            if not getattr(self, name) >= 0:
                raise DataError(f"{name} should be at least 0. Found {getattr(self, name)}")
        super().__post_init__()

    def cutting(self) -> Cutting:
        """Returns how the files are cut."""
        return (
            super()
            .cutting()
            ._replace(
                minimum_seconds=self.minimum_seconds,
                max_captions=self.max_captions,
                caption_reach_seconds=self.caption_reach_seconds,
                captions=self.caption_options(),
            )
        )

    def caption_options(self) -> CaptionOptions:
        """Returns how captions are read."""
        return CaptionOptions(marks=self.caption_marks)
