"""The caption files of a folder: which belongs to which video, and in which languages they are."""

from __future__ import annotations

import collections
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from data.preparing.listing import printable
from data.sets.folders.descriptions import Description
from data.sets.folders.files import FolderFiles, key_of, possible_stems, suffix_of
from data.source.file_kinds import VIDEO_SUFFIXES
from data.source.names import composed
from data.text.caption_files import CAPTION_SUFFIXES, UNREAD_SUFFIXES, CaptionFile, caption_files, choose
from data.text.languages import UNKNOWN_LANGUAGE


class FolderCaptions:
    """Chooses the caption files of videos, and counts what there is.

    Attributes:
      texts: the texts of samples that were chosen.
    """

    def __init__(self, files: FolderFiles, descriptions: Mapping[str, Description], wanted: Sequence[str]):
        """Sorts the caption files.

        Args:
          files: those of the folder.
          descriptions: what is said about videos, by path.
          wanted: the languages to choose, preferred languages first; empty for any.
        """
        self._files, self._descriptions, self._wanted = files, descriptions, wanted
        self._by_stem: dict[str, list[str]] = collections.defaultdict(list)
        self._found: collections.Counter[str] = collections.Counter()
        self._with_several: list[str] = []
        self._without_wanted: list[str] = []
        self._automatic = 0
        self.texts: set[str] = set()
        stems = {posixpath.splitext(composed(path))[0] for path in files.with_suffix(VIDEO_SUFFIXES)}
        for path in files.with_suffix(CAPTION_SUFFIXES):
            candidates = [stem for stem in possible_stems(path) if stem in stems]
            if candidates:
                self._by_stem[_owner(path, candidates)].append(path)

    def of(self, path: str) -> str | None:
        """Returns the path of a video's caption file; None without one in a wanted language."""
        folder, name = posixpath.split(path)
        said = self._descriptions.get(path, Description())
        neighbors = map(posixpath.basename, self._by_stem.get(posixpath.splitext(composed(path))[0], ()))
        files = caption_files(name, neighbors, said.automatic, said.facts.language)
        languages = {file.language or UNKNOWN_LANGUAGE for file in files if not file.name.lower().endswith(".json")}
        self._found.update(languages)
        if len(languages) > 1:
            self._with_several.append(path)
        chosen = choose(files, self._wanted)
        if text := self._text_of(path, chosen, said):
            self.texts.add(text)
            return text
        if languages and not chosen:
            self._without_wanted.append(path)
        self._automatic += bool(chosen and chosen.automatic)
        return posixpath.join(folder, chosen.name) if chosen else None

    def _text_of(self, path: str, chosen: CaptionFile | None, said: Description) -> str | None:
        """Returns the text of a sample, which is its caption, where there are no others."""
        if not self._files.is_sample(path):
            return None
        if chosen and (said.has_captions or not chosen.name.lower().endswith(".json")):
            return None
        text = f"{key_of(path)}.txt"
        return text if text in self._files.paths else None

    def report(self, read: Mapping[str, int]) -> dict[str, Any]:
        """Returns what there is, by language; which captions are not read; and warnings.

        Args:
          read: how many files' captions were read, by language.
        """
        return {
            "caption_languages_found": dict(sorted(self._found.items())),
            "caption_files_not_read": self._not_read(),
            "captions_automatic": self._automatic,
            "captions_in_other_languages": len(self._without_wanted),
            "warnings": [] if self._wanted else self._warnings(read),
        }

    def _not_read(self) -> dict[str, list[str]]:
        by_suffix = collections.defaultdict(list)
        for path in self._files.with_suffix(UNREAD_SUFFIXES):
            by_suffix[suffix_of(path)].append(printable(path))
        return dict(sorted(by_suffix.items()))

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
                f"{printable(self._with_several[0])}; one was read: choose with --caption_languages"
            )
        return warnings


def _owner(path: str, stems: Sequence[str]) -> str:
    """Returns which of the videos a caption file belongs to: `trip.end.srt` to trip.end, if it is there, and not to trip.

    Args:
      path: the caption file.
      stems: what its name begins with, shorter ones first; there is one at least.
    """
    if len(stems) == 1:
        return stems[0]
    name = posixpath.basename(path)
    fits = (stem for stem in reversed(stems) if caption_files(f"{posixpath.basename(stem)}.mp4", [name]))
    return next(fits, stems[-1])
