"""The caption files of a folder: which belongs to which video, and in which languages they are."""

from __future__ import annotations

import collections
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from data.preparing.listing import printable
from data.source.tree import SourceTree
from data.text.caption_files import CAPTION_SUFFIXES, UNREAD_SUFFIXES, caption_files, choose
from data.text.languages import UNKNOWN_LANGUAGE


class FolderCaptions:
    """Chooses the caption files of videos, and counts what there is."""

    def __init__(self, tree: SourceTree, wanted: Sequence[str]):
        """Finds all caption files.

        Args:
          tree: the folder.
          wanted: the languages to choose, preferred languages first; empty for any.
        """
        self._wanted = wanted
        self._by_folder: dict[str, list[str]] = collections.defaultdict(list)
        self._found: collections.Counter[str] = collections.Counter()
        self._with_several: list[str] = []
        self._without_wanted: list[str] = []
        self._unread: dict[str, list[str]] = collections.defaultdict(list)
        for path in tree.find((*CAPTION_SUFFIXES, *UNREAD_SUFFIXES)):
            folder, name = posixpath.split(path)
            suffix = posixpath.splitext(name)[1].lower()
            if suffix in CAPTION_SUFFIXES:
                self._by_folder[folder].append(name)
            else:
                self._unread[suffix].append(printable(path))

    def of(self, path: str) -> str | None:
        """Returns the path of a video's caption file; None without one in a wanted language."""
        folder, name = posixpath.split(path)
        files = caption_files(name, self._by_folder[folder])
        languages = {file.language or UNKNOWN_LANGUAGE for file in files if not file.name.lower().endswith(".json")}
        self._found.update(languages)
        if len(languages) > 1:
            self._with_several.append(path)
        chosen = choose(files, self._wanted)
        if languages and not chosen:
            self._without_wanted.append(path)
        return posixpath.join(folder, chosen.name) if chosen else None

    def report(self, read: Mapping[str, int]) -> dict[str, Any]:
        """Returns what there is, by language; which captions are not read; and warnings.

        Args:
          read: how many files' captions were read, by language.
        """
        return {
            "caption_languages_found": dict(sorted(self._found.items())),
            "caption_files_not_read": dict(sorted(self._unread.items())),
            "captions_in_other_languages": len(self._without_wanted),
            "warnings": [] if self._wanted else self._warnings(read),
        }

    def _warnings(self, read: Mapping[str, int]) -> list[str]:
        """Returns what a user should decide who has not said which languages are wanted."""
        warnings = []
        known = sorted(set(read) - {UNKNOWN_LANGUAGE})
        if len(known) > 1:
            warnings.append(
                f"the captions are in {len(known)} languages ({', '.join(known)}): choose with --caption_languages"
            )
        if self._with_several:
            warnings.append(
                f"videos with captions in several languages: {len(self._with_several)}, such as "
                f"{printable(self._with_several[0])}; the first by name was read: choose with --caption_languages"
            )
        return warnings
