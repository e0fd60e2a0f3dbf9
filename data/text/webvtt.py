"""WebVTT by the rules of the W3C (https://www.w3.org/TR/webvtt1/#parsing), and back."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from data.text.cues import Cue, ParsedCaptions, Span, from_blocks, lines_of, resolved, span_in, without_overrides

_ARROW = "-->"
# Our choice: a comma before the milliseconds is read, too.
_TIME = r"(?:(\d+):)?(\d\d):(\d\d)[.,](\d{3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*{_ARROW}\s*{_TIME}(?!\d).*$")
_TAG = re.compile(r"<[^>]*(?:>|$)")
_LANGUAGE = re.compile(r"^Language:\s*([\w-]+)", re.MULTILINE)


def is_webvtt(text: str) -> bool:
    """Returns whether a text has the header that WebVTT must have."""
    return re.match(r"\s*WEBVTT(?:\s|$)", text) is not None


def header_language(text: str) -> str | None:
    """Returns what the header says of the language (`Language: en`, as YouTube writes it); None without that."""
    header = re.split(r"\n\r*\n", text, maxsplit=1)[0]
    match = _LANGUAGE.search(header) if is_webvtt(text) else None
    return match and match[1]


def parse_webvtt(text: str) -> ParsedCaptions:
    """Parses a WebVTT file.

    A cue starts at a line with `-->` and ends before a blank line or the next such line; other blocks (notes, styles,
    regions) are no captions. Cues whose times cannot be read, or that end before they start, are skipped and counted.
    """
    return from_blocks(_blocks(lines_of(text.replace("\0", "\ufffd"))))


def clean_webvtt(text: str) -> list[str]:
    """Returns the lines of a cue without tags, character references resolved.

    Override tags are no part of WebVTT, but are left where an .srt file was converted (our choice).
    Anything from `<` to the next `>` is a tag, also over lines; a speaker's name (`<v Anna>`) is part of one.
    """
    plain = resolved(_TAG.sub("", without_overrides(text)))
    return [line for line in (" ".join(line.split()) for line in plain.split("\n")) if line]


def format_vtt(cues: Iterable[Cue]) -> str:
    """Returns the content of a WebVTT file with these cues."""
    blocks = [
        f"{_format_time(cue.start_seconds)} --> {_format_time(cue.end_seconds)}\n{html.escape(cue.text, quote=False)}\n"
        for cue in cues
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _blocks(lines: Sequence[str]) -> Iterator[tuple[Span | None, list[str]]]:
    starts = [index for index, line in enumerate(lines) if _ARROW in line]
    for start in starts:
        body = []
        for line in lines[start + 1 :]:
            if not line or _ARROW in line:
                break
            body.append(line)
        yield span_in(_TIMING.match(lines[start])), clean_webvtt("\n".join(body))


def _format_time(time_seconds: float) -> str:
    milliseconds = round(time_seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds / 1000:06.3f}"
