"""The data set AudioSet: ten-second clips of videos in 527 classes of sounds (TFDS builder)."""

from __future__ import annotations

import collections
import dataclasses
import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow_datasets as tfds

from data.errors import DataError
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import ListedClipsConfig
from data.preparing.listing import ClipList, ListedVideo, Segment, by_reason, hash_position, is_span
from data.preparing.named_files import NOT_THERE, pair, require_some
from data.source.file_kinds import SOUND_SUFFIXES, VIDEO_SUFFIXES

_BALANCED, _UNBALANCED, _EVALUATION = (
    "balanced_train_segments.csv",
    "unbalanced_train_segments.csv",
    "eval_segments.csv",
)
_CLASSES = "class_labels_indices.csv"
# An id of YouTube's, with a Y before it or not, and where the clip starts and ends.
_NUMBER = r"(\d+(?:\.\d+)?)"
_NAME = re.compile(rf"(Y?)([A-Za-z0-9_-]{{11}})(?:_{_NUMBER}(?:_{_NUMBER})?)?")


class _Row(NamedTuple):
    """A row of a list; times in seconds."""

    video_id: str
    start: float
    end: float
    labels: tuple[int, ...]
    split: str

    @property
    def name(self) -> str:
        return f"{self.video_id}_{round(1000 * self.start)}"


class _File(NamedTuple):
    """A media file: the number after its id, if any, and whether it holds a clip or the whole video."""

    start: float | None
    is_clip: bool
    path: str


@dataclasses.dataclass(eq=False, kw_only=True)
class AudioSetConfig(ListedClipsConfig):
    """Settings of `ListedClipsConfig`, and which clips are taken.

    Attributes:
      unbalanced: Whether the clips of unbalanced_train_segments.csv are in the split `train`. Without
        them the config is called "balanced".
      sound_only: Whether the records have sound and no frames; then files of sound alone serve, too.
        The config is then called "sound" or "balanced_sound".
      validation_fraction: Share of the videos of the train lists, by a hash of their ids, that becomes the split `validation`,
        by which `experiments.finetune` chooses its weights. By default there is none, as in the lists.
    """

    ADDED_LATER = ("validation_fraction",)

    unbalanced: bool = True
    sound_only: bool = False
    validation_fraction: float = 0.0

    def __post_init__(self) -> None:
        """Reads the list of clips; raises DataError as the base does."""
        if not 0 <= self.validation_fraction < 0.5:
            raise DataError(f"validation_fraction should be a share in [0, 0.5). Found {self.validation_fraction}")
        parts = [part for part, is_so in (("balanced", not self.unbalanced), ("sound", self.sound_only)) if is_so]
        self.name = "_".join(parts) or self.name
        super().__post_init__()

    def read_source(self) -> ClipList:
        """Looks up the media of the rows of the lists."""
        class_names, files = self._class_names(), self._files()
        indices = {mid: index for index, mid in enumerate(class_names)}

        def video_of(row: _Row) -> ListedVideo | str:
            if row.video_id not in files:
                return NOT_THERE
            file = _choose(files[row.video_id], row)
            return self._listed(row, file) if file else "only other clips of the video are there"

        videos, skipped = pair(self._rows(indices), lambda row: row.name, video_of)
        require_some(
            self.tree,
            videos,
            skipped,
            "--PJHxphWEs_30.mp4, --PJHxphWEs_30000_40000.mp4 or --PJHxphWEs.mp4; audio files without video are used with "
            "--sound_only",
        )
        return ClipList(videos, tuple(class_names.values()), by_reason(skipped))

    def _listed(self, row: _Row, file: _File) -> ListedVideo:
        span = (0.0, row.end - row.start) if file.is_clip else (row.start, row.end)
        paths = dict(path=None, sound_path=file.path) if self.sound_only else dict(path=file.path)
        return ListedVideo(
            row.name,
            self._split(row),
            labels=row.labels,
            segments=(Segment(row.name, *span, fills_file=file.is_clip),),
            **paths,
        )

    def _split(self, row: _Row) -> str:
        held_out = row.split == "train" and hash_position(row.video_id) < self.validation_fraction
        return "validation" if held_out else row.split

    def _files(self) -> dict[str, list[_File]]:
        """Returns id -> its files."""
        files = collections.defaultdict(list)
        for path in self.tree.find((*SOUND_SUFFIXES, *VIDEO_SUFFIXES) if self.sound_only else VIDEO_SUFFIXES):
            match = _NAME.fullmatch(posixpath.splitext(posixpath.basename(path))[0])
            if match:
                start = match[3] and float(match[3])
                files[match[2]].append(_File(start, bool(match[1] or match[3]), path))
        return files

    def _rows(self, indices: dict[str, int]) -> Iterator[_Row]:
        lists = {_BALANCED: "train", _UNBALANCED: "train", _EVALUATION: "test"}
        there = [name for name in lists if self.tree.exists(name) and (self.unbalanced or name != _UNBALANCED)]
        if not there:
            raise DataError(f"{self.tree.root} should hold {', '.join(lists)}, or one of them. Found none.")
        for name in there:
            for row in self.tree.stream_rows(name):
                if not row[0].startswith("#"):
                    yield self._read_row(row, name, lists[name], indices)

    def _read_row(self, row: list[str], list_name: str, split: str, indices: dict[str, int]) -> _Row:
        try:
            video_id, start, end, mids = row
            labels = tuple(sorted({indices[mid.strip()] for mid in mids.split(",")}))
            if not is_span(float(start), float(end)):
                raise ValueError
            return _Row(video_id, float(start), float(end), labels, split)
        except (ValueError, KeyError) as error:
            raise DataError(
                f'{self.tree.path(list_name)} should have rows like --PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088" '
                f"of classes in {_CLASSES}. Found {','.join(row)!r}"
            ) from error

    def _class_names(self) -> dict[str, str]:
        """Returns the classes' machine ids -> names, in the order of their indices."""
        header, *rows = self.tree.read_rows(_CLASSES) or [[]]
        try:
            if header[:3] != ["index", "mid", "display_name"] or [int(row[0]) for row in rows] != list(
                range(len(rows))
            ):
                raise ValueError
            return {row[1]: row[2] for row in rows}
        except (ValueError, IndexError) as error:
            raise DataError(
                f"{self.tree.path(_CLASSES)} should have the columns index,mid,display_name and the indices 0, 1, ... in order"
            ) from error


class AudioSet(ListedClips):
    """AudioSet: 2.1 million clips of 10 s from YouTube, each with all of 527 classes that are heard in it.

    The source folder holds the lists of https://research.google.com/audioset/download.html and the media:

        balanced_train_segments.csv     # comments, then --PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
        unbalanced_train_segments.csv
        eval_segments.csv
        class_labels_indices.csv        index,mid,display_name
        .../--PJHxphWEs_30.mp4          in any folder, under any of the usual names

    Names, here of the clip of --PJHxphWEs from second 30 to 40, in the order in which they are preferred:

        --PJHxphWEs_30, --PJHxphWEs_30_40, --PJHxphWEs_000030_000040, --PJHxphWEs_30.000_40.000   seconds
        --PJHxphWEs_30000, --PJHxphWEs_30000_40000                                              milliseconds
        Y--PJHxphWEs, Y--PJHxphWEs_30.000_40.000                                                the clip, as well
        --PJHxphWEs                                         the whole video, from which the clip is cut

    Whether a number counts seconds or milliseconds is decided by the row (our choice): it names the row's
    clip if it is the row's start in either unit. No list has two clips of a video for which both would fit.

    Splits: `train`, of both train lists (or the balanced one alone), and `test`, the evaluation list; with
    `validation_fraction` a share of `train` is `validation` instead (our choice). Clips have several classes
    (feature `labels`); there is no text. Clips whose video is gone are counted.

    License: the lists CC BY 4.0 (Google); the videos belong to their uploaders on YouTube.
    """

    MULTI_LABEL = True
    name = "audioset"
    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "AudioSet: clips of 10 s with the classes of what is heard in them."
    CITATION = """@inproceedings{gemmeke2017audio,
  title={Audio Set: An ontology and human-labeled dataset for audio events},
  author={Gemmeke, Jort F. and Ellis, Daniel P. W. and Freedman, Dylan and Jansen, Aren and Lawrence, Wade and
          Moore, R. Channing and Plakal, Manoj and Ritter, Marvin},
  booktitle={IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP)}, year={2017}
}"""

    @classmethod
    def has_video(cls, config: AudioSetConfig) -> bool:
        """Returns whether records have frames."""
        return not config.sound_only


def _choose(files: list[_File], row: _Row) -> _File | None:
    """Returns the file of a row: first one named by its start, then a clip without, then the whole video."""
    fitting = [file for file in files if file.start is None or file.start in (row.start, round(1000 * row.start))]
    return min(fitting, key=lambda file: (file.start is None, not file.is_clip, file.path), default=None)
