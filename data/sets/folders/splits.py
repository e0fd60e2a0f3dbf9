"""Which files of a folder become the training, validation and test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from data.preparing.listing import ListedVideo, hash_position
from data.source.names import composed

SPLITS = ("train", "validation", "test")


def split_by_name(
    videos: Sequence[ListedVideo], test_fraction: float, origins: Mapping[str, str] = MappingProxyType({})
) -> dict[str, list[ListedVideo]]:
    """Divides files into `train` and `test`; all clips of a file are on one side.

    A file's side follows from a hash of its name, so it stays when other files come or go. Only
    where a side would be empty does one file change over: `train` always has one, and `test` too
    if there are two files and a share for it.

    Args:
      videos: the files.
      test_fraction: share of them that becomes `test`.
      origins: by name, which video a file is a part of, for files that are parts; all parts of a video are on one side.
    """
    train, test = _set_apart(videos, test_fraction, origins)
    return {"train": train, "test": test}


def split_labeled(
    videos: Sequence[ListedVideo],
    split_of: Mapping[str, str],
    test_fraction: float,
    validation_fraction: float,
    origins: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, list[ListedVideo]]:
    """Divides labeled files into `SPLITS`; all clips of a file are on one side.

    Our choice: if no validation split is given, a share of the *training* files becomes
    it, so that what is chosen on it has seen no test file. Shares are taken as in `split_by_name`,
    by another hash of the name; the classes are not balanced.

    Args:
      videos: the files.
      split_of: each file's split by its `composed` name; empty where the user has named none.
      test_fraction: share of the files that becomes `test` if the user has named no splits.
      validation_fraction: share of the training files that becomes `validation` if the user has not
        put any file there.
      origins: as in `split_by_name`.
    """
    if split_of:
        splits = {name: [video for video in videos if split_of[composed(video.name)] == name] for name in SPLITS}
    else:
        splits = split_by_name(videos, test_fraction, origins)
    if not splits.get("validation"):
        splits["train"], splits["validation"] = _set_apart(
            splits["train"], validation_fraction, origins, salt="validation "
        )
    return {name: splits[name] for name in SPLITS}


def _set_apart(
    videos: Sequence[ListedVideo], fraction: float, origins: Mapping[str, str], salt: str = ""
) -> tuple[list[ListedVideo], list[ListedVideo]]:
    """Returns what is left and what is set apart, each in the order of `videos`."""
    origin_of = {video.name: origins.get(video.name, video.name) for video in videos}
    positions = {origin: hash_position(salt + origin) for origin in origin_of.values()}
    ordered = sorted(positions, key=positions.get)
    count = sum(position < fraction for position in positions.values())
    if fraction > 0:
        count = max(count, 1)
    apart = set(ordered[: max(0, min(count, len(ordered) - 1))])
    return (
        [video for video in videos if origin_of[video.name] not in apart],
        [video for video in videos if origin_of[video.name] in apart],
    )
