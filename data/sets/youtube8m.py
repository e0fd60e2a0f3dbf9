"""The data set YouTube-8M, from its videos: several topics each, with automatic captions (TFDS builder)."""

from __future__ import annotations

import collections
import dataclasses
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import tensorflow_datasets as tfds

from data.errors import DataError
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import CaptionedClipsConfig
from data.preparing.listing import ClipList, ListedVideo, by_reason
from data.preparing.named_files import NOT_THERE, files_by_name, pair, require_some
from data.source.file_kinds import VIDEO_SUFFIXES

_VOCABULARY = "vocabulary.csv"
# Classes of the vocabulary of 2018, the current one.
_CLASSES = 3862
# Each index below the largest has a name in memory; that of a slip of the pen would fill it (our choice).
_MOST_CLASSES = 1_000_000
_COLUMNS = ("video_id", "labels", "split")
_SPLITS = {"train": "train", "validate": "validation", "validation": "validation", "val": "validation", "test": "test"}
# In the order of preference: in json3 no line is repeated.
_CAPTION_SUFFIXES = (".json3", ".vtt")
_NO_PIXELS = (
    "The .tfrecord files that YouTube-8M is published as hold features, from which video and audio cannot be recovered: the "
    "videos are needed."
)


class _Row(NamedTuple):
    video_id: str
    labels: tuple[int, ...]
    split: str


@dataclasses.dataclass(eq=False, kw_only=True)
class YouTube8MConfig(CaptionedClipsConfig):
    """Settings of `CaptionedClipsConfig`, and what is taken.

    Attributes:
      list_file: The CSV file of the videos, relative to the source folder.
      languages: Those of the captions, the most wanted first. "en" stands for en, then en-orig (what
        YouTube calls its own transcript), then en-US and the like.
    """

    list_file: str = "videos.csv"
    languages: Sequence[str] = ("en",)

    def __post_init__(self) -> None:
        """Reads the list of videos; raises DataError as the base does."""
        if isinstance(self.languages, str) or not self.languages:
            raise DataError(
                f"languages should be a list such as ['en', 'de'], preferred languages first. Found {self.languages!r}"
            )
        super().__post_init__()

    def read_source(self) -> ClipList:
        """Looks up the videos of the list and their captions."""
        files, captions = files_by_name(self.tree, VIDEO_SUFFIXES), self._captions()
        class_names = self._class_names()

        def video_of(row: _Row) -> ListedVideo | str:
            video_id, labels, split = row
            if video_id not in files:
                return NOT_THERE
            return ListedVideo(video_id, split, files[video_id], labels=labels, caption_path=captions.get(video_id))

        videos, skipped = pair(self._rows(len(class_names)), lambda row: row.video_id, video_of)
        require_some(self.tree, videos, skipped, f"nVbIUDjzWY4.mp4. {_NO_PIXELS}")
        return ClipList(videos, class_names, by_reason(skipped))

    def parameters(self) -> dict[str, object]:
        """Returns the base class's parameters; the list counts by its content, not by its name."""
        settings = super().parameters()
        del settings["list_file"]
        return settings

    def _captions(self) -> dict[str, str]:
        """Returns video id -> its caption file in the first of the languages that there is."""
        found = collections.defaultdict(list)
        for path in self.tree.find(_CAPTION_SUFFIXES):
            stem, suffix = posixpath.splitext(posixpath.basename(path))
            video_id, _, language = stem.rpartition(".")
            if (rank := self._rank(language)) is not None:
                found[video_id].append((rank, _CAPTION_SUFFIXES.index(suffix.lower()), path))
        return {video_id: min(candidates)[-1] for video_id, candidates in found.items()}

    def _rank(self, language: str) -> tuple[int, int] | None:
        for index, wanted in enumerate(self.languages):
            if language == wanted or language.startswith(f"{wanted}-"):
                return index, (wanted, f"{wanted}-orig", language).index(language)
        return None

    def _rows(self, classes: int) -> Iterator[_Row]:
        path = self.tree.inside(self.list_file, "list_file")
        if not self.tree.exists(path):
            hint = f" {_NO_PIXELS}" if next(self.tree.find((".tfrecord",)), None) else ""
            raise DataError(
                f"{self.tree.root} should hold {path}, a CSV file of {','.join(_COLUMNS[:2])}. Found none.{hint}"
            )
        columns = _COLUMNS
        for number, row in enumerate(self.tree.stream_rows(path)):
            if number == 0 and _COLUMNS[0] in row:
                columns = tuple(row)
            else:
                yield self._read_row(row, columns, path, classes)

    def _read_row(self, row: list[str], columns: tuple[str, ...], path: str, classes: int) -> _Row:
        cells = dict(zip(columns, row, strict=False))
        try:
            labels = sorted({int(label) for label in re.split(r"[\s|;,]+", cells["labels"]) if label})
            if labels and not 0 <= labels[0] <= labels[-1] < classes:
                raise ValueError
            return _Row(cells["video_id"], tuple(labels), _SPLITS[cells.get("split") or "train"])
        except (ValueError, KeyError) as error:
            raise DataError(
                f"{self.tree.path(path)} should have rows of {','.join(columns)} like nVbIUDjzWY4,3 17 (labels below {classes}; "
                f"split one of {', '.join(_SPLITS)}). Found {','.join(row)!r}"
            ) from error

    def _class_names(self) -> tuple[str, ...]:
        """Returns the names of the vocabulary, or the indices where it is not there or has a gap."""
        if not self.tree.exists(_VOCABULARY):
            return tuple(map(str, range(_CLASSES)))
        header, *rows = self.tree.read_rows(_VOCABULARY) or [[]]
        try:
            index, name = header.index("Index"), header.index("Name")
            names = {int(row[index]): row[name] for row in rows}
            if (largest := max(names, default=-1)) >= _MOST_CLASSES:
                raise ValueError(f"the index {largest}")
        except (ValueError, IndexError) as error:
            raise DataError(
                f"{self.tree.path(_VOCABULARY)} should have the columns Index and Name ({error})"
            ) from error
        return tuple(names.get(index) or str(index) for index in range(largest + 1))


class YouTube8M(ListedClips):
    """YouTube-8M: 6.1 million videos with, on average, three of 3,862 topics each.

    What https://research.google.com/youtube8m hands out are features in .tfrecord files, without pixels
    or sound, of which this model can make nothing. So the videos themselves are needed, and a list of
    them (our choice of layout, since there is no published one; the names are those that
    `yt-dlp -o '%(id)s.%(ext)s' --write-subs --write-auto-subs` gives):

        videos.csv                  video_id,labels like nVbIUDjzWY4,3 17; or with | between the labels
        vocabulary.csv              as published: Index, ..., Name, ...; without it classes are numbers
        .../nVbIUDjzWY4.mp4         (or .webm, .mkv, ...) in any folder
        .../nVbIUDjzWY4.en.vtt      captions, automatic ones as well, in any folder
        .../nVbIUDjzWY4.en.json3    the same in YouTube's own format, preferred where both are there

    The ids are YouTube's; to those in the .tfrecord files (`id`, four letters) they belong as
    https://research.google.com/youtube8m/video_id_conversion.html says. The list may have a header, and a
    column `split` (train, validation or test); otherwise all is in `train`. A caption file without a
    language in its name is left alone. Whole videos are cut into clips of `clip_seconds`, each with the
    topics of its video (feature `labels`) and the captions nearest in time, if there are any.

    License: the labels CC BY 4.0 (Google); the videos belong to their uploaders on YouTube.
    """

    MULTI_LABEL = True
    name = "youtube8m"
    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "YouTube-8M: videos with their topics and automatic captions."
    CITATION = """@article{abuelhaija2016youtube,
  title={{YouTube-8M}: A Large-Scale Video Classification Benchmark},
  author={Abu-El-Haija, Sami and Kothari, Nisarg and Lee, Joonseok and Natsev, Paul and Toderici, George and
          Varadarajan, Balakrishnan and Vijayanarasimhan, Sudheendra},
  journal={arXiv:1609.08675}, year={2016}
}"""
