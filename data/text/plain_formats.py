"""Caption formats of lines: Advanced SubStation Alpha (.ass, .ssa), YouTube's .sbv, and lyrics (.lrc).

Our own readers, since FFmpeg 8.1 skips .ass events whose fields come in another order than usual, and takes the
offset of an .lrc file for microseconds (findings/ffmpeg_lrc_offset.sh).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from data.errors import DataError
from data.text.cues import ParsedCaptions, Span, blocks_in, from_blocks, lines_of, seconds, span_in, span_of

_ASS_TIME = re.compile(r"\s*(\d+):(\d{1,2}):(\d{1,2})[.:](\d{2,3})\s*$")
_ASS_FIELDS = "layer, start, end, style, name, marginl, marginr, marginv, effect, text"
_OVERRIDE = re.compile(r"\{[^}]*\}")
_DRAWING = re.compile(r"\\p(\d)")
_SBV_TIME = r"(\d+):(\d{1,2}):(\d{1,2})\.(\d{1,3})"
_SBV_TIMING = re.compile(rf"\s*{_SBV_TIME}\s*,\s*{_SBV_TIME}\s*$")
_LRC_STAMPS = re.compile(r"\s*((?:\[\d+:\d{1,2}(?:[.:]\d{1,3})?\]\s*)+)(.*)$")
_LRC_STAMP = re.compile(r"\[(\d+):(\d{1,2})(?:[.:](\d{1,3}))?\]")
_LRC_OFFSET = re.compile(r"\s*\[offset:\s*([+-]?\d{1,9})\s*\]", re.IGNORECASE)
_LRC_WORD_TIME = re.compile(r"<\d+:\d{1,2}(?:[.:]\d{1,3})?>")
# The last line of lyrics has no end, and none is sung for longer (our choice).
_LONGEST_LINE_SECONDS = 10.0


def parse_ass(text: str) -> ParsedCaptions:
    """Parses the dialogue lines of an .ass or .ssa file, in the order of fields that its `Format:` line gives.

    Raises:
      DataError: it has no `[Events]`.
    """
    lines = lines_of(text)
    if not any(line.strip().lower() == "[events]" for line in lines):
        raise DataError("not an .ass or .ssa file: it has no [Events]")
    # By time: a line that rolls repeats the one before it on the screen, not in the file.
    blocks = list(_ass_blocks(lines))
    return from_blocks(sorted(blocks, key=lambda block: block[0] or (0.0, 0.0)))


def clean_ass(text: str) -> list[str]:
    """Returns the lines of an event's text without override tags and drawings."""
    plain = _written(text).replace(r"\h", " ")
    return [line for line in (" ".join(line.split()) for line in re.split(r"\\[Nn]|\n", plain)) if line]


def parse_sbv(text: str) -> ParsedCaptions:
    """Parses an .sbv file: lines of `start,end`, each followed by its text until a blank line.

    Raises:
      DataError: it has text, but no such line.
    """
    lines = lines_of(text)
    starts = [index for index, line in enumerate(lines) if _SBV_TIMING.match(line)]
    if text.strip() and not starts:
        raise DataError("not an .sbv file: it has no line like 0:00:01.000,0:00:02.000")
    return from_blocks(_sbv_blocks(lines, starts))


def parse_lrc(text: str) -> ParsedCaptions:
    """Parses lyrics: `[mm:ss.xx]line`. A line lasts until the next one begins, or 10 s (our choice).

    A positive `[offset:ms]` shows all of them earlier. Times of single words are dropped.

    Raises:
      DataError: it has text, but no such line.
    """
    offset, starts = 0.0, []
    for line in lines_of(text):
        if match := _LRC_OFFSET.match(line):
            offset = int(match[1]) / 1000
        elif match := _LRC_STAMPS.match(line):
            words = " ".join(_LRC_WORD_TIME.sub("", match[2]).split())
            starts += [(_lrc_seconds(*stamp), words) for stamp in _LRC_STAMP.findall(match[1])]
    if text.strip() and not starts:
        raise DataError("not an .lrc file: it has no line like [00:12.00]words")
    timed = sorted(((start, words) for start, words in starts if start is not None), key=lambda line: line[0])
    ends = [start for start, _ in timed[1:]] + [math.inf] * bool(timed)
    broken = [(None, [])] * (len(starts) - len(timed))
    spans = [
        ((max(0.0, start - offset), max(0.0, min(end, start + _LONGEST_LINE_SECONDS) - offset)), [words])
        for (start, words), end in zip(timed, ends, strict=True)
    ]
    return from_blocks([*broken, *spans])


def _ass_blocks(lines: list[str]) -> Iterator[tuple[Span | None, list[str]]]:
    fields, is_events = _ass_fields(_ASS_FIELDS), False
    for line in lines:
        kind, _, rest = line.strip().partition(":")
        if line.strip().startswith("["):
            is_events = line.strip().lower() == "[events]"
        elif is_events and kind.lower() == "format":
            fields = _ass_fields(rest)
        elif is_events and kind.lower() == "dialogue":
            cells = dict(zip(fields, rest.split(",", len(fields) - 1), strict=False))
            start, end = (_ass_seconds(cells.get(name, "")) for name in ("start", "end"))
            yield span_of(start, end), clean_ass(cells.get("text", ""))


def _written(text: str) -> str:
    """Returns what is neither in braces nor, between `{\\p1}` and `{\\p0}`, a drawing."""
    kept, end, is_drawing = [], 0, False
    for match in blocks_in(text, _OVERRIDE):
        kept += [] if is_drawing else [text[end : match.start()]]
        end = match.end()
        for scale in _DRAWING.findall(match[0]):
            is_drawing = scale != "0"
    return "".join(kept) + ("" if is_drawing else text[end:])


def _ass_fields(line: str) -> list[str]:
    return [name.strip().lower() for name in line.split(",")]


def _ass_seconds(text: str) -> float | None:
    if (match := _ASS_TIME.match(text)) is None:
        return None
    hours, minutes, whole, fraction = match.groups()
    return seconds(hours, minutes, whole, fraction.ljust(3, "0"))


def _sbv_blocks(lines: list[str], starts: list[int]) -> Iterator[tuple[Span | None, list[str]]]:
    for start in starts:
        body = []
        for line in lines[start + 1 :]:
            if not line.strip() or _SBV_TIMING.match(line):
                break
            body += [" ".join(part.split()) for part in line.split("[br]")]
        yield span_in(_SBV_TIMING.match(lines[start])), body


def _lrc_seconds(minutes: str, whole: str, fraction: str) -> float | None:
    if int(whole) >= 60 or math.isinf(time := float(minutes) * 60):
        return None
    return time + int(whole) + int(fraction.ljust(3, "0")) / 1000
