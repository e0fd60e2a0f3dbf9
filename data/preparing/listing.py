"""The listed files of a data set on disk: media files, and the clips to cut from each."""

from __future__ import annotations

import collections
import csv
import hashlib
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from data.errors import DataError
from data.source.names import composed
from data.source.storage import scheme_of
from data.source.tars import Member
from data.source.tree import SourceTree
from data.text.cues import Cue
from data.text.encodings import decode

# Times beyond this, 30 years, are none (our choice).
_LONGEST_SECONDS = 1e9


class Segment(NamedTuple):
    """One clip that is cut from a media file.

    Attributes:
      clip_id: its name, unique in the data set.
      start_seconds: where in the file it starts.
      end_seconds: where it ends; None for the file's end. One beyond that is cut off there.
      cues: captions of this clip alone, their times those of the file.
      fills_file: whether the file should hold this clip and no more. Decides nothing but what reports say.
    """

    clip_id: str
    start_seconds: float = 0.0
    end_seconds: float | None = None
    cues: tuple[Cue, ...] = ()
    fills_file: bool = False


class ListedVideo(NamedTuple):
    """One media file that a data set lists and that is there, and what is cut from it.

    Attributes:
      name: unique in the data set; what reports call the file. (Records name its path.)
      split: TFDS split its clips go to, such as "train" or, of overlapping splits, a partition.
      path: the video file, relative to the source folder, with `/`; None for audio alone.
      sound_path: a file to take the audio from instead; None for the audio in `path`.
      label: index into the class names, -1 where there is none.
      labels: in a multi-label set the indices of all classes; None in every other set.
      segments: the clips; empty to cut the whole video into clips of `clip_seconds`, one after the other.
        Those of audio alone are always listed.
      caption_path: the caption file, relative to the source folder; None without one.
      cues: captions that do not come from a file of their own, their times those of the video.
      broken_cues: how many of these cannot be used and are not among them.
      members: where those of its files are that lie in tar files.
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
    broken_cues: int = 0
    members: tuple[Member, ...] = ()


class ClipList(NamedTuple):
    """The listed files of a data set on disk.

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


def video_from_json(values: Sequence[Any]) -> ListedVideo:
    """Returns the `ListedVideo` that became these values when it was written as JSON."""
    video = ListedVideo(*values)
    segments = tuple(Segment(*segment)._replace(cues=_cues(segment[3])) for segment in video.segments)
    labels = None if video.labels is None else tuple(video.labels)
    members = tuple(Member(*member) for member in video.members)
    return video._replace(labels=labels, segments=segments, cues=_cues(video.cues), members=members)


def is_span(start_seconds: float, end_seconds: float) -> bool:
    """Returns whether a listed clip may start and end there: not backwards, nor where no video is."""
    return 0 <= start_seconds < end_seconds <= _LONGEST_SECONDS


def _cues(values: Iterable[Sequence[Any]]) -> tuple[Cue, ...]:
    return tuple(Cue(*cue) for cue in values)


def fingerprint(tree: SourceTree, videos: Iterable[ListedVideo]) -> str:
    """Returns a hash of what is listed and of the files' sizes, wherever the folder has moved to.

    Of a remote folder only the names count (our choice): a million sizes are as many requests, which take hours.
    """
    digest, is_remote = hashlib.sha256(), bool(scheme_of(tree.root))
    for video in videos:
        files = () if is_remote else (video.path, video.sound_path, video.caption_path)
        sizes = [_size(tree.with_members(video.members), path) for path in files if path]
        # What decides no record is no part of it, so that sets from before there was such a thing are still known.
        listed = re.sub(r", fills_file=(True|False)|, members=\(\)", "", repr(video._replace(members=())))
        digest.update(f"{listed}{sizes}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _size(tree: SourceTree, path: str) -> int:
    try:
        return tree.size(path)
    except OSError:
        return -1


def read_rows(path: str) -> list[list[str]]:
    """Reads a CSV file that a user names, in whatever folder, as spreadsheets save it.

    Cells come out `composed` and without surrounding space. The file may be UTF-8 or UTF-16; commas, semicolons or tabs
    separate the cells. Empty rows, and columns at the right edge that are empty in all rows, are dropped.

    Raises:
      DataError: The file cannot be read, is in a code page, or is not CSV.
    """
    folder, name = os.path.split(path)
    try:
        tree = SourceTree(folder or ".")
    except DataError as error:
        raise DataError(f"{path} cannot be read: no such folder") from error
    with tree.open_binary(name) as file:
        found = decode(file.read())
    if found.guess and not found.guess.startswith("utf-"):
        raise DataError(
            f"{path} should be UTF-8 text. Found a code page, perhaps {found.guess}: save it as `CSV UTF-8` in the spreadsheet, "
            f"or convert it with: iconv -f {found.guess} -t utf-8 {name} > utf8.csv"
        )
    if "\ufffd" in found.text or "\0" in found.text:
        raise DataError(
            f"{path} cannot be read as text: it has broken characters; save it as `CSV UTF-8` in the spreadsheet"
        )
    try:
        return _without_empty_columns(_rows(found.text))
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a CSV file ({error})") from error


def _rows(text: str) -> list[list[str]]:
    """Returns the rows of a CSV file that have any cell; `sep=;`, which Excel reads, is none."""
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    if stated := re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE):
        text, delimiter = text[len(first) :], stated[1]
    else:
        delimiter = next((mark for mark in ",;\t" if mark in first), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    stripped = ([composed(cell.strip()) for cell in row] for row in rows)
    return [row for row in stripped if any(row)]


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    width = max((index + 1 for row in rows for index, cell in enumerate(row) if cell), default=0)
    return [row[:width] for row in rows]


def printable(path: str) -> str:
    """Returns a path with a mark for the bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", errors="replace")


def escaped(path: str) -> str:
    """Returns a path with numbers for the bytes that are not UTF-8, such as `caf\\xe9.mp4`."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def printable_names(paths: Iterable[str]) -> dict[str, str]:
    """Returns each path's name: as `printable`, or as `escaped` where that would be the name of several."""
    names = {path: printable(path) for path in paths}
    counts = collections.Counter(names.values())
    return {path: escaped(path) if counts[name] > 1 else name for path, name in names.items()}


def source_of(video: ListedVideo) -> str:
    """Returns what records call the file: its path, as it is in the video's name if that is made of it."""
    path = video.path or video.sound_path
    return video.name if video.name == escaped(path) else printable(path)


def by_reason(skipped: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Groups (reason, name) pairs; the names come out sorted."""
    groups = collections.defaultdict(list)
    for reason, name in sorted(skipped):
        groups[reason].append(name)
    return dict(groups)


def hash_position(name: str) -> float:
    """Returns a number in [0, 1) that depends on the name alone, in any form of Unicode; for splits and orders that stay."""
    digest = hashlib.sha256(composed(name).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
