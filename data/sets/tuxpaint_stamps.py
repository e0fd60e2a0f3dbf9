"""The stamps of Tux Paint on disk: pictures, their written names, and the files in which these are spoken."""

from __future__ import annotations

import collections
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from data.errors import DataError
from data.media.moving_pictures import PICTURE_SUFFIXES
from data.source.tree import SourceTree

ENGLISH = "en"
SOUND_NAME = re.compile(r"(.+)_desc(?:_([a-z]{2,3}(?:_[A-Z]{2})?))?\.(?:ogg|wav)")
"""Paths of spoken names: stem and language, which is missing for English."""
_NAME = re.compile(r"([^.=]+)\.utf8=(.*)")
_SYMBOLS = "symbols"


class Stamp(NamedTuple):
    """A picture and its names.

    Attributes:
      stem: Its path without the suffix, relative to the source folder.
      path: The picture.
      names: Its written names by language, English always.
      sounds: The files in which they are spoken, by language.
    """

    stem: str
    path: str
    names: Mapping[str, str]
    sounds: Mapping[str, str]

    @property
    def folder(self) -> str:
        """The first folder of its path."""
        return self.stem.split("/")[0]


def read_stamps(tree: SourceTree, symbols: bool) -> tuple[list[Stamp], list[tuple[str, str]]]:
    """Returns the pictures with a written name, by their stems, and (reason, name) of the others."""
    pictures, sounds, texts = {}, collections.defaultdict(dict), set()
    for path in sorted(tree.find((*PICTURE_SUFFIXES, ".txt", ".ogg", ".wav")), key=_preference, reverse=True):
        stem, suffix = posixpath.splitext(path)
        if not symbols and path.split("/")[0] == _SYMBOLS:
            continue
        if suffix.lower() in PICTURE_SUFFIXES:
            pictures[stem] = path
        elif suffix == ".txt":
            texts.add(stem)
        elif match := SOUND_NAME.fullmatch(path):
            sounds[match[1]][match[2] or ENGLISH] = path
    stamps, skipped = [], []
    for stem in sorted(pictures):
        names = _read_names(tree, f"{stem}.txt") if stem in texts else "no file has its name"
        names = names if "/" in stem else "it lies in no folder, so it has no class"
        if isinstance(names, str):
            skipped.append((names, stem))
        else:
            stamps.append(Stamp(stem, pictures[stem], names, sounds[stem]))
    return stamps, skipped


def _preference(path):
    """PNG comes before SVG and Ogg before WAV; of several files the first is taken."""
    suffix = posixpath.splitext(path)[1].lower()
    return PICTURE_SUFFIXES.index(suffix) if suffix in PICTURE_SUFFIXES else suffix == ".wav", path


def _read_names(tree, path) -> dict[str, str] | str:
    """Returns a picture's names by language, or why there are none."""
    try:
        first, *lines = tree.read_text(path).splitlines() or [""]
    except DataError as error:
        return str(error)
    found = [_NAME.fullmatch(line.strip()) for line in lines]
    names = {ENGLISH: first} | {match[1]: match[2] for match in found if match}
    names = {language: name.strip() for language, name in names.items() if _plain(name)}
    return names if ENGLISH in names else "its English name is empty"


def _plain(name):
    """Returns a name as it is compared: words in lower case, without punctuation."""
    return " ".join(re.findall(r"\w+", name.casefold()))


def shared_languages(stamp, languages, spoken=True):
    """Returns in which of the languages a name is written and, if `spoken`, spoken."""
    return [each for each in languages if each in stamp.names and (each in stamp.sounds or not spoken)]


def split_by_use(stamps, languages):
    """Returns the stamps that give a clip, and (reason, name) of the others and of sounds whose name is not written."""
    reason = "its name is not both spoken and written in any of the languages"
    kept = [stamp for stamp in stamps if shared_languages(stamp, languages)]
    skipped = [(reason, stamp.stem) for stamp in stamps if not shared_languages(stamp, languages)]
    unwritten = [
        ("the name that is spoken is not written", f"{stamp.stem}@{language}")
        for stamp in kept
        for language in languages
        if language in stamp.sounds and language not in stamp.names
    ]
    return kept, skipped + unwritten


def groups_by_name(stamps: Sequence[Stamp], languages: Sequence[str]) -> dict[str, str]:
    """Returns the group of each picture, by path: those that are linked by a common name, in English or in the languages."""
    leader: dict[str, str] = {}

    def find(name):
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    spellings = [
        [_plain(stamp.names[each]) for each in (ENGLISH, *languages) if each in stamp.names] for stamp in stamps
    ]
    for first, *others in spellings:
        for other in others:
            leader[max(find(first), find(other))] = min(find(first), find(other))
    return {stamp.path: find(names[0]) for stamp, names in zip(stamps, spellings, strict=True)}
