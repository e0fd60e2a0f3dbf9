"""Caption files of any form that is read, and the choice of the captions that belong to a clip."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from data.text.cues import Cue, ParsedCaptions
from data.text.encodings import decode
from data.text.json_captions import parse_json, parse_json3, whole_text
from data.text.languages import language_of
from data.text.plain_formats import parse_ass, parse_lrc, parse_sbv
from data.text.subrip import parse_subrip
from data.text.ttml import declared_encoding, parse_ttml
from data.text.webvtt import header_language, is_webvtt, parse_webvtt

_PARSERS: dict[str, Callable[[str], ParsedCaptions]] = {
    ".json3": parse_json3,
    ".ass": parse_ass,
    ".ssa": parse_ass,
    ".sbv": parse_sbv,
    ".lrc": parse_lrc,
    ".txt": whole_text,
}
_PARSERS_WITH_LANGUAGE = {".ttml": parse_ttml, ".dfxp": parse_ttml}


class FileCaptions(NamedTuple):
    """What a caption file holds.

    Attributes:
      cues: the usable cues, by time.
      broken_cues: how many others it has.
      guessed_encoding: the encoding where it was guessed from the content; None where it is certain.
      language: what the file says of its language, as a standard tag; None if it says nothing.
    """

    cues: list[Cue]
    broken_cues: int
    guessed_encoding: str | None = None
    language: str | None = None


def parse_caption_file(
    content: bytes, name: str, encoding: str | None = None, languages: Sequence[str] = ()
) -> FileCaptions:
    """Parses a caption file's bytes, by the suffix of its name; .vtt and .srt by what they hold.

    A text without times (.txt, the caption of a sample) is the caption of the whole video: it has no end (`math.inf`).

    Args:
      content: the file.
      name: its name.
      encoding: that of files that are not Unicode, if it is known; see `data.text.encodings.decode`.
      languages: those that are wanted, the most wanted first, where a file holds several; empty for any.

    Raises:
      DataError: if it is not what its suffix says.
    """
    suffix = os.path.splitext(name)[1].lower()
    text, guess = decode(content, declared_encoding(content) or encoding)
    if suffix == ".json":
        parsed, language = parse_json(text, languages)
    elif suffix in _PARSERS_WITH_LANGUAGE:
        parsed, language = _PARSERS_WITH_LANGUAGE[suffix](text)
    else:
        parsed, language = _PARSERS.get(suffix, parse_captions)(text), header_language(text)
    return FileCaptions(*parsed, guess, language_of(language))


def parse_captions(text: str) -> ParsedCaptions:
    """Parses the content of a WebVTT file, or of a SubRip file, which has no header; raises `DataError` as `parse_subrip`."""
    return parse_webvtt(text) if is_webvtt(text) else parse_subrip(text)


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
      cues by time, their times relative to the clip's start (so they may be negative); one without an end ends with the clip.
    """

    def distance(cue: Cue) -> tuple[float, float]:
        gap = max(0.0, cue.start_seconds - end_seconds, start_seconds - cue.end_seconds)
        middles = cue.start_seconds + cue.end_seconds - start_seconds - end_seconds
        return gap, abs(middles)

    near = [cue for cue in cues if distance(cue)[0] <= reach_seconds]
    chosen = sorted(sorted(near, key=distance)[:maximum], key=lambda cue: cue[1:])
    ends = (end_seconds if math.isinf(cue.end_seconds) else cue.end_seconds for cue in chosen)
    return [
        Cue(cue.text, cue.start_seconds - start_seconds, end - start_seconds)
        for cue, end in zip(chosen, ends, strict=True)
    ]
