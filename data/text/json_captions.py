"""Captions in JSON: YouTube's json3, transcripts of Whisper and its kin, samples of video2dataset, HowTo100M's lists."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from data.errors import DataError
from data.text.cues import Cue, ParsedCaptions, Span, from_blocks, in_order, one_line, span_of
from data.text.languages import language_of, preference

_OF_SAMPLES = ("clip_subtitles", "yt_meta_dict", "whisper_transcript", "caption")
_FAULTS = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


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


def parse_json(text: str, languages: Sequence[str] = ()) -> tuple[ParsedCaptions, str | None]:
    """Parses a transcript of Whisper, faster-whisper, WhisperX (`segments`) or whisper.cpp (`transcription`), or a sample.

    A sample is what video2dataset and img2dataset write about a video. Its subtitles are read (`clip_subtitles` or
    `yt_meta_dict`), or else its transcript (`whisper_transcript`), or else its `caption`, which is that of the whole video:
    it has no end (`math.inf`).

    Args:
      text: the content of the file.
      languages: those that are wanted, the most wanted first, where there are subtitles in several; empty for any.

    Returns:
      the captions, and the language that the file names; None if it names none.

    Raises:
      DataError: if this is no JSON object with one of these.
    """
    try:
        values = json.loads(text)
        return _parse_sample(values, languages) if _is_sample(values) else _parse_transcript(values)
    except _FAULTS as error:
        raise DataError(
            f"no captions: no JSON object with `segments` or those of a sample ({type(error).__name__})"
        ) from error


def has_captions(values: Mapping[str, Any]) -> bool:
    """Returns whether there are captions in a JSON object about a video; see `parse_json`."""
    try:
        return bool((_parse_sample if _is_sample(values) else _parse_transcript)(values)[0].cues)
    except _FAULTS:
        return False


def whole_text(text: str) -> ParsedCaptions:
    """Returns a text without times as the caption of the whole video: it has no end (`math.inf`)."""
    return ParsedCaptions([Cue(one_line(text), 0.0, math.inf)] if text.strip() else [], 0)


def _is_sample(values: Mapping[str, Any]) -> bool:
    return not values.keys().isdisjoint(_OF_SAMPLES)


def _parse_transcript(values: Mapping[str, Any]) -> tuple[ParsedCaptions, str | None]:
    rows = [_read_segment(segment) for segment in values["segments" if "segments" in values else "transcription"]]
    language = values.get("language") or (values.get("result") or {}).get("language")
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    lists = dict(zip(("start", "end", "text"), map(list, columns), strict=True))
    return parse_caption_lists(lists), language if isinstance(language, str) else None


def _parse_sample(values: Mapping[str, Any], languages: Sequence[str] = ()) -> tuple[ParsedCaptions, str | None]:
    by_language = _subtitles(values)
    if by_language:
        ranked = [(rank, tag) for tag in by_language if (rank := preference(language_of(tag), languages)) is not None]
        tag = min(ranked, key=lambda pair: pair[0])[1] if ranked else next(iter(by_language))
        return from_blocks(by_language[tag]), tag
    if values.get("whisper_transcript"):
        return _parse_transcript(values["whisper_transcript"])
    texts = values["caption"] if isinstance(values["caption"], list) else [values["caption"]]
    return ParsedCaptions([cue for text in texts for cue in whole_text(text).cues], 0), None


def _subtitles(values: Mapping[str, Any]) -> dict[str | None, list[tuple[Span | None, list[str]]]]:
    """Returns a sample's subtitles by language: spans within the sample, and lines."""
    found: dict[str | None, list[tuple[Span | None, list[str]]]] = {}
    of_clip = values.get("clip_subtitles")
    subtitles = of_clip or (values.get("yt_meta_dict") or {}).get("subtitles") or []
    by_language = subtitles if isinstance(subtitles, dict) else {None: subtitles}
    # A clip's subtitles have the times of the video that it was cut from.
    start = _clock(values["clips"][0][0]) if of_clip and values.get("clips") else 0.0
    for language, rows in by_language.items():
        for row in rows:
            span = span_of(*(_within(_clock(row.get(name)), start) for name in ("start", "end")))
            lines = row["lines"] if isinstance(row["lines"], dict) else {language: row["lines"]}
            for tag, texts in lines.items():
                found.setdefault(tag, []).append((span, [one_line(line) for line in texts]))
    return found


def _within(seconds: float | None, start: float | None) -> float | None:
    return None if seconds is None or start is None else round(seconds - start, 3)


def _clock(value: Any) -> float | None:
    """Returns seconds, of a number or of a text such as `00:01:02.500`; None if it is neither."""
    try:
        seconds = math.fsum(60**place * float(part) for place, part in enumerate(reversed(str(value).split(":"))))
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


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
    start, duration = _thousandth(event.get("tStartMs", math.nan)), _thousandth(event.get("dDurationMs", 0))
    words = "".join(segment.get("utf8") or "" for segment in event.get("segs") or ())
    return event.get("wWinId"), start, start + duration, words


def _read_segment(segment: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Returns a segment's start and end in seconds, and words; whisper.cpp counts milliseconds."""
    if "offsets" in segment:
        return _thousandth(segment["offsets"]["from"]), _thousandth(segment["offsets"]["to"]), segment.get("text")
    return segment.get("start"), segment.get("end"), segment.get("text")


def _thousandth(milliseconds: Any) -> float:
    try:
        return milliseconds / 1000
    except OverflowError:  # JSON's integers have any length.
        return math.nan


def _is_usable(start: Any, end: Any, text: Any) -> bool:
    numbers = all(type(time) in (int, float) and abs(time) <= sys.float_info.max for time in (start, end))
    return numbers and start <= end and isinstance(text, str)
