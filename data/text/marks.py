"""What captions hold besides words that are said: marks of sounds, names of speakers, dashes of dialogues."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from data.text.cues import Cue

KEEP, DROP_PURE, REMOVE = POLICIES = ("keep", "drop_pure", "remove")
"""All as it is; no captions of marks alone; and no marks, speakers and dashes in the others either."""
# [Music], (applause), *sighs*, and the brackets of Chinese and Japanese.
_MARK = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|\*[^*\s][^*]*\*|【[^【】]*】|（[^（）]*）|［[^［］]*］")
_NOTES = re.compile(r"[♩♪♫♬🎵🎶]")
_WORD = re.compile(r"\w")
_SPEAKER = re.compile(r"(?:>>+\s*)?([^:]{1,40}):\s+|>>+\s*")
_MOST_NAMES = 4
_DASH = re.compile(r"[-‐–—](?:\s+|(?=[^\s\d]))")
_LATER_DASH = re.compile(r"(?<=[.!?…\"'”’])\s+[-‐–—](?:\s+|(?=[^\s\d]))")


class MarkedCaptions(NamedTuple):
    """Captions after their marks were dealt with.

    Attributes:
      cues: those that are left.
      dropped: how many were nothing but marks and are not among them.
      changed: how many of those that are left had marks, speakers or dashes that were removed.
    """

    cues: list[Cue]
    dropped: int
    changed: int


def without_marks(cues: Iterable[Cue], policy: str) -> MarkedCaptions:
    """Deals with the marks in captions by one of `POLICIES`."""
    cues = list(cues)
    if policy == KEEP:
        return MarkedCaptions(cues, 0, 0)
    words = [cue for cue in cues if not is_mark(cue.text)]
    dropped = len(cues) - len(words)
    if policy == DROP_PURE:
        return MarkedCaptions(words, dropped, 0)
    plain = [cue._replace(text=remove_marks(cue.text)) for cue in words]
    changed = sum(new.text != old.text for new, old in zip(plain, words, strict=True))
    return MarkedCaptions(plain, dropped, changed)


def is_mark(text: str) -> bool:
    """Returns whether a caption is nothing but marks: `[Music]`, `(applause)`, `♪ ♪`, `...`."""
    return not _WORD.search(_NOTES.sub("", _MARK.sub("", text)))


def remove_marks(text: str) -> str:
    """Returns a caption's words without marks, a speaker's name in capitals, `>>`, and the dashes of a dialogue."""
    plain = " ".join(_NOTES.sub(" ", _MARK.sub(" ", text)).split())
    if _DASH.match(plain):
        plain = _LATER_DASH.sub(" ", _DASH.sub("", plain))
    return _without_speaker(plain)


def _without_speaker(text: str) -> str:
    """Returns a text without a name in capitals that it starts with (our choice: "Note: ..." may be what is said)."""
    match = _SPEAKER.match(text)
    if match is None or (match[1] and not (match[1].isupper() and len(match[1].split()) <= _MOST_NAMES)):
        return text
    return text[match.end() :]
