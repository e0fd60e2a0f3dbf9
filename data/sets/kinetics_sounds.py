"""The data set Kinetics-Sounds: 31 classes of Kinetics that can be seen and heard (TFDS builder)."""

from __future__ import annotations

import dataclasses
import os
import re

import tensorflow_datasets as tfds

from data.errors import DataError
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import ListedClipsConfig
from data.preparing.listing import ClipList, read_rows
from data.sets.kinetics import list_kinetics

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


@dataclasses.dataclass(eq=False, kw_only=True)
class KineticsSoundsConfig(ListedClipsConfig):
    """Settings of `ListedClipsConfig`, and which classes are taken.

    Attributes:
      class_list: Text file with other classes, one name per line, as the CSV files have them; None
        for the 31 of `CLASS_NAMES`. The config is then called like the file.
    """

    sample_rate_hz: int = 16000
    class_list: str | None = None

    def __post_init__(self) -> None:
        """Reads the list of clips; raises DataError as the base does."""
        self.class_names = CLASS_NAMES
        if self.class_list is not None:
            self.class_names = tuple(row[0] for row in read_rows(self.class_list))
            self.name = re.sub(r"\W", "_", os.path.splitext(os.path.basename(self.class_list))[0])
        if not self.class_names or len(set(self.class_names)) != len(self.class_names):
            raise DataError(f"{self.class_list} should name at least one class, and each one once")
        super().__post_init__()

    def read_source(self) -> ClipList:
        """Looks up the videos of the rows of the CSV files."""
        return list_kinetics(self.tree, self.class_names)

    def parameters(self) -> dict[str, object]:
        """Returns the base class's parameters with the classes in place of the file that names them."""
        return super().parameters() | {"class_list": list(self.class_names)}


class KineticsSounds(ListedClips):
    """Kinetics-Sounds: about 19,000 clips of 10 s in 31 classes of Kinetics-400.

    The source folder is a copy of Kinetics-400 as CVDF hands it out
    (https://github.com/cvdfoundation/kinetics-dataset), whole or only these classes:

        annotations/train.csv   label,youtube_id,time_start,time_end,split (more columns may follow)
        annotations/val.csv
        annotations/test.csv
        train/-0IErS_cisg_000017_000027.mp4
        val/..., test/..., replacement/replacement_for_corrupted_k400/...

    The CSV files may also lie in the source folder itself, and the videos in a folder per class. The
    splits are Kinetics' own, by the column `split`. Videos that are gone from YouTube are counted.

    No list of the 31 classes was published by those who first used 34 of them (Arandjelovic and
    Zisserman 2017) and it differs between later works: DGL's has 33. This one is derived in
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
