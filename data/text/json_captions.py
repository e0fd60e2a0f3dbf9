"""Captions in JSON: YouTube's json3, Whisper's and WhisperX' transcripts, and lists as HowTo100M has them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from data.errors import DataError
from data.text.cues import Cue, ParsedCaptions, in_order, one_line

_FAULTS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


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
    except _FAULTS as error:
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


def parse_transcript(text: str) -> tuple[ParsedCaptions, str | None]:
    """Parses a transcript of Whisper, faster-whisper, WhisperX (`segments`) or whisper.cpp (`transcription`).

    Returns:
      the captions, and the language that the file names; None if it names none.

    Raises:
      DataError: if this is no JSON object with one of these lists.
    """
    try:
        values = json.loads(text)
        rows = [_read_segment(segment) for segment in values["segments" if "segments" in values else "transcription"]]
        language = values.get("language") or (values.get("result") or {}).get("language")
    except _FAULTS as error:
        raise DataError(f"not a transcript: no JSON object with `segments` ({type(error).__name__})") from error
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    lists = dict(zip(("start", "end", "text"), map(list, columns), strict=True))
    return parse_caption_lists(lists), language if isinstance(language, str) else None


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
    return in_order(cues, lengths[0] - len(usable))


def _read_event(event: Mapping[str, Any]) -> tuple[Any, float, float, str]:
    """Returns a json3 event's window, start and end in seconds, and words."""
    start = event.get("tStartMs", math.nan) / 1000
    words = "".join(segment.get("utf8") or "" for segment in event.get("segs") or ())
    return event.get("wWinId"), start, start + event.get("dDurationMs", 0) / 1000, words


def _read_segment(segment: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Returns a segment's start and end in seconds, and words; whisper.cpp counts milliseconds."""
    if "offsets" in segment:
        return segment["offsets"]["from"] / 1000, segment["offsets"]["to"] / 1000, segment.get("text")
    return segment.get("start"), segment.get("end"), segment.get("text")


def _is_usable(start: Any, end: Any, text: Any) -> bool:
    numbers = all(type(time) in (int, float) and math.isfinite(time) for time in (start, end))
    return numbers and start <= end and isinstance(text, str)
