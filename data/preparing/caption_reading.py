"""The captions of a whole media file, wherever they are, and what is counted and noted of them."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from data.errors import DataError
from data.preparing.listing import ListedVideo
from data.preparing.tally import Tally
from data.source.tree import SourceTree
from data.text.caption_files import language_in_name
from data.text.captions import FileCaptions, parse_caption_file
from data.text.cues import Cue
from data.text.languages import UNKNOWN_LANGUAGE, preference
from data.text.marks import KEEP, without_marks
from data.text.text_tracks import read_tracks

CAPTION_NOTES = ("broken_cues", "unreadable_captions", "guessed_encodings", "unread_captions")
# Our choice: a day of captions has a few MB.
_LARGEST_FILE_BYTES = 2**26
_LANGUAGE = "captions in "
_DROPPED, _CHANGED, _GUESSED = "captions_only_marks", "captions_with_marks_removed", "caption_encodings_guessed"


class CaptionOptions(NamedTuple):
    """How captions are read.

    Attributes:
      languages: those that are wanted, the most wanted first; empty for any.
      encoding: that of caption files that are not Unicode; None to guess.
      marks: one of `data.text.marks.POLICIES`.
      tracks: whether text tracks in the media file are read where no caption file is next to it.
    """

    languages: tuple[str, ...] = ()
    encoding: str | None = None
    marks: str = KEEP
    tracks: bool = False


def read_cues(tree: SourceTree, video: ListedVideo, options: CaptionOptions, tally: Tally) -> Sequence[Cue]:
    """Returns the captions of the whole file: from its list, and from its caption file or else from a track in it.

    Notes are of the kinds `CAPTION_NOTES`; `caption_counts` makes a report of what is counted.
    """
    if video.broken_cues:
        tally.note("broken_cues", video.name, video.broken_cues)
    cues = [*video.cues, *_own_cues(tree, video, options, tally)]
    marked = without_marks(cues, options.marks)
    tally.counts.update({_DROPPED: marked.dropped, _CHANGED: marked.changed})
    return marked.cues


def caption_counts(counts: Mapping[str, int]) -> dict[str, Any]:
    """Returns what a report says of captions: `caption_languages`, files by language, and three counts.

    `captions_only_marks` were dropped, `captions_with_marks_removed` lost a part, the encodings of
    `caption_encodings_guessed` files were guessed.
    """
    languages = {name.removeprefix(_LANGUAGE): count for name, count in counts.items() if name.startswith(_LANGUAGE)}
    numbers = {name: counts.get(name, 0) for name in (_DROPPED, _CHANGED, _GUESSED)}
    return {"caption_languages": dict(collections.Counter(languages).most_common()), **numbers}


def _own_cues(tree: SourceTree, video: ListedVideo, options: CaptionOptions, tally: Tally) -> Sequence[Cue]:
    """Returns the captions next to the file, or else inside it."""
    if video.caption_path is not None:
        try:
            content = _content(tree, video.caption_path)
            found = parse_caption_file(content, video.caption_path, options.encoding, options.languages)
            if (cues := _taken(video, found, options, tally)) is not None:
                return cues
        except (DataError, OSError) as error:
            # Anything may be in a .json file; it is no captions until it proves to be.
            if not video.caption_path.lower().endswith(".json"):
                tally.note("unreadable_captions", video.name, str(error))
                return ()
    return _inside(tree, video, options, tally) if options.tracks and video.path else ()


def _content(tree: SourceTree, path: str) -> bytes:
    if tree.size(path) > _LARGEST_FILE_BYTES:
        raise DataError(f"the caption file has more than {_LARGEST_FILE_BYTES} bytes")
    with tree.open_binary(path) as file:
        return file.read()


def _taken(video: ListedVideo, found: FileCaptions, options: CaptionOptions, tally: Tally) -> Sequence[Cue] | None:
    """Returns a file's captions, and counts them; None if they are in a language that is not wanted."""
    language = language_in_name(video.path or video.sound_path, video.caption_path) or found.language
    if preference(language, options.languages) is None:
        tally.note("unread_captions", video.name, f"captions in {language}")
        return None
    if found.broken_cues:
        tally.note("broken_cues", video.name, found.broken_cues)
    if found.guessed_encoding:
        tally.note("guessed_encodings", video.name, found.guessed_encoding)
        tally.counts[_GUESSED] += 1
    tally.counts[_LANGUAGE + (language or UNKNOWN_LANGUAGE)] += 1
    return found.cues


def _inside(tree: SourceTree, video: ListedVideo, options: CaptionOptions, tally: Tally) -> Sequence[Cue]:
    try:
        found = read_tracks(tree.media(video.path), options.languages)
    except DataError:  # of the whole file, which the reader will say
        return ()
    if unread := [*(f"track of {codec}" for codec in found.unread), *(f"track in {tag}" for tag in found.unwanted)]:
        tally.note("unread_captions", video.name, ", ".join(unread))
    if found.captions is None:
        return ()
    if found.captions.broken_cues:
        tally.note("broken_cues", video.name, found.captions.broken_cues)
    tally.counts[_LANGUAGE + (found.language or UNKNOWN_LANGUAGE)] += 1
    return found.captions.cues
