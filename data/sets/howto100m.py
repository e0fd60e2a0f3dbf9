"""The data set HowTo100M: narrated instructional videos (TFDS builder)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds

from data.errors import DataError
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import CaptionedClipsConfig
from data.preparing.listing import ClipList, ListedVideo, by_reason
from data.preparing.named_files import NOT_THERE, files_by_name, pair, require_some
from data.source.file_kinds import VIDEO_SUFFIXES
from data.text.caption_index import CaptionIndex

_LIST = "HowTo100M_v1.csv"
_CAPTION_FILES = ("raw_caption.json", "caption.json")


@dataclasses.dataclass(eq=False, kw_only=True)
class HowTo100MConfig(CaptionedClipsConfig):
    """Settings of `CaptionedClipsConfig`, and which captions are taken.

    Attributes:
      captions_file: The JSON file with the captions, relative to the source folder. None for
        raw_caption.json, or caption.json where that is not there (our choice: caption.json has no
        stop words any more, which a tokenizer can remove but not restore).
    """

    captions_file: str | None = None

    def read_source(self) -> ClipList:
        """Looks up the videos of the list; their captions follow in `complete`."""
        files = files_by_name(self.tree, VIDEO_SUFFIXES)

        def video_of(video_id: str) -> ListedVideo | str:
            return ListedVideo(video_id, "train", files[video_id]) if video_id in files else NOT_THERE

        videos, skipped = pair(self._video_ids(), str, video_of)
        require_some(self.tree, videos, skipped, "nVbIUDjzWY4.mp4")
        return ClipList(videos, skipped=by_reason(skipped))

    def complete(self, videos: Sequence[ListedVideo]) -> list[ListedVideo]:
        """Returns the videos with their captions; the first call reads through the caption file."""
        captions = self._index.read(video.name for video in videos)
        return [
            video._replace(cues=tuple(parsed.cues), broken_cues=parsed.broken_cues) if parsed else video
            for video, parsed in zip(videos, captions, strict=True)
        ]

    def parameters(self) -> dict[str, Any]:
        """Returns the base class's parameters and the caption file's name and size."""
        if self.listed is None:
            return super().parameters()
        path = self._captions_path()
        return super().parameters() | {"captions_file": path, "captions_bytes": self.tree.size(path)}

    @functools.cached_property
    def _index(self) -> CaptionIndex:
        return CaptionIndex(self.tree, self._captions_path(), {video.name for video in self.listed.videos})

    def _captions_path(self) -> str:
        given = self.captions_file and self.tree.inside(self.captions_file, "captions_file")
        candidates = (given,) if given else _CAPTION_FILES
        for path in candidates:
            if self.tree.exists(path):
                return path
        raise DataError(f"{self.tree.root} should hold the captions, {' or '.join(candidates)}. Found neither.")

    def _video_ids(self) -> Iterator[str]:
        rows = self.tree.stream_rows(_LIST)
        header = next(rows, [])
        if "video_id" not in header:
            raise DataError(f"{self.tree.path(_LIST)} should have a header with video_id. Found {','.join(header)!r}")
        column = header.index("video_id")
        for row in rows:
            if len(row) <= column:
                raise DataError(f"{self.tree.path(_LIST)} has the row {','.join(row)!r}, in which video_id is missing")
            yield row[column]


class HowTo100M(ListedClips):
    """HowTo100M: 1.2 million narrated videos that show how to do something, 15 years of them.

    The source folder holds what https://www.di.ens.fr/willow/research/howto100m hands out, and the videos:

        HowTo100M_v1.csv    video_id,category_1,category_2,rank,task_id
        raw_caption.json    {video_id: {"start": [s, ...], "end": [s, ...], "text": [...]}}
        caption.json        the same without stop words; one of the two is enough
        .../nVbIUDjzWY4.mp4 (or .webm, .mkv, ...) in any folder

    Whole videos are cut into clips of `clip_seconds`, one after the other, each with the captions that
    are nearest in time; they may overlap, as automatic ones do, and what a line of raw_caption.json
    repeats of the one before stays (our choice). One split, `train`; no classes (our choice: categories
    and tasks are those of the search that found a video, not of what it shows). Videos that are gone from
    YouTube are counted, as are captions that cannot be used. The caption files have up to 10 GB and more:
    they are read through once and never held.

    License: the authors' repository is under the Apache License 2.0; the videos belong to their uploaders
    on YouTube.
    """

    name = "howto100m"
    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "HowTo100M: narrated instructional videos with their automatic captions."
    CITATION = """@inproceedings{miech2019howto100m,
  title={{HowTo100M}: Learning a Text-Video Embedding by Watching Hundred Million Narrated Video Clips},
  author={Miech, Antoine and Zhukov, Dimitri and Alayrac, Jean-Baptiste and Tapaswi, Makarand and
          Laptev, Ivan and Sivic, Josef},
  booktitle={IEEE International Conference on Computer Vision (ICCV)}, year={2019}
}"""
