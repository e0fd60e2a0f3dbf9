"""What the lists and the files of a data set on disk say: media files, and the clips to cut from each."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from data.captions import Cue


class Segment(NamedTuple):
    """One clip that is cut from a media file.

    Attributes:
      clip_id: its name, unique in the data set.
      start_seconds: where in the file it starts.
      end_seconds: where it ends; None for the file's end.
      cues: captions of this clip alone, their times those of the file.
    """

    clip_id: str
    start_seconds: float = 0.0
    end_seconds: float | None = None
    cues: tuple[Cue, ...] = ()


class ListedVideo(NamedTuple):
    """One media file that a data set lists and that is there, and what is cut from it.

    Attributes:
      name: unique in the data set; what reports and records call the file.
      split: TFDS split its clips go to, such as "train" or, of overlapping splits, a partition.
      path: the video file, relative to the source folder, with `/`; None for sound alone.
      sound_path: a file to take the sound from instead; None for the sound in `path`.
      label: index into the class names, -1 where there is none.
      labels: in a multi-label set the indices of all classes; None in every other set.
      segments: the clips; empty to cut the whole file into clips of `clip_seconds`, one after the other.
      caption_path: the caption file, relative to the source folder; None without one.
      cues: captions that do not come from a file of their own, their times those of the video.
    """

    name: str
    split: str
    path: str | None
    sound_path: str | None = None
    label: int = -1
    labels: tuple[int, ...] | None = None
    segments: tuple[Segment, ...] = ()
    caption_path: str | None = None
    cues: tuple[Cue, ...] = ()


class ClipList(NamedTuple):
    """What the lists and the files of a data set on disk say.

    Attributes:
      videos: those that can be prepared.
      class_names: names of the labels.
      skipped: names of those that cannot, by reason.
      unions: splits that are put together from those of `videos`: name -> their names. For data sets
        whose published splits overlap, so that no clip is stored twice.
    """

    videos: Sequence[ListedVideo]
    class_names: tuple[str, ...] = ()
    skipped: Mapping[str, Sequence[str]] = MappingProxyType({})
    unions: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def by_reason(skipped: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Groups (reason, name) pairs; the names come out sorted."""
    groups = collections.defaultdict(list)
    for reason, name in sorted(skipped):
        groups[reason].append(name)
    return dict(groups)


def hash_position(name: str) -> float:
    """Returns a number in [0, 1) that depends on the name alone; for splits and orders that stay."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
