"""Captions of a whole data set in one JSON file that does not fit into memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator
from typing import BinaryIO

import tqdm

from data.errors import DataError
from data.source.tree import SourceTree
from data.text.cues import ParsedCaptions
from data.text.json_captions import parse_caption_lists

_CHUNK_BYTES = 2**20
_MAXIMUM_MEMBER_BYTES = 2**27
_NAME = re.compile(r'\s*[{,]\s*("(?:[^"\\]|\\.)*")\s*:\s*')
_AFTER_VALUE = re.compile(r"\s*[,}]")
_END = re.compile(r"\s*(?:\{\s*)?\}\s*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CaptionIndex:
    """Where in a file `{video_id: {"start": [...], "end": [...], "text": [...]}}` each video's captions are.

    The file is read once, from start to end. In memory are the part at hand and, of each wanted video,
    the id and two numbers; the captions stay where they are until they are asked for. Our own reader
    and not that of a library: HowTo100M's files hold the `NaN` that Python's own `json` writes and that
    JSON, and so ijson, does not know.
    """

    def __init__(self, tree: SourceTree, path: str, wanted: Container[str]):
        """Reads through the file.

        Args:
          tree: The files of the data set.
          path: The JSON file among them, UTF-8; its members in any order. Of several with a name the
            last one counts.
          wanted: The video ids that may be asked for.

        Raises:
          DataError: The file cannot be read, is not such a JSON object, or breaks off.
        """
        self._tree, self._path = tree, path
        try:
            with tree.open_binary(path) as file:
                spans = _member_spans(file, tree.size(path))
                self._spans = {name: span for name, span in spans if name in wanted}
        except (OSError, ValueError) as error:
            raise DataError(f"{tree.path(path)} cannot be read as the captions of videos ({error})") from error

    def read(self, video_ids: Iterable[str]) -> Iterator[ParsedCaptions | None]:
        """Yields the captions of each of the videos; None for one without an entry in the file."""
        with self._tree.open_binary(self._path) as file:
            for video_id in video_ids:
                yield self._parse(file, *self._spans[video_id]) if video_id in self._spans else None

    @staticmethod
    def _parse(file: BinaryIO, start: int, end: int) -> ParsedCaptions:
        file.seek(start)
        return parse_caption_lists(json.loads(file.read(end - start).decode("utf-8", errors="replace")))


def _member_spans(file: BinaryIO, size_bytes: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yields each member's name and the bytes [start, end) of its value.

    Raises:
      ValueError: This is not one JSON object.
    """
    # One character per byte, so that places in the text are places in the file. What JSON is made of
    # is ASCII, and no byte of a longer UTF-8 character is: it is parsed the same.
    window = _Window(file)
    decode = json.JSONDecoder().raw_decode
    with tqdm.tqdm(desc="captions", total=size_bytes, unit="B", unit_scale=True, mininterval=1) as progress:
        while True:
            member = _next_member(window, decode)
            if member is not None:
                name, start, end = member
                progress.update(window.offset + end - progress.n)
                yield name, (window.offset + start, window.offset + end)
                window.position = end
            elif not window.grow():
                break
    if not _END.fullmatch(window.text, window.position):
        raise ValueError(f"not a JSON object of videos from byte {window.offset + window.position} on")


def _next_member(window: _Window, decode: Callable[..., tuple]) -> tuple[str, int, int] | None:
    """Returns the next member's name and where its value is in the text; None if it is not all there."""
    match = _NAME.match(window.text, window.position)
    if match is None:
        return None
    try:
        _, end = decode(window.text, match.end())
    except RecursionError as error:
        raise ValueError(f"nested too deeply: what starts at byte {window.offset + match.end()}") from error
    except ValueError:  # Its end is still to be read, unless the file is broken.
        return None
    # More digits of the number may follow.
    return (json.loads(match[1]), match.end(), end) if _AFTER_VALUE.match(window.text, end) else None


class _Window:
    """The part of a file that is in memory.

    Attributes:
      text: That part, a character per byte.
      position: Where in it reading continues.
      offset: Where in the file it starts.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self.offset = len(_BYTE_ORDER_MARK) if file.read(3) == _BYTE_ORDER_MARK else 0
        file.seek(self.offset)
        self.text, self.position = "", 0

    def grow(self) -> bool:
        """Drops what lies before the position and reads on, in growing steps; False at the file's end."""
        rest = self.text[self.position :]
        if len(rest) > _MAXIMUM_MEMBER_BYTES:
            raise ValueError(f"no end of what starts at byte {self.offset + self.position}")
        added = self._file.read(max(_CHUNK_BYTES, len(rest)))
        self.offset += self.position
        self.text, self.position = rest + added.decode("latin-1"), 0
        return bool(added)
