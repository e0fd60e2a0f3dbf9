"""The data set UCF101: 101 human actions in videos from YouTube (TFDS builder)."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Iterator

import tensorflow_datasets as tfds

from data.errors import DataError
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import ListedClipsConfig
from data.preparing.listing import ClipList
from data.preparing.named_files import files_by_name
from data.sets.official_splits import TEST, TRAIN, UNUSED, OfficialClip, list_clips
from data.source.file_kinds import VIDEO_SUFFIXES

_LISTS = "ucfTrainTestlist"
_CLASSES = f"{_LISTS}/classInd.txt"
_SPLITS = (1, 2, 3)
# trainlist has the class's number behind the path, testlist does not.
_ROW = re.compile(r"(\S.*?\.\w+)(?:\s+(\d+))?")


@dataclasses.dataclass(eq=False, kw_only=True)
class UCF101Config(ListedClipsConfig):
    """Settings of `ListedClipsConfig`.

    Attributes:
      clip_seconds: A longer video is cut off after this; the longest lasts 71 s, so by default none is.
    """

    clip_seconds: float = 80.0

    def read_source(self) -> ClipList:
        """Looks up the videos of the six lists."""
        class_names = self._class_names()
        # The folder is HandstandPushups, its files are v_HandStandPushups_...; copies differ in both.
        paths = {name.lower(): path for name, path in files_by_name(self.tree, VIDEO_SUFFIXES).items()}
        return list_clips(self.tree, self._clips(class_names), paths, class_names, "v_ApplyEyeMakeup_g01_c01.avi")

    def _class_names(self) -> list[str]:
        if not self.tree.exists(_CLASSES):
            raise DataError(f"{self.tree.root} should hold the lists of UCF101, {_CLASSES} and so on. Found none.")
        rows = self.tree.read_rows(_CLASSES, delimiter=" ")
        if [row[0] for row in rows] != [str(number + 1) for number in range(len(rows))]:
            raise DataError(
                f"{self.tree.path(_CLASSES)} should number its classes from 1 on, in rows like 1 ApplyEyeMakeup"
            )
        return [row[-1] for row in rows]

    def _clips(self, class_names: list[str]) -> dict[str, OfficialClip]:
        clips = {}
        for split in _SPLITS:
            for part in (TRAIN, TEST):
                for name, label in self._rows(f"{_LISTS}/{part}list{split:02d}.txt", class_names):
                    clip = clips.setdefault(name.lower(), OfficialClip(name, label, [UNUSED] * len(_SPLITS)))
                    clip.parts[split - 1] = part
        return clips

    def _rows(self, path: str, class_names: list[str]) -> Iterator[tuple[str, int]]:
        """Yields each listed video's name and label."""
        labels = {name.lower(): label for label, name in enumerate(class_names)}
        for line in filter(None, map(str.strip, self.tree.read_lines(path))):
            match = _ROW.fullmatch(line)
            folder, name = posixpath.split(self.tree.inside(match[1], path)) if match else ("", "")
            label = labels.get(folder.lower())
            if label is None or match[2] not in (None, str(label + 1)):
                raise DataError(
                    f"{self.tree.path(path)} should have rows like ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1, with the "
                    f"classes and numbers of {_CLASSES}. Found {line!r}"
                )
            yield posixpath.splitext(name)[0], label


class UCF101(ListedClips, skip_registration=True):  # TFDS has a data set of that name
    """UCF101: 13,320 videos of 101 human actions; 7 s on average; half of the classes have sound.

    The source folder holds what https://www.crcv.ucf.edu/data/UCF101.php hands out, unpacked:

        UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi    in any folder, or re-encoded (.mp4, ...)
        ucfTrainTestlist/classInd.txt                          1 ApplyEyeMakeup
        ucfTrainTestlist/trainlist01.txt, 02, 03               ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
        ucfTrainTestlist/testlist01.txt, 02, 03                ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi

    Splits: `train1`, `test1` ... `train3`, `test3`, the official ones; `train` and `test` are the first.
    As they overlap, the records are in partitions such as `train_test_train`: the clips that the
    second split tests on. VATT reports the mean over the three. Class names are those of classInd.txt;
    a whole video is one clip.

    License: none is given; the videos belong to their uploaders on YouTube.
    """

    name = "ucf101"
    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "UCF101: videos of 101 human actions, with three official splits."
    CITATION = """@article{soomro2012ucf101,
  title={{UCF101}: A Dataset of 101 Human Actions Classes From Videos in The Wild},
  author={Soomro, Khurram and Zamir, Amir Roshan and Shah, Mubarak},
  journal={arXiv:1212.0402}, year={2012}
}"""
