"""What the published data sets have in common: a list of clips, each with its files and its class."""

from __future__ import annotations

import collections
import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from data.errors import DataError


class ListedClip(NamedTuple):
    """One clip that a data set lists and whose files are there.

    Attributes:
      clip_id: its name, unique in the data set.
      split: "train", "validation" or "test".
      label: index into the class names, -1 where there is none.
      video_path: the media file, relative to the source folder, with `/`.
      sound_path: a file to take the sound from instead; None for the sound in `video_path`.
      start_seconds: where in the file the clip starts.
      end_seconds: where it ends; None for the file's end.
    """

    clip_id: str
    split: str
    label: int
    video_path: str
    sound_path: str | None = None
    start_seconds: float = 0.0
    end_seconds: float | None = None


class ClipList(NamedTuple):
    """A data set's clips, as its files and lists on disk have them.

    Attributes:
      clips: those that can be prepared.
      class_names: names of the labels.
      skipped: names of those that cannot, by reason.
    """

    clips: Sequence[ListedClip]
    class_names: tuple[str, ...]
    skipped: dict[str, list[str]]


def by_reason(skipped: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Groups (reason, name) pairs; the names come out sorted."""
    groups = collections.defaultdict(list)
    for reason, name in sorted(skipped):
        groups[reason].append(name)
    return dict(groups)


def fingerprint(source_dir: str, clips: Iterable[ListedClip]) -> str:
    """Returns a hash of what is listed and of the files' sizes, wherever the folder has moved to."""
    digest = hashlib.sha256()
    for clip in clips:
        files = (clip.video_path, clip.sound_path)
        sizes = [os.path.getsize(os.path.join(source_dir, path)) for path in files if path]
        digest.update(f"{clip!r}{sizes}\n".encode())
    return digest.hexdigest()[:16]


def find_files(source_dir: str, suffixes: Sequence[str]) -> Iterator[str]:
    """Yields the files anywhere below a folder with one of the suffixes, in any case of letters.

    They come sorted, relative to the folder and with `/`; hidden files and folders are left out.
    """
    for directory, subdirectories, file_names in os.walk(source_dir, followlinks=True):
        subdirectories[:] = sorted(name for name in subdirectories if not name.startswith("."))
        for name in sorted(file_names):
            if name.lower().endswith(tuple(suffixes)) and not name.startswith("."):
                path = os.path.relpath(os.path.join(directory, name), source_dir)
                yield path.replace(os.sep, "/")


def read_rows(path: str) -> list[list[str]]:
    """Reads a CSV file: cells without surrounding space, empty lines left out.

    A byte order mark and the line ends of any system are taken as they come.

    Raises:
      DataError: if the file cannot be read or is not UTF-8 text.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV file ({error})") from error
    return [row for row in rows if any(row)]


def hash_position(name: str) -> float:
    """Returns a number in [0, 1) that depends on the name alone; for splits that stay."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
