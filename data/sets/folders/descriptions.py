"""What yt-dlp, video2dataset and img2dataset write about a video: an `.info.json`, or the `.json` of a sample."""

from __future__ import annotations

import concurrent.futures
import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from data.errors import DataError
from data.preparing.listing import printable
from data.records.sources import SourceFacts
from data.sets.folders.files import READERS, FolderFiles, key_of
from data.source.file_kinds import VIDEO_SUFFIXES
from data.source.tree import SourceTree
from data.text.json_captions import has_captions
from data.text.languages import language_of

# Our choice; comments, which yt-dlp writes into the same file, can make it huge.
LARGEST_DESCRIPTION_BYTES = 2**26
_IDS = ("videoID", "videoid", "video_id", "id", "key")
_ID_IN_NAME = re.compile(r"(.+?)\s*\[([\w-]{11})\]")  # yt-dlp's own template, with an id of YouTube


class Descriptions:
    """What is said about the videos of a folder.

    Attributes:
      by_video: that of each video that has one, by its path.
      paths: the files that say it.
      faults: what is wrong with those that cannot be read, by path.
    """

    def __init__(self, tree: SourceTree, files: FolderFiles):
        """Reads the `.info.json` next to a video, or else the `.json` of a sample."""
        videos = files.with_suffix(VIDEO_SUFFIXES)
        tree = tree.with_members(files.members.values())
        found = [(video, path) for video in videos if (path := _description_of(video, files))]
        self.by_video = {video: Description(described_by_name(video)) for video in videos if described_by_name(video)}
        self.paths = {path for _, path in found}
        self.faults: dict[str, str] = {}
        with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
            for (video, path), said in zip(found, pool.map(lambda pair: _read(tree, pair[1]), found), strict=True):
                if isinstance(said, Description):
                    self.by_video[video] = said
                else:
                    self.faults[printable(path)] = said


class Description(NamedTuple):
    """What is said about a video.

    Attributes:
      facts: its id, title, address and language.
      automatic: tags of captions that are there and were not written by people, as they are in names of files.
      has_captions: whether the file itself holds captions.
    """

    facts: SourceFacts = SourceFacts()
    automatic: frozenset[str] = frozenset()
    has_captions: bool = False


def read_description(tree: SourceTree, path: str) -> Description:
    """Reads a JSON file about a video.

    Raises:
      DataError: it cannot be read, is larger than `LARGEST_DESCRIPTION_BYTES`, or is no JSON object.
    """
    try:
        if tree.size(path) > LARGEST_DESCRIPTION_BYTES:
            raise DataError(f"it has more than {LARGEST_DESCRIPTION_BYTES} bytes")
        with tree.open_binary(path) as file:
            values = json.loads(file.read().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: also a DataError
        raise DataError(f"the description cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise DataError("the description is no JSON object")
    return describe(values)


def describe(values: Mapping[str, Any]) -> Description:
    """Returns what a JSON object says about a video; of what has another form than it should, nothing."""
    youtube = values.get("yt_meta_dict")
    info = youtube.get("info") if isinstance(youtube, dict) else None
    info = info if isinstance(info, dict) else values
    names = [info.get("id")] if info is not values else []
    written, automatic = (_tags(info.get(kind)) for kind in ("subtitles", "automatic_captions"))
    # The automatic captions of what is spoken; the others are translations of these.
    spoken = sorted(tag for tag in automatic if tag.endswith("-orig"))
    facts = SourceFacts(
        next(filter(None, map(_text, [*names, *(values.get(name) for name in _IDS)])), None),
        _text(info.get("title")) or _text(values.get("title")),
        _text(info.get("webpage_url")) or _text(values.get("url")),
        language_of(_text(info.get("language")) or next(iter(spoken), None)),
    )
    return Description(facts, automatic - written, has_captions(values))


def described_by_name(path: str) -> SourceFacts | None:
    """Returns the title and the id in a name such as `title [dQw4w9WgXcQ].mp4`; None where there are none."""
    match = _ID_IN_NAME.fullmatch(posixpath.splitext(posixpath.basename(path))[0])
    return SourceFacts(match[2], _text(printable(match[1]))) if match else None


def _description_of(video: str, files: FolderFiles) -> str | None:
    candidates = [f"{posixpath.splitext(video)[0]}.info.json", *([f"{key_of(video)}.json"] * files.is_sample(video))]
    return next((path for path in candidates if path in files.paths), None)


def _read(tree: SourceTree, path: str) -> Description | str:
    try:
        return read_description(tree, path)
    except DataError as error:
        return str(error)


def _text(value: Any) -> str | None:
    """Returns a text or number as one line; None for all else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return " ".join(str(value).encode("utf-8", errors="replace").decode().split()) or None


def _tags(captions: Any) -> frozenset[str]:
    return frozenset(captions) if isinstance(captions, dict) else frozenset()
