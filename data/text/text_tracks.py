"""The text tracks inside media files: mov_text (mp4), SubRip, ASS and WebVTT (mkv, webm)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import av

from data.media.containers import MediaSource, decoding, first_video_time, late_seconds, open_container
from data.media.packets import Packets
from data.text.cues import ParsedCaptions, Span, from_blocks
from data.text.languages import language_of, preference
from data.text.plain_formats import clean_ass
from data.text.subrip import clean_subrip
from data.text.webvtt import clean_webvtt

# What has neither a duration nor a successor is shown for so long (our choice).
_LAST_SECONDS = 5.0


class TracksFound(NamedTuple):
    """What the text tracks of a media file hold.

    Attributes:
      captions: those of the track that was chosen; None where there is none that is wanted and can be read.
      language: its language, as a standard tag; None if the file does not say.
      unread: the codecs of the tracks that cannot be read, such as pictures of text.
      unwanted: the languages of those that can be read and are not wanted.
    """

    captions: ParsedCaptions | None
    language: str | None = None
    unread: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


def read_tracks(source: MediaSource, languages: Sequence[str] = ()) -> TracksFound:
    """Reads the text track of a media file in the most wanted language; of several, the default one, then the first.

    Times count from the start of the file, as those of caption files. A file that breaks off gives what is there.

    Args:
      source: the file.
      languages: those that are wanted, the most wanted first; empty for any.

    Raises:
      DataError: the file cannot be opened or read.
    """
    with decoding(), open_container(source) as container:
        tracks = list(container.streams.subtitles)
        readable = [stream for stream in tracks if _codec(stream) in _TEXTS]
        ranked = [(rank, stream) for stream in readable if (rank := _rank(stream, languages)) is not None]
        unread = tuple(_codec(stream) for stream in tracks if stream not in readable)
        if not ranked:
            return TracksFound(None, None, unread, tuple(language_of(stream.language) or "" for stream in readable))
        stream = min(ranked, key=lambda pair: pair[0])[1]
        return TracksFound(_read(container, stream), language_of(stream.language), unread)


def _rank(stream: av.subtitles.stream.SubtitleStream, languages: Sequence[str]) -> tuple | None:
    fit = preference(language_of(stream.language), languages)
    flags = av.stream.Disposition
    partial = bool(stream.disposition & flags.forced)
    return None if fit is None else (fit, partial, not stream.disposition & flags.default, stream.index)


def _codec(stream: av.subtitles.stream.SubtitleStream) -> str:
    """Returns the codec's name; that of the format's own tag where FFmpeg does not know it."""
    return stream.codec_context.name if stream.codec_context else "unknown"


def _read(container: av.container.InputContainer, stream: av.subtitles.stream.SubtitleStream) -> ParsedCaptions:
    first = first_video_time(container)
    origin, lines_in = first - late_seconds(container, first), _TEXTS[_codec(stream)]
    starts, ends, texts = [], [], []
    for packet in Packets(container, stream):
        if packet.pts is not None and packet.size:
            start = round(float(packet.pts * packet.time_base) - origin, 3)
            starts.append(start)
            ends.append(start + round(float(packet.duration * packet.time_base), 3) if packet.duration else None)
            texts.append(lines_in(bytes(packet)))
    following = [*starts[1:], starts[-1] + _LAST_SECONDS] if starts else []
    spans: list[Span] = [
        (start, max(start, after if end is None else end))
        for start, end, after in zip(starts, ends, following, strict=True)
    ]
    # In a file, as in an .ass file, they may come in any order.
    return from_blocks(sorted(zip(spans, texts, strict=True), key=lambda block: block[0]))


def _mov_text(packet: bytes) -> list[str]:
    """Returns the lines of 3GPP Timed Text: two bytes of length, then UTF-8 or, with a mark, UTF-16; styles follow."""
    text = packet[2 : 2 + int.from_bytes(packet[:2], "big")]
    wide = text[:2] in (b"\xfe\xff", b"\xff\xfe")
    return _lines(text.decode("utf-16" if wide else "utf-8", errors="replace"))


def _lines(text: str) -> list[str]:
    return [line for line in (" ".join(line.split()) for line in text.replace("\r", "\n").split("\n")) if line]


def _with(clean: Callable[[str], list[str]]) -> Callable[[bytes], list[str]]:
    return lambda packet: clean(packet.decode("utf-8", errors="replace"))


def _ass(packet: bytes) -> list[str]:
    """Returns the lines of an event: the text is what follows its eight other fields."""
    return clean_ass(packet.decode("utf-8", errors="replace").split(",", 8)[-1])


_TEXTS: dict[str, Callable[[bytes], list[str]]] = {
    "mov_text": _mov_text,
    "srt": _with(clean_subrip),
    "subrip": _with(clean_subrip),
    "text": _with(_lines),
    "webvtt": _with(clean_webvtt),
    "ass": _ass,
    "ssa": _ass,
}
