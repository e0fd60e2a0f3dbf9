"""Caption files (.vtt, .srt, .json3) and the choice of the captions that belong to a clip."""

from __future__ import annotations

import html
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from data.errors import DataError

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMING_LINE = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_TAG = re.compile(r"<[^>]*>|\{\\[^}]*\}")


class Cue(NamedTuple):
    """One caption: its text and when it is shown, in seconds."""

    text: str
    start_seconds: float
    end_seconds: float


class ParsedCaptions(NamedTuple):
    """The usable cues of a caption file, by time, and how many were broken."""

    cues: list[Cue]
    broken_cues: int


def read_captions(path: str | os.PathLike) -> ParsedCaptions:
    """Reads a .vtt, .srt or .json3 file.

    Raises:
      DataError: if the file cannot be read, or holds text but no caption at all.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise DataError(f"the caption file cannot be read ({error.strerror})") from error
    return parse_caption_file(content, os.fspath(path))


def parse_caption_file(content: bytes, name: str) -> ParsedCaptions:
    """Parses a caption file's bytes, by the suffix of its name; .vtt and .srt are read alike.

    Raises:
      DataError: if it holds text but no caption at all.
    """
    text = _decode_text(content)
    if name.lower().endswith(".json3"):
        return parse_json3(text)
    parsed = parse_captions(text)
    if text.strip() and not text.lstrip().startswith("WEBVTT") and not any(parsed):
        raise DataError("not a caption file: it has no line with '-->'")
    return parsed


def parse_captions(text: str) -> ParsedCaptions:
    """Parses the content of a WebVTT or SubRip file.

    A cue whose time stamps cannot be read, or that ends before it starts, is skipped and counted.
    Mark-up is removed. Captions that roll (each cue repeats the line before, as automatic ones do)
    come out with every line once.
    """
    cues, broken_cues, previous_lines, previous_end = [], 0, [], float("-inf")
    for timing, lines in _blocks(text):
        times = _parse_timing(timing)
        if times is None:
            broken_cues += 1
            continue
        # Adjoining in time and the same words: the line rolled up, it was not said again.
        rolled = previous_lines if abs(times[0] - previous_end) < 0.1 else []
        fresh = " ".join(line for line in lines if line not in rolled)
        if fresh:
            cues.append(Cue(fresh, *times))
        previous_lines, previous_end = lines, times[1]
    return ParsedCaptions(sorted(cues, key=lambda cue: cue[1:]), broken_cues)


def parse_json3(text: str) -> ParsedCaptions:
    """Parses the captions of a video as YouTube serves them in its format `json3`.

    Automatic captions are lines that roll through a window: each stays until it has rolled out, long
    after the next has begun. Our choice: it ends when the next line of its window begins. Events
    that only break a line are skipped; those without a start are counted as broken.

    Raises:
      DataError: if this is not JSON with `events`.
    """
    try:
        lines = [_read_event(event) for event in json.loads(text)["events"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a json3 caption file ({type(error).__name__}: {error})") from error
    starts, ends, texts, next_starts = [], [], [], {}
    for window, start, end, words in reversed(lines):
        if words.strip():
            starts.append(start)
            ends.append(max(start, min(end, next_starts.get(window, math.inf))))
            texts.append(words)
            if window is not None:
                next_starts[window] = start
    return parse_caption_lists({"start": starts, "end": ends, "text": texts})


def parse_caption_lists(captions: Any) -> ParsedCaptions:
    """Takes a video's captions as HowTo100M has them: `{"start": [...], "end": [...], "text": [...]}`.

    Times are in seconds. A caption whose times are missing or no numbers (`null`, `NaN`), that ends
    before it starts, or whose text is no string is skipped and counted; so are all of a video whose
    lists differ in length, since texts and times cannot be matched. Empty texts are skipped.
    """
    columns = [captions.get(name) for name in ("start", "end", "text")] if isinstance(captions, Mapping) else []
    if not columns or not all(isinstance(column, list) for column in columns):
        return ParsedCaptions([], 1)
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        return ParsedCaptions([], max(lengths))
    usable = [row for row in zip(*columns, strict=True) if _is_usable(*row)]
    cues = [Cue(one_line(text), float(start), float(end)) for start, end, text in usable if text.strip()]
    return ParsedCaptions(sorted(cues, key=lambda cue: cue[1:]), lengths[0] - len(usable))


def nearest_captions(
    cues: Sequence[Cue],
    start_seconds: float,
    end_seconds: float,
    *,
    maximum: int = 16,
    reach_seconds: float = 10.0,
) -> list[Cue]:
    """Chooses the captions of a clip: those that overlap it, then the nearest in time.

    Args:
      cues: the captions of the whole file.
      start_seconds: where the clip starts.
      end_seconds: where it ends.
      maximum: how many captions to keep at most.
      reach_seconds: captions further away than this are not taken.

    Returns:
      cues by time, their times relative to the clip's start (so they may be negative).
    """

    def distance(cue: Cue) -> tuple[float, float]:
        gap = max(0.0, cue.start_seconds - end_seconds, start_seconds - cue.end_seconds)
        middles = cue.start_seconds + cue.end_seconds - start_seconds - end_seconds
        return gap, abs(middles)

    near = [cue for cue in cues if distance(cue)[0] <= reach_seconds]
    chosen = sorted(sorted(near, key=distance)[:maximum], key=lambda cue: cue[1:])
    return [Cue(text, start - start_seconds, end - start_seconds) for text, start, end in chosen]


def one_line(text: str) -> str:
    """Returns a text without line ends and the halves of characters that JSON can hold and UTF-8 cannot."""
    return " ".join(text.encode("utf-8", errors="replace").decode().split())


def format_vtt(cues: Iterable[Cue]) -> str:
    """Returns the content of a WebVTT file with these cues."""
    blocks = [
        f"{_format_time(cue.start_seconds)} --> {_format_time(cue.end_seconds)}\n{html.escape(cue.text, quote=False)}\n"
        for cue in cues
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _read_event(event: Mapping[str, Any]) -> tuple[Any, float, float, str]:
    """Returns a json3 event's window, start and end in seconds, and words."""
    start = event.get("tStartMs", math.nan) / 1000
    words = "".join(segment.get("utf8") or "" for segment in event.get("segs") or ())
    return event.get("wWinId"), start, start + event.get("dDurationMs", 0) / 1000, words


def _is_usable(start: Any, end: Any, text: Any) -> bool:
    numbers = all(type(time) in (int, float) and math.isfinite(time) for time in (start, end))
    return numbers and start <= end and isinstance(text, str)


def _decode_text(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # Old SubRip files: Western Windows is the likeliest.
        return content.decode("cp1252", errors="replace")


def _blocks(text: str) -> Iterable[tuple[str, list[str]]]:
    """Yields (timing line, text lines) of every cue; headers, notes and styles have no timing."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    starts = [i for i, line in enumerate(lines) if "-->" in line]
    for start in starts:
        body = []
        for line in lines[start + 1 :]:
            # YouTube's automatic captions begin with a line that holds a space.
            if not line.strip() and (body or not line) or "-->" in line:
                break
            body.append(" ".join(html.unescape(_TAG.sub("", line)).split()))
        yield lines[start], [line for line in body if line]


def _parse_timing(line: str) -> tuple[float, float] | None:
    match = _TIMING_LINE.match(line)
    if match is None:
        return None
    fields = match.groups()
    start, end = _seconds(*fields[:4]), _seconds(*fields[4:])
    return None if start is None or end is None or end < start else (start, end)


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float | None:
    if int(minutes) >= 60 or int(seconds) >= 60:
        return None
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return (whole * 1000 + int(fraction.ljust(3, "0"))) / 1000


def _format_time(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds / 1000:06.3f}"
