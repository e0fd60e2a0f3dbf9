"""The data set Kinetics-Sounds: 31 classes of Kinetics that can be seen and heard (TFDS builder)."""

from __future__ import annotations

import dataclasses
import os
import re
from typing import NamedTuple

import tensorflow_datasets as tfds

from data.clip_list import ClipList, ListedClip, by_reason, find_files, read_rows
from data.errors import DataError
from data.listed_clips import ListedClips, ListedClipsConfig
from data.source_files import VIDEO_SUFFIXES

# The 34 classes of Arandjelovic and Zisserman 2017, appendix A, less the three that Kinetics-400
# does not have any more (fingerpicking, patting, typing), under the names that Kinetics-400 uses.
CLASS_NAMES = (
    "blowing nose",
    "blowing out candles",
    "bowling",
    "chopping wood",
    "dribbling basketball",
    "laughing",
    "mowing lawn",
    "playing accordion",
    "playing bagpipes",
    "playing bass guitar",
    "playing clarinet",
    "playing drums",
    "playing guitar",
    "playing harmonica",
    "playing keyboard",
    "playing organ",
    "playing piano",
    "playing saxophone",
    "playing trombone",
    "playing trumpet",
    "playing violin",
    "playing xylophone",
    "ripping paper",
    "shoveling snow",
    "shuffling cards",
    "singing",
    "stomping grapes",
    "tap dancing",
    "tapping guitar",
    "tapping pen",
    "tickling",
)
_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
_SPLITS = {"train": "train", "val": "validation", "validate": "validation", "test": "test"}
_NAME = re.compile(r".+_\d{6}_\d{6}")
_REPLACEMENTS = "replacement"


class _Row(NamedTuple):
    name: str
    label: str
    split: str


@dataclasses.dataclass(eq=False, kw_only=True)
class KineticsSoundsConfig(ListedClipsConfig):
    """Settings of `ListedClipsConfig`, and which classes are taken.

    Attributes:
      class_list: text file with other classes, one name per line, as the CSV files have them; None
        for the 31 of `CLASS_NAMES`. The config is then called like the file.
    """

    class_list: str | None = None

    def __post_init__(self) -> None:
        """Reads the list of clips; raises DataError as the base does."""
        self.class_names = CLASS_NAMES
        if self.class_list is not None:
            self.class_names = tuple(row[0] for row in read_rows(self.class_list))
            self.name = re.sub(r"\W", "_", os.path.splitext(os.path.basename(self.class_list))[0])
        if not self.class_names or len(set(self.class_names)) != len(self.class_names):
            raise DataError(f"{self.class_list} must name at least one class, and each one once")
        super().__post_init__()

    def read_source(self) -> ClipList:
        """Looks up the videos of the rows of the CSV files."""
        videos = self._videos()
        clips, skipped = {}, []
        for row in self._rows():
            if row.name in clips:
                skipped.append(("listed again", row.name))
            elif row.name not in videos:
                skipped.append(("the video is not there", row.name))
            else:
                label = self.class_names.index(row.label)
                clips[row.name] = ListedClip(row.name, row.split, label, videos[row.name])
        if not clips:
            raise DataError(
                f"none of the {len(skipped)} videos that the CSV files of {self.source_dir} list in "
                f"{len(self.class_names)} classes is there; they are found in any folder below it "
                "by names like -0IErS_cisg_000017_000027.mp4."
            )
        return ClipList(list(clips.values()), self.class_names, by_reason(skipped))

    def parameters(self) -> dict[str, object]:
        """Returns the base's; the classes count, not the file that names them."""
        return super().parameters() | {"class_list": list(self.class_names)}

    def _videos(self) -> dict[str, str]:
        """Returns name -> path; where there are two, the replacement of the broken one."""
        paths = find_files(self.source_dir, VIDEO_SUFFIXES)
        ordered = sorted(paths, key=lambda path: _REPLACEMENTS in path.split("/")[0])
        names = (os.path.splitext(os.path.basename(path))[0] for path in ordered)
        found = dict(zip(names, ordered, strict=True))
        return {name: path for name, path in found.items() if _NAME.fullmatch(name)}

    def _rows(self) -> list[_Row]:
        rows = []
        for folder in (self.source_dir, os.path.join(self.source_dir, "annotations")):
            names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
            for name in names:
                if name.lower().endswith(".csv") and not name.startswith("."):
                    rows += _read_annotations(os.path.join(folder, name), self.class_names)
        if not rows:
            raise DataError(
                f"{self.source_dir} must hold CSV files, in it or in its folder annotations, with a "
                f"header that has {', '.join(_COLUMNS)} and rows of one of {len(self.class_names)} "
                "classes, but holds none."
            )
        return rows


class KineticsSounds(ListedClips):
    """Kinetics-Sounds: about 19,000 clips of 10 s in 31 classes of Kinetics-400.

    The source folder is a copy of Kinetics-400 as CVDF hands it out
    (https://github.com/cvdfoundation/kinetics-dataset), whole or only these classes:

        annotations/train.csv   label,youtube_id,time_start,time_end,split (more columns may follow)
        annotations/val.csv
        annotations/test.csv
        train/-0IErS_cisg_000017_000027.mp4
        val/..., test/..., replacement/for_corrupted/...

    The CSV files may also lie in the source folder itself, and the videos in a folder per class. The
    splits are Kinetics' own, by the column `split`. Videos that are gone from YouTube are counted.

    No list of the 31 classes was published by those who first used 34 of them (Arandjelovic and
    Zisserman 2017) and it differs between later works: DGL's has 33. Ours is derived in
    `CLASS_NAMES`; `KineticsSoundsConfig.class_list` takes any other.

    License: annotations CC BY 4.0 (DeepMind); the videos belong to their uploaders on YouTube.
    """

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "Kinetics-Sounds: clips of 10 s of actions that can be seen and heard."
    CITATION = """@inproceedings{arandjelovic2017look,
  title={Look, Listen and Learn},
  author={Arandjelovi{\\'c}, Relja and Zisserman, Andrew},
  booktitle={IEEE International Conference on Computer Vision (ICCV)}, year={2017}
}
@article{kay2017kinetics,
  title={The Kinetics Human Action Video Dataset},
  author={Kay, Will and Carreira, Jo{\\~a}o and Simonyan, Karen and Zhang, Brian and others},
  journal={arXiv:1705.06950}, year={2017}
}"""


def _read_annotations(path: str, class_names: tuple[str, ...]) -> list[_Row]:
    """Returns the rows of the given classes; a CSV file without the columns is not one of Kinetics'."""
    header, *rows = read_rows(path) or [[]]
    if not set(_COLUMNS) <= set(header):
        return []
    places = [header.index(column) for column in _COLUMNS]
    found = []
    for row in rows:
        try:
            label, youtube_id, start, end, split = (row[place] for place in places)
            if label in class_names:
                name = f"{youtube_id}_{int(float(start)):06d}_{int(float(end)):06d}"
                found.append(_Row(name, label, _SPLITS[split]))
        except (IndexError, ValueError, KeyError) as error:
            raise DataError(
                f"{path} must have rows of {', '.join(_COLUMNS)} (split one of "
                f"{', '.join(_SPLITS)}), but has {','.join(row)!r}"
            ) from error
    return found
