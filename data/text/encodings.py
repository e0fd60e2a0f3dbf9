"""Which characters the bytes of a user's text file are."""

from __future__ import annotations

import codecs
from typing import NamedTuple

import charset_normalizer

from data.errors import DataError

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, which it starts with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What text files of Windows, and older ones of other systems, are written in.
_CODE_PAGES = (
    *(f"cp{number}" for number in range(1250, 1259)),
    *("cp874", "cp932", "cp949", "gb18030", "big5", "euc_jp", "koi8_r", "cp866"),
)
# By far the most frequent; a few letters say too little to prefer a rare one (our choice).
_LIKELIEST, _HEAD_START = "cp1252", 0.1
# UTF-8 has damage if at most this share of its longer characters is broken; other encodings have none that are whole.
_BROKEN_SHARE = 0.1
_NUL_SHARE = 0.2


class DecodedText(NamedTuple):
    """A text file's content.

    Attributes:
      text: what it says.
      guess: the encoding that was guessed from the content; None where the file or the user says it.
    """

    text: str
    guess: str | None = None


def is_encoding(name: str) -> bool:
    """Returns whether Python knows a text encoding of this name."""
    try:
        "".encode(name)
        return bool(name)
    except (LookupError, ValueError):
        return False


def decode(content: bytes, encoding: str | None = None) -> DecodedText:
    """Decodes a text file.

    A byte order mark counts most, then valid UTF-8 (also with a few broken characters, such as a last one that was cut
    off, which become U+FFFD), then `encoding`, then a guess from what the text looks like.

    Args:
      content: the file.
      encoding: what files that are neither are in, such as "cp1251"; None to guess.

    Raises:
      DataError: it is not in `encoding`, which has no character for what is broken.
    """
    for mark, name in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return DecodedText(content.decode(name, errors="replace").removeprefix("\ufeff"))
    if encoding and content.isascii():  # may be more than ASCII: ISO-2022-JP has only such bytes
        return DecodedText(_decoded(content, encoding))
    if (text := _as_utf8(content)) is not None:
        return DecodedText(text)
    if encoding:
        return DecodedText(_decoded(content, encoding))
    guess = guess_encoding(content)
    return DecodedText(content.decode(guess, errors="replace"), guess)


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding, errors="replace")
    except ValueError as error:  # Not all encodings can replace what they cannot read.
        raise DataError(f"the file cannot be read as {encoding} ({error})") from error


def guess_encoding(content: bytes) -> str:
    """Returns the likeliest encoding of bytes that are not UTF-8."""
    if wide := _wide(content):
        return wide
    matches = list(charset_normalizer.from_bytes(content, cp_isolation=list(_CODE_PAGES)))
    if not matches:
        return _LIKELIEST

    def score(match: charset_normalizer.CharsetMatch) -> float:
        return match.coherence - match.chaos + _HEAD_START * (_LIKELIEST in match.could_be_from_charset)

    best = max(matches, key=score)
    return _LIKELIEST if _LIKELIEST in best.could_be_from_charset else best.encoding


def _as_utf8(content: bytes) -> str | None:
    """Returns UTF-8 text, which may have some damage; None if this is another encoding."""
    if _wide(content):
        return None
    text = content.decode("utf-8", errors="replace")
    broken = text.count("\ufffd") - content.count("\ufffd".encode())
    whole = sum(character > "\x7f" for character in text) - broken
    return None if broken > max(1, whole * _BROKEN_SHARE) or (broken and not whole) else text


def _wide(content: bytes) -> str:
    """Returns the kind of UTF-16 without a mark; digits and spaces have a byte of zeros there."""
    counts = {"utf-16-be": content[0::2].count(0), "utf-16-le": content[1::2].count(0)}
    name = max(counts, key=counts.__getitem__)
    return name if counts[name] > _NUL_SHARE * len(content) / 2 else ""
