"""Timed Text Markup Language (.ttml, .dfxp): https://www.w3.org/TR/ttml2. Our own: pycaption keeps only the last `<div>`."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import NamedTuple

from data.errors import DataError
from data.text.cues import ParsedCaptions, Span, from_blocks, span_of
from data.text.encodings import is_encoding

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)(?:\.(\d+)|:(\d+(?:\.\d+)?))?$")
_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|f|t)$")
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_DECLARED = re.compile(rb"<\?xml[^>]*\sencoding\s*=\s*[\"']([\w.-]+)[\"']")
_Block = tuple[Span | None, list[str]]


class _Rates(NamedTuple):
    """How many frames and ticks a second of the file has."""

    frames: float
    ticks: float

    def seconds(self, time: str) -> float:
        """Returns a time expression in seconds; `ValueError` for what is none."""
        if not math.isfinite(found := self._seconds(time)):
            raise ValueError(f"no time: {time}")
        return found

    def _seconds(self, time: str) -> float:
        if match := _CLOCK.match(time.strip()):
            hours, minutes, whole, fraction, frames = match.groups()
            part = float(f"0.{fraction}") if fraction else float(frames or 0) / self.frames
            return float(hours) * 3600 + int(minutes) * 60 + int(whole) + part
        if match := _OFFSET.match(time.strip()):
            units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001, "f": 1 / self.frames, "t": 1 / self.ticks}
            return float(match[1]) * units[match[2]]
        raise ValueError(f"no time: {time}")


def declared_encoding(content: bytes) -> str | None:
    """Returns the encoding that an XML file declares; None if it declares none, or one that nobody knows."""
    match = _DECLARED.match(content)
    return match[1].decode() if match and is_encoding(match[1].decode()) else None


def parse_ttml(text: str) -> tuple[ParsedCaptions, str | None]:
    """Parses all paragraphs of all divisions; their times count from the start of what they are in.

    Times may be those of a paragraph, of what it is in, or of the spans in it. Metadata and styles are no text.
    A paragraph whose times cannot be read is skipped and counted. `timeContainer="seq"` is not supported.

    Returns:
      the captions, and the language that the file names; None if it names none.

    Raises:
      DataError: this is no TTML.
    """
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"not a TTML file ({error})") from error
    if _name(root) != "tt":
        raise DataError(f"not a TTML file: its first element is {_name(root)!r}, not 'tt'")
    rates = _rates(root)
    bodies = [element for element in root if _name(element) == "body"]
    try:
        blocks = [block for body in bodies for block in _blocks(body, (0.0, None), rates)]
    except RecursionError as error:
        raise DataError("a TTML file that is nested too deeply") from error
    return from_blocks(sorted(blocks, key=lambda block: block[0] or (0.0, 0.0))), root.get(_LANGUAGE) or None


def _blocks(element: ElementTree.Element, around: tuple[float, float | None], rates: _Rates) -> Iterator[_Block]:
    """Yields the spans and lines of the paragraphs in an element."""
    try:
        start, end = _times(element, around, rates)
    except ValueError:
        yield None, []
        return
    name = _name(element)
    timed = [child for child in element if _name(child) == "span" and child.get("begin")] if name == "p" else []
    if name in ("body", "div") or (timed and end is None):
        for child in timed or element:
            if _name(child) in ("div", "p", "span"):
                yield from _blocks(child, (start, end), rates)
    elif lines := _lines(element):
        yield span_of(start, end), lines


def _times(element: ElementTree.Element, around: tuple[float, float | None], rates: _Rates) -> tuple:
    """Returns when an element begins and ends (None: it does not say)."""
    begin, end, duration = (element.get(name) for name in ("begin", "end", "dur"))
    start = around[0] + (rates.seconds(begin) if begin else 0.0)
    ends = [around[1]] if around[1] is not None else []
    ends += [around[0] + rates.seconds(end)] if end else []
    ends += [start + rates.seconds(duration)] if duration else []
    return start, min(ends, default=None)


def _lines(paragraph: ElementTree.Element) -> list[str]:
    lines = "".join(_text(paragraph)).split("\0")
    return [line for line in (" ".join(line.split()) for line in lines) if line]


def _text(element: ElementTree.Element) -> Iterator[str]:
    """Yields the pieces of an element's text; line breaks are NULs, which XML cannot hold."""
    yield element.text or ""
    for child in element:
        if _name(child) == "br":
            yield "\0"
        elif _name(child) == "span":
            yield from _text(child)
        yield child.tail or ""


def _rates(root: ElementTree.Element) -> _Rates:
    """Returns the parameters; where they make no sense, the defaults."""
    values = {name.rpartition("}")[2]: value for name, value in root.attrib.items()}
    try:
        frames = float(values.get("frameRate", 30))
        numerator, denominator = map(float, values.get("frameRateMultiplier", "1 1").split())
        ticks = float(values.get("tickRate") or (frames if "frameRate" in values else 1))
        return _Rates(frames * numerator / denominator or 30.0, ticks or 1.0)
    except (ValueError, ZeroDivisionError):
        return _Rates(30.0, 1.0)


def _name(element: ElementTree.Element) -> str:
    """Returns an element's name without its namespace, of which TTML has had several; empty for comments."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
