"""SubRip (.srt), for which there is no standard: as players read what people write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from data.errors import DataError
from data.text.cues import ParsedCaptions, Span, from_blocks, lines_of, resolved, span_in, without_overrides

_ARROW = "-->"
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d+))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*{_ARROW}\s*{_TIME}(?:\s.*)?$")
# Meant as times, though they may be none: negative ones, with spaces, or with another arrow; a sentence with an arrow is not.
_SIGN, _ANY_ARROW = r"[-+\u2212]?", r"(?:[-\u2013\u2014\u2212=]+\s*>|\u2192)"
_LIKE_TIME = rf"{_SIGN}\s*\d+\s*:\s*\d+\s*:\s*\d+(?:\s*[.,]\s*\d+)?"
_LIKE_TIMING = re.compile(
    rf"{_SIGN}\d+:[\w:.,]*\s*{_ARROW}|{_ARROW}\s*{_SIGN}\d+:|{_LIKE_TIME}\s*{_ANY_ARROW}\s*{_LIKE_TIME}(?!\S)"
)
# All else between < and > is text. Those with a dot and the times are WebVTT's, which converters leave.
_TAG = re.compile(
    r"</?(?:(?:b|i|u|s|em|strong|ruby|rt|c)\s*|c\.[^<>]*|(?:font|span|v|lang)(?=[\s.>])[^<>]*)>"
    r"|<\d+:\d\d(?::\d\d)?\.\d{3}>|\{/?[biusyY]\}",
    re.IGNORECASE,
)
_BREAK = re.compile(r"\\N|<br\s*/?>", re.IGNORECASE)
_REFERENCE = re.compile(r"&#?\w+;")
# With more digits it is none (our choice).
_NUMBER = re.compile(r"\d{1,9}")


def parse_subrip(text: str) -> ParsedCaptions:
    """Parses a SubRip file.

    A cue ends where a line of times starts the next one, with or without a blank line and a number before it; blank
    lines inside it are none of its words. "00:01,500" is minutes and seconds, ",4" is 4 ms. A cue whose times cannot be
    read, such as negative ones, or that ends before it starts, is skipped and counted.

    Raises:
      DataError: it has text, but no line of times.
    """
    lines = [line.strip() for line in lines_of(text)]
    starts = list(_starts(lines))
    if text.strip() and not starts:
        raise DataError("not a caption file: it has no line with '-->' between times")
    return from_blocks(_blocks(lines, starts))


def clean_subrip(text: str) -> list[str]:
    """Returns the lines of a cue without the tags that SubRip knows; `<door slams>` is text."""
    plain = _TAG.sub("", without_overrides(_BREAK.sub("\n", text).replace(r"\h", " ")))
    plain = _REFERENCE.sub(lambda match: resolved(match[0]), plain)
    return [line for line in (" ".join(line.split()) for line in plain.split("\n")) if line]


class _Start(NamedTuple):
    """Where a cue starts: the line of its number, or of its times where it has none, and that of its times."""

    first: int
    timing: int


def _starts(lines: Sequence[str]) -> Iterator[_Start]:
    previous, numbered = -1, False
    last_number: int | None = None
    for index in range(len(lines)):
        if not _is_timing(lines, index, previous):
            continue
        above = next((i for i in range(index - 1, previous, -1) if lines[i]), None)
        is_number = above is not None and _is_number(lines[above])
        follows = is_number and last_number is not None and int(lines[above]) == last_number + 1
        directly = above == index - 1 and (numbered or not lines[above - 1])
        if follows or (is_number and (directly or previous < 0)):
            numbered, last_number = True, int(lines[above])
            yield _Start(above, index)
        else:
            yield _Start(index, index)
        previous = index


def _is_timing(lines: Sequence[str], index: int, previous: int) -> bool:
    if _ARROW in lines[index] and _TIMING.match(lines[index]):
        return True
    # In the midst of a cue it is text.
    begins = index == previous + 1 or not lines[index - 1] or _is_number(lines[index - 1])
    return begins and _LIKE_TIMING.match(lines[index]) is not None


def _is_number(line: str) -> bool:
    return _NUMBER.fullmatch(line) is not None


def _blocks(lines: Sequence[str], starts: Sequence[_Start]) -> Iterator[tuple[Span | None, list[str]]]:
    for start, following in zip(starts, [*starts[1:], None], strict=False):
        body = list(lines[start.timing + 1 : following.first if following else len(lines)])
        if following is None:
            body = _without_number(body, lines[start.first])
        yield span_in(_TIMING.match(lines[start.timing])), clean_subrip("\n".join(body))


def _without_number(body: list[str], number: str) -> list[str]:
    """Returns the last cue's lines without the number of one that a broken file does not hold any more."""
    while body and not body[-1]:
        body.pop()
    if len(body) > 1 and not body[-2] and _is_number(number) and body[-1] == str(int(number) + 1):
        body.pop()
    return body
