"""Caption files of all forms, which say the same at the same times."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

Cues = list[tuple[str, float, float]]


class Form(NamedTuple):
    """A form of captions.

    Attributes:
      endings: of the files next to the video, each with its content; none for captions inside the video.
      containers: where it is tried; empty for all.
      text: what is said, if that is special.
      expected: what should be read, if that is not what is said.
      notes: the kinds of notes that have to be in the report.
      inside: FFmpeg's name of the text track inside the video.
    """

    endings: dict[str, Callable[[Cues], bytes]]
    containers: tuple[str, ...] = ()
    text: str = "chop the onion"
    expected: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    inside: str = ""


def _clock(seconds: float, separator: str = ".", digits: int = 3) -> str:
    whole, ticks = divmod(round(seconds * 10**digits), 10**digits)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{separator}{ticks:0{digits}d}"


def _vtt(cues: Cues, head: str = "", style: str = "") -> bytes:
    blocks = [f"{_clock(start)} --> {_clock(end)}{style}\n{text}\n" for text, start, end in cues]
    return "\n".join([f"WEBVTT{head}\n", *blocks]).encode()


def _tagged_vtt(cues: Cues) -> bytes:
    marked = [(f"<v Anna><c.loud>{text.replace('&', '&amp;')}</c></v>", start, end) for text, start, end in cues]
    return _vtt(marked, "\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE a remark", " align:start position:0%")


def _rolling_vtt(cues: Cues) -> bytes:
    """As YouTube writes automatic captions: the words of a line appear one by one, then it stands for a moment."""
    rolling = []
    for text, start, end in cues:
        first, *rest = text.split()
        timed = first + "".join(f"<{_clock(start + 0.1)}><c> {word}</c>" for word in rest)
        rolling += [(timed, start, end - 0.01), (text, end - 0.01, end)]
    return _vtt(rolling, "\nKind: captions\nLanguage: en", " align:start position:0%")


def _srt(cues: Cues, blank: str = "\n", newline: str = "\n", encoding: str = "utf-8") -> bytes:
    blocks = [
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n{blank}"
        for number, (text, start, end) in enumerate(cues, 1)
    ]
    return "".join(blocks).replace("\n", newline).encode(encoding)


def _short_srt(cues: Cues) -> bytes:
    blocks = [f"{_clock(start, ',')[3:]} --> {_clock(end, ',')[3:]}\n<i>{text}</i>\n\n" for text, start, end in cues]
    return "".join(blocks).encode()


def _ass(cues: Cues) -> bytes:
    head = "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
    head += "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    lines = [
        f"Dialogue: 0,{_clock(start, '.', 2)[1:]},{_clock(end, '.', 2)[1:]},Default,,0,0,0,,{{\\i1}}{text}\n"
        for text, start, end in cues
    ]
    return (head + "".join(lines)).encode()


def _ttml(cues: Cues) -> bytes:
    lines = [
        f'<div><p begin="{_clock(start)}" end="{_clock(end)}"><span>{text}</span></p></div>'
        for text, start, end in cues
    ]
    body = "".join(lines)
    return f'<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en"><body>{body}</body></tt>'.encode()


def _sbv(cues: Cues) -> bytes:
    return "".join(f"{_clock(start)[1:]},{_clock(end)[1:]}\n{text}\n\n" for text, start, end in cues).encode()


def _lrc(cues: Cues) -> bytes:
    lines = [f"[{_clock(start, '.', 2)[3:]}]{text}\n[{_clock(end, '.', 2)[3:]}]\n" for text, start, end in cues]
    return ("[ti:title]\n" + "".join(lines)).encode()


def _json3(cues: Cues) -> bytes:
    events = [
        {"tStartMs": round(1000 * start), "dDurationMs": round(1000 * (end - start)), "segs": [{"utf8": text}]}
        for text, start, end in cues
    ]
    return json.dumps({"wireMagic": "pb3", "events": events}).encode()


def _whisper(cues: Cues) -> bytes:
    segments = [
        {"id": number, "start": start, "end": end, "text": f" {text}", "words": []}
        for number, (text, start, end) in enumerate(cues)
    ]
    return json.dumps({"text": "", "segments": segments, "language": "en"}).encode()


def _whisper_cpp(cues: Cues) -> bytes:
    rows = [
        {"offsets": {"from": round(1000 * start), "to": round(1000 * end)}, "text": f" {text}"}
        for text, start, end in cues
    ]
    return json.dumps({"result": {"language": "en"}, "transcription": rows}).encode()


def _other_words(_: Cues) -> bytes:
    return _vtt([("schneide die Zwiebel", 0.2, 1.0)])


_RUSSIAN = "Сначала мелко нарежьте лук, потом обжарьте его на сковороде до золотистого цвета"
_FRENCH = "Coupez d'abord les oignons, puis faites-les revenir à la poêle, très légèrement salés, jusqu'à ce qu'ils soient dorés"
_MP4, _MKV = ("mp4", "mov", "m4v", "3gp"), ("mkv",)
FORMS = {
    "none": Form({}, expected=()),
    "vtt": Form({"vtt": _vtt}),
    "vtt with tags": Form({"en.vtt": _tagged_vtt}, text="salt & pepper"),
    "rolling vtt": Form({"en.vtt": _rolling_vtt}),
    "srt": Form({"srt": _srt}),
    "srt from Windows": Form({"srt": lambda cues: _srt(cues, newline="\r\n", encoding="utf-8-sig")}),
    "srt in UTF-16": Form({"srt": lambda cues: _srt(cues, encoding="utf-16")}, text="切る"),
    "srt without blank lines": Form({"srt": lambda cues: _srt(cues, blank="")}),
    "srt in minutes": Form({"en.srt": _short_srt}),
    "srt with text in angles": Form({"srt": _srt}, text="press <Enter> now --> go"),
    "srt in cp1251": Form(
        {"srt": lambda cues: _srt(cues, encoding="cp1251")}, text=_RUSSIAN, notes=("guessed_encodings",)
    ),
    "srt in cp1252": Form(
        {"srt": lambda cues: _srt(cues, encoding="cp1252")}, text=_FRENCH, notes=("guessed_encodings",)
    ),
    "ass": Form({"ass": _ass}),
    "ssa": Form({"en.ssa": _ass}),
    "ttml": Form({"ttml": _ttml}),
    "dfxp": Form({"dfxp": _ttml}),
    "sbv": Form({"sbv": _sbv}),
    "lrc": Form({"lrc": _lrc}),
    "json3": Form({"en.json3": _json3}),
    "Whisper": Form({"json": _whisper}),
    "whisper.cpp": Form({"json": _whisper_cpp}),
    "two languages": Form({"de.vtt": _other_words, "en.vtt": _vtt}),
    "German alone": Form({"de.vtt": _other_words}, expected=()),
    "marks": Form({"srt": lambda cues: _srt([("[Music]", 0.1, 0.3), *cues])}),
    "broken times": Form({"vtt": lambda cues: _vtt([("x", 2.0, 1.0), *cues])}, notes=("broken_cues",)),
    "no captions in it": Form({"srt": lambda _: b"Dear Anna,\n"}, expected=(), notes=("unreadable_captions",)),
    "sub": Form({"sub": lambda _: b"{1}{20}x\n"}, expected=(), notes=("caption_files_not_read",)),
    "inside, mov_text": Form({}, _MP4, inside="mov_text"),
    "inside, SubRip": Form({}, _MKV, inside="srt"),
    "inside, ASS": Form({}, _MKV, inside="ass"),
    "inside, WebVTT": Form({}, ("mkv", "webm"), inside="webvtt"),
}
SOURCES: dict[str, Callable[[Cues], bytes]] = {"mov_text": _srt, "srt": _srt, "ass": _ass, "webvtt": _vtt}
"""What a text track inside a video is made from."""


def cues_of(form: str, start_seconds: float) -> Cues:
    """Returns what is said and when: (text, start, end), in seconds."""
    text = FORMS[form].text
    return [(text, start_seconds, round(start_seconds + 0.4, 3)), ("that is all", 2.0, 2.3)]


def expected_texts(form: str) -> list[str]:
    """Returns the captions that should be read."""
    expected = FORMS[form].expected
    return [text for text, *_ in cues_of(form, 0.0)] if expected is None else list(expected)
