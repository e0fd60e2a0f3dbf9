"""The data set Kinetics-400: human actions in videos from YouTube (TFDS builder)."""

from __future__ import annotations

import dataclasses

import tensorflow_datasets as tfds

from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import ListedClipsConfig
from data.preparing.listing import ClipList
from data.sets.kinetics import list_kinetics


@dataclasses.dataclass(eq=False, kw_only=True)
class Kinetics400Config(ListedClipsConfig):
    """Settings of `ListedClipsConfig`."""

    def read_source(self) -> ClipList:
        """Looks up the videos of the rows of the CSV files."""
        return list_kinetics(self.tree)


class Kinetics400(ListedClips):
    """Kinetics-400: about 306,000 clips of 10 s of 400 human actions.

    The source folder is a copy as CVDF hands it out (https://github.com/cvdfoundation/kinetics-dataset):

        annotations/train.csv   label,youtube_id,time_start,time_end,split (more columns may follow)
        annotations/val.csv
        annotations/test.csv
        train/-0IErS_cisg_000017_000027.mp4
        val/..., test/..., replacement/replacement_for_corrupted_k400/...

    The CSV files may also lie in the source folder itself, and the videos in a folder per class. A
    video below a folder named like `replacement` stands for one of the same name elsewhere, which is
    broken. Clips of a list without labels, as the test list was at first, are counted and skipped.

    Splits: `train`, `validation` (the column says val; VATT evaluates on it) and `test`. Videos that are gone
    from YouTube are counted. Class names are those of the CSV files, sorted. VATT is fine-tuned on 32
    frames, every second one at 25 frames/s, of 320 x 320 pixels (arXiv 2104.11178, appendix A.2): prepare
    with `frames_per_second=25` and `image_size_px=320` for these.

    License: annotations CC BY 4.0 (DeepMind); the videos belong to their uploaders on YouTube.
    """

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "Kinetics-400: clips of 10 s of 400 human actions."
    CITATION = """@article{kay2017kinetics,
  title={The Kinetics Human Action Video Dataset},
  author={Kay, Will and Carreira, Jo{\\~a}o and Simonyan, Karen and Zhang, Brian and Hillier, Chloe and
          Vijayanarasimhan, Sudheendra and Viola, Fabio and Green, Tim and Back, Trevor and Natsev, Paul and
          Suleyman, Mustafa and Zisserman, Andrew},
  journal={arXiv:1705.06950}, year={2017}
}"""
