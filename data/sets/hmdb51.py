"""The data set HMDB51: 51 human motions in videos, mostly from movies (TFDS builder)."""

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
from data.sets.official_splits import TEST, TRAIN, UNUSED, OfficialClip, list_clips
from data.source.file_kinds import VIDEO_SUFFIXES

_LISTS = "testTrainMulti_7030_splits"
_LIST_NAME = re.compile(r"(.+)_test_split([123])\.txt")
_SPLITS = 3
_PARTS = {"0": UNUSED, "1": TRAIN, "2": TEST}


@dataclasses.dataclass(eq=False, kw_only=True)
class HMDB51Config(ListedClipsConfig):
    """Settings of `ListedClipsConfig`.

    Attributes:
      clip_seconds: A longer video is cut off after this; the longest lasts 36 s, so by default none is.
    """

    clip_seconds: float = 40.0

    def read_source(self) -> ClipList:
        """Looks up the videos of the lists, three for each class."""
        lists = self._lists()
        class_names = sorted({class_name for class_name, _, _ in lists})
        clips: dict[str, OfficialClip] = {}
        for class_name, split, path in lists:
            for stem, part in self._rows(path):
                name = f"{class_name}/{stem}"
                clip = OfficialClip(name, class_names.index(class_name), [UNUSED] * _SPLITS)
                clips.setdefault(name, clip).parts[split - 1] = part
        example = "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi"
        return list_clips(self.tree, clips, self._videos(), class_names, example)

    def _lists(self) -> list[tuple[str, int, str]]:
        """Returns the lists: class, number of the split, path."""
        paths = self.tree.find((".txt",), below=_LISTS)
        matches = ((_LIST_NAME.fullmatch(posixpath.basename(path)), path) for path in paths)
        lists = [(match[1], int(match[2]), path) for match, path in matches if match]
        if not lists:
            raise DataError(
                f"{self.tree.root} should hold the lists {_LISTS}/brush_hair_test_split1.txt and so on. Found none."
            )
        return lists

    def _videos(self) -> dict[str, str]:
        """Returns class/name -> path."""
        paths = list(self.tree.find(VIDEO_SUFFIXES))
        names = ("/".join(posixpath.splitext(path)[0].split("/")[-2:]) for path in paths)
        return dict(zip(names, paths, strict=True))

    def _rows(self, path: str) -> Iterator[tuple[str, str]]:
        """Yields each listed video's name and what it is to the split."""
        for line in filter(None, map(str.strip, self.tree.read_lines(path))):
            listed, _, code = line.rpartition(" ")
            if not listed or code not in _PARTS:
                raise DataError(
                    f"{self.tree.path(path)} should have rows of a video and 0, 1 or 2, like a_wave_f_nm.avi 1. Found {line!r}"
                )
            yield posixpath.splitext(posixpath.basename(self.tree.inside(listed.strip(), path)))[0], _PARTS[code]


class HMDB51(ListedClips):
    """HMDB51: 6,766 videos of 51 human motions, 3 s on average.

    The source folder holds what https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database
    hands out, its archives unpacked (hmdb51_org.rar holds one for each class):

        brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi          in a folder per class, anywhere
        testTrainMulti_7030_splits/brush_hair_test_split1.txt, 2, 3   April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1

    The number is 1 for training, 2 for testing and 0 for neither. Splits: `train1`, `test1` ... `train3`,
    `test3`, the official ones; `train` and `test` are the first. As they overlap, the records are in
    partitions such as `train_test_unused`: the clips that the first split trains on, the second tests
    on and the third does not use. VATT reports the mean over the three. Class names are those of the
    lists; a whole video is one clip.

    License: CC BY 4.0 for the collection; the videos belong to the makers of the movies.
    """

    name = "hmdb51"
    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "HMDB51: videos of 51 human motions, with three official splits."
    CITATION = """@inproceedings{kuehne2011hmdb,
  title={{HMDB}: A Large Video Database for Human Motion Recognition},
  author={Kuehne, Hilde and Jhuang, Hueihan and Garrote, Est{\\'i}baliz and Poggio, Tomaso and Serre, Thomas},
  booktitle={IEEE International Conference on Computer Vision (ICCV)}, year={2011}
}"""
