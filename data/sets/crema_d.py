"""The data set CREMA-D: actors say sentences in six emotions (TFDS builder)."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Callable

import tensorflow_datasets as tfds

from data.errors import DataError
from data.preparing.listed_clips import ListedClips
from data.preparing.listed_clips_config import ListedClipsConfig
from data.preparing.listing import ClipList, ListedVideo, Segment, by_reason, hash_position, read_rows
from data.source.file_kinds import VIDEO_SUFFIXES
from data.source.storage import join, storage_of

_EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
_CODES = tuple(_EMOTIONS)
# Actor, sentence, emotion, intensity (one published name has a single X).
_NAME = re.compile(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_(?:XX?|LO|MD|HI)")
_SPEAKERS = tuple(str(number) for number in range(1001, 1092))
_SOUND_FOLDER, _VIDEO_FOLDER = "AudioWAV", "VideoFlash"


@dataclasses.dataclass(eq=False, kw_only=True)
class CremaDConfig(ListedClipsConfig):
    """Settings of `ListedClipsConfig`, and how the clips are split.

    Attributes:
      validation_fraction: Share of the 91 speakers; with `split_csv_dir`, of the clips of train.csv.
      test_fraction: Share of the 91 speakers; ignored with `split_csv_dir`.
      split_csv_dir: Folder with `train.csv` and `test.csv` as the OGM-GE, MMPareto and DGL code has
        them, and a `validation.csv` if there is one: rows of name and emotion, such as
        `1001_DFA_ANG_XX,ANG`, without a header. The config is then called "csv". Speakers are in
        several splits there.
    """

    sample_rate_hz: int = 16000
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    split_csv_dir: str | None = None

    def __post_init__(self) -> None:
        """Reads the list of clips; raises DataError as the base does."""
        for name in ("validation_fraction", "test_fraction"):
            if not 0 <= getattr(self, name) < 0.5:
                raise DataError(f"{name} should be a share in [0, 0.5). Found {getattr(self, name)}")
        if self.split_csv_dir is not None:
            self.name = "csv"
        super().__post_init__()

    def read_source(self) -> ClipList:
        """Pairs the videos with their sounds and deals them to the splits."""
        sounds = self._files(_SOUND_FOLDER, (".wav",))
        videos = self._files(_VIDEO_FOLDER, VIDEO_SUFFIXES)
        clips, skipped, split_of = [], [], self._splitter()
        for name in sorted(sounds.keys() | videos.keys()):
            match = _NAME.fullmatch(name)
            split = split_of(name)
            if not match or match[2] not in _EMOTIONS:
                skipped.append(("not named like 1001_DFA_ANG_XX", name))
            elif name not in sounds:
                skipped.append((f"not in {_SOUND_FOLDER}", name))
            elif name not in videos:
                skipped.append((f"not in {_VIDEO_FOLDER}", name))
            elif split is None:
                skipped.append(("in no split file", name))
            else:
                label = _CODES.index(match[2])
                clips.append(ListedVideo(name, split, videos[name], sounds[name], label, segments=(Segment(name),)))
        if not clips:
            raise DataError(
                f"{self.source_dir} should hold pairs of {_SOUND_FOLDER}/NAME.wav and "
                f"{_VIDEO_FOLDER}/NAME.flv with a NAME like 1001_DFA_ANG_XX. Found none."
            )
        return ClipList(clips, tuple(_EMOTIONS.values()), by_reason(skipped))

    def parameters(self) -> dict[str, object]:
        """Returns the base class's parameters without the path of the split files; the source fingerprint covers their content."""
        return super().parameters() | {"split_csv_dir": self.split_csv_dir is not None}

    def _files(self, folder: str, suffixes: tuple[str, ...]) -> dict[str, str]:
        return {posixpath.splitext(posixpath.basename(path))[0]: path for path in self.tree.find(suffixes, folder)}

    def _splitter(self) -> Callable[[str], str | None]:
        if self.split_csv_dir is not None:
            return _read_splits(self.split_csv_dir, self.validation_fraction).get
        by_speaker = split_speakers(self.validation_fraction, self.test_fraction)
        return lambda name: by_speaker.get(name[:4])


class CremaD(ListedClips, skip_registration=True):  # TFDS has a data set of that name
    """CREMA-D: 7,442 clips of 91 actors, video and sound, in six emotions.

    The source folder is a checkout of https://github.com/CheyneyComputerScience/CREMA-D with its
    media (they are in Git LFS: `git lfs pull`):

        AudioWAV/1001_DFA_ANG_XX.wav
        VideoFlash/1001_DFA_ANG_XX.flv

    Names are actor, sentence, emotion, intensity. The audio is that of the wav file; clips of which
    either file is missing or cannot be decoded are skipped. The splits share no speaker, unless
    `CremaDConfig.split_csv_dir` gives other splits. Publications on imbalanced modalities use the CSV
    split, with speakers in common, so their accuracies are not comparable with those here.

    License: Open Database License (ODbL) 1.0, contents under the Database Contents License 1.0.
    """

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = "CREMA-D: 91 actors say twelve sentences in six emotions; face and voice."
    CITATION = """@article{cao2014crema,
  title={{CREMA-D}: Crowd-sourced Emotional Multimodal Actors Dataset},
  author={Cao, Houwei and Cooper, David G. and Keutmann, Michael K. and Gur, Ruben C. and
          Nenkova, Ani and Verma, Ragini},
  journal={IEEE Transactions on Affective Computing},
  volume={5}, number={4}, pages={377--390}, year={2014}
}"""


def split_speakers(validation_fraction: float, test_fraction: float) -> dict[str, str]:
    """Deals the 91 speakers to the splits by a hash of their number; returns number -> split."""
    ordered = sorted(_SPEAKERS, key=hash_position)
    tests = round(test_fraction * len(ordered))
    validations = round(validation_fraction * len(ordered))
    splits = ["test"] * tests + ["validation"] * validations
    splits += ["train"] * (len(ordered) - len(splits))
    return dict(zip(ordered, splits, strict=True))


def _read_splits(directory: str, validation_fraction: float) -> dict[str, str]:
    """Returns name -> split. Without validation.csv a share of train.csv is held out, by a hash."""
    train, test = (_read_names(join(directory, f"{split}.csv")) for split in ("train", "test"))
    path = join(directory, "validation.csv")
    if storage_of(path).is_file(path):
        validation = _read_names(path)
    else:
        validation = [name for name in train if hash_position(name) < validation_fraction]
    # A name in several files goes to the last of these, so that nothing is tested that was trained on.
    names = {"train": train, "validation": validation, "test": test}
    return {name: split for split, members in names.items() for name in members}


def _read_names(path: str) -> list[str]:
    rows = read_rows(path)
    for row in rows:
        match = _NAME.fullmatch(row[0])
        if not match or row[1:2] != [match[2]]:
            raise DataError(f"{path} should have rows like 1001_DFA_ANG_XX,ANG. Found {','.join(row)!r}")
    return [row[0] for row in rows]
