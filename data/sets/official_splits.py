"""Data sets with several official splits, which overlap: every clip is stored once, in a partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from data.preparing.listing import ClipList, ListedVideo, Segment, by_reason
from data.preparing.named_files import NOT_THERE, require_some
from data.source.tree import SourceTree

TRAIN, TEST, UNUSED = "train", "test", "unused"


class OfficialClip(NamedTuple):
    """A video that official lists name, which is one clip.

    Attributes:
      name: unique in the data set.
      label: index into the class names.
      parts: what the video is to each official split: `TRAIN`, `TEST` or `UNUSED`.
    """

    name: str
    label: int
    parts: list[str]


def list_clips(
    tree: SourceTree,
    clips: Mapping[str, OfficialClip],
    paths: Mapping[str, str],
    class_names: Sequence[str],
    example: str,
) -> ClipList:
    """Pairs the clips with their files.

    The partition of a clip is called like what it is to each split, such as "train_test_train".

    Args:
      tree: the source folder.
      clips: what the lists say, by the key that `paths` has for the same video.
      paths: the video files, relative to the source folder.
      class_names: names of the labels.
      example: a file that would be found, for the error.

    Raises:
      DataError: not one of the clips is there.
    """
    videos, skipped = [], [("in no list", paths[key]) for key in paths.keys() - clips.keys()]
    for key, clip in clips.items():
        if key not in paths:
            skipped.append((NOT_THERE, clip.name))
        elif set(clip.parts) == {UNUSED}:
            skipped.append(("used by no split", clip.name))
        else:
            segments = (Segment(clip.name),)
            partition = "_".join(clip.parts)
            videos.append(ListedVideo(clip.name, partition, paths[key], label=clip.label, segments=segments))
    require_some(tree, videos, clips, example)
    unions = split_unions({video.split: video.split.split("_") for video in videos})
    return ClipList(videos, tuple(class_names), by_reason(skipped), unions)


def split_unions(parts_of: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Returns `train1`, `test1`, `train2`, ... as unions of partitions, and `train` and `test` like the first.

    That the first stands for all is our choice; publications average over all of them.

    Args:
      parts_of: what each partition is to each official split: `TRAIN`, `TEST` or `UNUSED`.
    """
    unions = {}
    for index in range(min(map(len, parts_of.values()))):
        for part in (TRAIN, TEST):
            members = tuple(sorted(name for name, parts in parts_of.items() if parts[index] == part))
            unions[f"{part}{index + 1}"] = members
    return {name: unions[f"{name}1"] for name in (TRAIN, TEST)} | unions
