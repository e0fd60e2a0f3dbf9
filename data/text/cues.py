"""Captions and their times, and what all caption formats have in common."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

# Two cues this close in time adjoin (our choice).
_ADJOINING_SECONDS = 0.1
# A run of \r is looked at once: from its start, and not from each of its places.
_LINE_END = re.compile(r"(?<!\r)\r+\n|\n|\r")
_OVERRIDE = re.compile(r"\{\\[^}]*\}")
# More digits than Python reads, or than any character has.
_LONG_REFERENCE = re.compile(r"&#\d{20,};?", re.ASCII)


class Cue(NamedTuple):
    """One caption: its text and when it is shown, in seconds."""

    text: str
    start_seconds: float
    end_seconds: float


class ParsedCaptions(NamedTuple):
    """The usable cues of a caption file, by time, and how many were broken."""

    cues: list[Cue]
    broken_cues: int


Span = tuple[float, float]
"""When a caption starts and ends, in seconds."""


def from_blocks(blocks: Iterable[tuple[Span | None, Sequence[str]]]) -> ParsedCaptions:
    """Makes captions from spans and clean lines; a block whose span is None is counted as broken.

    Captions that roll (each cue repeats the line before, as automatic ones do) come out with every line once.
    """
    cues, broken_cues, previous_lines, previous_end = [], 0, [], float("-inf")
    for span, lines in blocks:
        if span is None:
            broken_cues += 1
            continue
        # Adjoining in time and the same words: the line rolled up, it was not said again.
        rolled = set(previous_lines) if abs(span[0] - previous_end) < _ADJOINING_SECONDS else ()
        fresh = " ".join(line for line in lines if line and line not in rolled)
        if fresh:
            cues.append(Cue(fresh, *span))
        previous_lines, previous_end = lines, span[1]
    return in_order(cues, broken_cues)


def in_order(cues: Iterable[Cue], broken_cues: int = 0) -> ParsedCaptions:
    """Returns cues by time."""
    return ParsedCaptions(sorted(cues, key=lambda cue: cue[1:]), broken_cues)


def lines_of(text: str) -> list[str]:
    """Returns the lines of a text, whatever ends them; also `\\r\\r\\n`, which some copies have."""
    return _LINE_END.split(text)


def one_line(text: str) -> str:
    """Returns a text without line ends and the halves of characters that JSON can hold and UTF-8 cannot."""
    return " ".join(text.encode("utf-8", errors="replace").decode().split())


def resolved(text: str) -> str:
    """Returns a text with its character references (`&amp;`, `&#39;`) resolved; those of no character become U+FFFD."""
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text))


def blocks_in(text: str, pattern: re.Pattern[str] = _OVERRIDE) -> Iterator[re.Match[str]]:
    """Yields what is between braces: by default override tags, `{\\an8}`, as Advanced SubStation Alpha has them.

    Behind the last closing brace nothing is looked for, or each brace that is never closed would cost a search to the end.
    """
    return pattern.finditer(text, 0, text.rfind("}") + 1)


def without_overrides(text: str) -> str:
    """Returns a text without override tags."""
    kept, end = [], 0
    for match in blocks_in(text):
        kept.append(text[end : match.start()])
        end = match.end()
    return "".join(kept) + text[end:]


def seconds(hours: str | None, minutes: str, whole: str, fraction: str | None) -> float | None:
    """Returns a time of day as seconds; `fraction` counts milliseconds, so "4" is 4 ms. None if it is no time."""
    if int(minutes) >= 60 or int(whole) >= 60:
        return None
    # Of hours there may be more digits than integers can have.
    return ((float(hours or 0) * 3600 + int(minutes) * 60 + int(whole)) * 1000 + int((fraction or "0")[:3])) / 1000


def span_in(times: re.Match[str] | None) -> Span | None:
    """Returns the span of a line of times; None if the line was not matched, or is no span.

    Args:
      times: The line's match, whose groups are the arguments of `seconds` for the start and then for the end.
    """
    return times and span_of(seconds(*times.groups()[:4]), seconds(*times.groups()[4:]))


def span_of(start: float | None, end: float | None) -> Span | None:
    """Returns a span; None if a time is missing or endless, or it ends before it starts."""
    if start is None or end is None or not (math.isfinite(start) and math.isfinite(end)):
        return None
    return (start, end) if start <= end else None
