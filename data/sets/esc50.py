"""The data set ESC-50: 50 environmental sounds (TFDS builder)."""

from __future__ import annotations

import dataclasses
import posixpath
from typing import NamedTuple

import tensorflow_datasets as tfds

from data.errors import DataError
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import ListedClipsConfig
from data.preparing.listing import ClipList, ListedVideo, Segment, by_reason
from data.preparing.named_files import files_by_name, pair
from data.sets.official_splits import TEST, TRAIN, split_unions
from data.source.file_kinds import SOUND_SUFFIXES

_META = "meta/esc50.csv"
_AUDIO = "audio"
_COLUMNS = ("filename", "fold", "target", "category")
_FOLDS = ("1", "2", "3", "4", "5")


class _Row(NamedTuple):
    name: str
    fold: str
    target: int
    category: str


@dataclasses.dataclass(eq=False, kw_only=True)
class ESC50Config(ListedClipsConfig):
    """Settings of `ListedClipsConfig`. There are no frames, but a clip that is cut off ends where one of them would."""

    def read_source(self) -> ClipList:
        """Looks up the sounds of the list."""
        rows = self._rows()
        categories = dict(sorted({row.target: row.category for row in rows}.items()))
        labels = {target: label for label, target in enumerate(categories)}
        files = files_by_name(self.tree, SOUND_SUFFIXES, below=_AUDIO)

        def sound_of(row: _Row) -> ListedVideo | str:
            if row.name not in files:
                return "the sound is not there"
            place = dict(split=f"fold{row.fold}", path=None, sound_path=files[row.name])
            return ListedVideo(row.name, label=labels[row.target], segments=(Segment(row.name),), **place)

        sounds, skipped = pair(rows, lambda row: row.name, sound_of)
        if not sounds:
            raise DataError(f"none of the {len(skipped)} sounds that {_META} lists is in {self.tree.path(_AUDIO)}")
        return ClipList(sounds, tuple(categories.values()), by_reason(skipped), _fold_unions())

    def _rows(self) -> list[_Row]:
        if not self.tree.exists(_META):
            raise DataError(
                f"{self.tree.root} should hold {_META} and the folder {_AUDIO}. At least one of them is missing."
            )
        header, *rows = self.tree.read_rows(_META) or [[]]
        if not set(_COLUMNS) <= set(header):
            raise DataError(f"{self.tree.path(_META)} should have a header with {', '.join(_COLUMNS)}. Found {header}")
        return [self._row(dict(zip(header, row, strict=False))) for row in rows]

    def _row(self, cells: dict[str, str]) -> _Row:
        name, fold, target, category = (cells.get(column, "") for column in _COLUMNS)
        if not name or fold not in _FOLDS or not (target.isdecimal() and len(target) < 10):
            raise DataError(
                f"{self.tree.path(_META)} should have rows of {', '.join(_COLUMNS)}, with a fold of "
                f"{', '.join(_FOLDS)} and a number as target. Found {','.join(cells.values())!r}"
            )
        return _Row(posixpath.splitext(self.tree.inside(name, _META))[0], fold, int(target), category)


class ESC50(ListedClips):
    """ESC-50: 2,000 sounds of 5 s in 50 classes; there is no video.

    The source folder is a checkout of https://github.com/karolpiczak/ESC-50:

        meta/esc50.csv    filename,fold,target,category,esc10,src_file,take
        audio/1-100032-A-0.wav    (or .WAV, .flac, .ogg, ...)

    Splits: for the five folds, `test1` is the first fold and `train1` the other four, and so on to
    `test5` and `train5`; `train` and `test` are the first of these. The records are in the partitions
    `fold1` ... `fold5`. VATT reports the mean over the five. Class names are the categories, in the
    order of their targets. The records have no frames: ask for batches with `video=False`.

    License: CC BY-NC (the subset ESC-10: CC BY).
    """

    name = "esc50"
    HAS_VIDEO = False
    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "ESC-50: environmental sounds of 5 s in 50 classes and five folds."
    CITATION = """@inproceedings{piczak2015dataset,
  title={{ESC}: Dataset for Environmental Sound Classification},
  author={Piczak, Karol J.},
  booktitle={Proceedings of the 23rd Annual ACM Conference on Multimedia}, pages={1015--1018}, year={2015}
}"""


def _fold_unions() -> dict[str, tuple[str, ...]]:
    return split_unions({f"fold{fold}": [TEST if fold == other else TRAIN for other in _FOLDS] for fold in _FOLDS})
