"""The files of a folder of videos: listed once, with those in tar files of samples."""

from __future__ import annotations

import collections
import concurrent.futures
import posixpath
from collections.abc import Collection, Iterable
from typing import Any

from data.errors import DataError
from data.preparing.listing import printable
from data.source.file_kinds import VIDEO_SUFFIXES
from data.source.names import composed
from data.source.tars import Member, TarContent, is_shard, list_tar
from data.source.tree import SourceTree
from data.text.caption_files import CERTAIN_SUFFIXES

READERS = 16
"""How many files are read at once: it is waiting for a disk or a remote store (our choice)."""


class FolderFiles:
    """What is in a folder.

    Attributes:
      paths: All files, in their order, relative to the folder; a file in a tar file as `00000.tar/000001.mp4`.
      members: Where those in tar files are, by path.
      tars: The tar files of samples.
      faults: (path, reason) of what cannot be read in these.
    """

    def __init__(self, tree: SourceTree):
        """Lists the folder, and the tar files of samples in it (`data.source.tars.is_shard`)."""
        files = list(tree.find(("",)))
        self.tars = [path for path in files if is_shard(path)]
        with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
            contents = list(pool.map(lambda path: _content(tree, path), self.tars))
        self.members = {member.path: member for content in contents for member in content.members}
        self.faults = [fault for content in contents for fault in content.faults]
        # A dictionary for its order and for quick look-ups.
        self.paths = dict.fromkeys(sorted({*files, *self.members} - set(self.tars)))

    def with_suffix(self, suffixes: Collection[str]) -> list[str]:
        """Returns the files with one of the suffixes, in any case of letters."""
        return [path for path in self.paths if suffix_of(path) in suffixes]

    def is_sample(self, path: str) -> bool:
        """Returns whether a file is part of a sample: in a tar file, or in a folder of which video2dataset has kept count."""
        return path in self.members or f"{posixpath.dirname(path)}_stats.json" in self.paths

    def members_of(self, *paths: str | None) -> tuple[Member, ...]:
        """Returns those of the paths that are in tar files."""
        return tuple(self.members[path] for path in paths if path in self.members)

    def report(self, described: Collection[str]) -> dict[str, Any]:
        """Returns what a report says of the files that are not read.

        `captions_without_video` are caption files whose name begins with that of no video in their folder; `files_not_read`
        counts, by ending, all files that are neither videos nor captions; `tar_files` counts those of samples, and
        `samples_without_video` the samples in these that have none, as those that could not be downloaded.

        Args:
          described: the files that were read for what they say of a video.
        """
        videos, captions = self.with_suffix(VIDEO_SUFFIXES), self.with_suffix(CERTAIN_SUFFIXES)
        others = self.paths.keys() - {*videos, *captions, *described}
        return {
            "captions_without_video": _without_video(captions, videos),
            "files_not_read": dict(sorted(collections.Counter(map(suffix_of, others)).items())),
            "tar_files": len(self.tars),
            "samples_without_video": len(set(map(key_of, self.members)) - set(map(key_of, videos))),
        }


def suffix_of(path: str) -> str:
    """Returns what a name ends with, such as `.mp4`, in small letters."""
    return posixpath.splitext(path)[1].lower()


def key_of(path: str) -> str:
    """Returns what the files of a sample in a tar file share: the path up to the first dot of the name."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, name.split(".")[0])


def possible_stems(path: str) -> list[str]:
    """Returns what the video of `talk.en.auto.vtt` may be called, composed: talk, talk.en and talk.en.auto."""
    folder, name = posixpath.split(composed(path))
    parts = name.split(".")
    return [posixpath.join(folder, ".".join(parts[:count])) for count in range(1, len(parts))]


def _content(tree: SourceTree, path: str) -> TarContent:
    try:
        with tree.open_binary(path) as file:
            return list_tar(file, tree.size(path), path)
    except (DataError, OSError) as error:
        return TarContent([], [(path, str(error))])


def _without_video(captions: Iterable[str], videos: Iterable[str]) -> list[str]:
    stems = {posixpath.splitext(composed(path))[0] for path in videos}
    return [printable(path) for path in captions if stems.isdisjoint(possible_stems(path))]
