"""Cuts a media file that a data set lists into clips: in one pass over the file, one record each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from data.errors import DataError
from data.media.reader import DecodedClip, MediaFormat, MediaReader
from data.preparing.caption_reading import CaptionOptions, read_cues
from data.preparing.listing import ListedVideo, Segment, source_of
from data.preparing.tally import Tally
from data.records.schema import UNKNOWN, make_record
from data.source.tree import SourceTree
from data.text.captions import nearest_captions
from data.text.cues import Cue

# A file that is this much shorter than its header says is reported as incomplete.
_MISSING_SECONDS, _MISSING_SHARE = 1.0, 0.05
# The same for a clip and where its list says that it ends, in addition to one frame (our choice).
_MISSING_CLIP_SHARE = 0.02
PAST_THE_END = "the clip starts after the end of its file"
_BEFORE_THE_START = "the clip ends before its file's first frame or sound"
_BROKEN_OFF = "the file breaks off before the clip"
_RESTARTED = "the file's time stamps start again before the clip"


class Cutting(NamedTuple):
    """How media files are cut into clips.

    Attributes:
      media_format: rates and size of what is stored.
      clip_seconds: a longer clip is cut off after this; a whole file is cut into clips of this length.
      minimum_seconds: the remainder of a whole file is a clip, too, if it is this long.
      max_captions, caption_reach_seconds: see `data.text.captions.nearest_captions`.
      captions: how captions are read.
    """

    media_format: MediaFormat
    clip_seconds: float
    minimum_seconds: float = 0.0
    max_captions: int = 16
    caption_reach_seconds: float = 10.0
    captions: CaptionOptions = CaptionOptions()


class _Piece(NamedTuple):
    clip_id: str
    decoded: DecodedClip
    cues: Sequence[Cue]


def cut_video(tree: SourceTree, video: ListedVideo, cutting: Cutting, tally: Tally) -> Iterator[dict[str, Any]]:
    """Yields the records of a file's clips, in the order of their starts.

    Everything is counted: `videos_used` or else `videos_bad`, `videos_without_audio_track`,
    `videos_without_captions`, `clips`, `clips_skipped`, `clips_without_audio`, `clips_without_captions`,
    `captions_before_their_clip`, `frames`, `samples` and, for each label, `class LABEL`; captions as in `read_cues`.
    Notes are of the kinds `skipped`, `incomplete`, `longer_than_listed`, `CAPTION_NOTES` and `data.media.remarks.KINDS`.

    Args:
      tree: the source folder.
      video: the file; a clip that goes beyond its end is cut off there, one past it is skipped.
      cutting: how to cut.
      tally: what is counted and noted comes in here.
    """
    clips = 0
    reader = _reader(tree, video, cutting)
    cues = functools.cache(lambda: _read_cues(tree, video, cutting, reader, tally))
    try:
        _require_content(tree, video)
        cut = _cut_segments if video.segments else _cut_whole
        for piece in cut(reader, video, cutting, cues, tally):
            if video.path and video.sound_path and not piece.decoded.audio.size:
                raise DataError("its audio file has no audio")
            yield _record(video, piece, tally)
            clips += 1
    except DataError as error:
        if clips:  # It went well up to here; hours of work must not be lost.
            tally.note("incomplete", video.name, f"{_decoded(reader)}, then {error}")
        else:
            tally.note("skipped", video.name, str(error))
    whole_file_cues = cues()
    tally.counts["videos_used" if clips else "videos_bad"] += 1
    if clips:
        for kind, what in reader.remarks.items():
            tally.note(kind, video.name, what)
        tally.counts["videos_without_audio_track"] += not reader.has_audio_track
        tally.counts["videos_without_captions"] += not (
            whole_file_cues or any(segment.cues for segment in video.segments)
        )


def expected_clips(tree: SourceTree, video: ListedVideo, cutting: Cutting) -> float:
    """Returns how many clips a file will give, as far as its header says; a share of one that is shorter."""
    if video.segments:
        return len(video.segments)
    reader = _reader(tree, video, cutting)
    try:
        next(reader.spans([(0, 1)]), None)
    except DataError:
        return 0.0
    return max(1.0, reader.promised_seconds / cutting.clip_seconds)


def _reader(tree: SourceTree, video: ListedVideo, cutting: Cutting) -> MediaReader:
    path = video.path or video.sound_path
    sound = tree.media(video.sound_path) if video.path and video.sound_path else None
    # One thread: many files are read at once, and damaged ones must give the same on every machine.
    return MediaReader(tree.media(path), cutting.media_format, sound, decoder_threads=1)


def _read_cues(
    tree: SourceTree, video: ListedVideo, cutting: Cutting, reader: MediaReader, tally: Tally
) -> Sequence[Cue]:
    """Returns the captions of the whole file; looks for those inside it only once it is known to have text tracks."""
    tracks = cutting.captions.tracks and reader.has_text_tracks
    return _earlier(read_cues(tree, video, cutting.captions._replace(tracks=tracks), tally), reader.late_seconds)


def _earlier(cues: Sequence[Cue], seconds: float) -> list[Cue]:
    return [Cue(text, *(time - seconds for time in times)) for text, *times in cues]


def _require_content(tree: SourceTree, video: ListedVideo) -> None:
    path = video.path or video.sound_path
    if not tree.exists(path):
        raise DataError(tree.unusual(path) or "the file no longer exists, or is a broken link")
    if not tree.size(path):
        raise DataError("the file is empty (0 bytes)")


def _cut_whole(
    reader: MediaReader, video: ListedVideo, cutting: Cutting, cues: Callable[[], Sequence[Cue]], tally: Tally
) -> Iterator[_Piece]:
    """Cuts the file into clips that follow each other."""
    for clip in reader.clips(cutting.clip_seconds, cutting.minimum_seconds):
        yield _Piece(f"{video.name}@{clip.start_seconds:.2f}", clip, _near(cues(), clip, cutting))
    allowed = max(_MISSING_SECONDS, _MISSING_SHARE * reader.promised_seconds)
    lost = reader.damaged_packets or reader.missing_packets or reader.clock_restarts
    if lost or reader.missing_seconds > allowed:
        tally.note("incomplete", video.name, _decoded(reader))


def _cut_segments(
    reader: MediaReader, video: ListedVideo, cutting: Cutting, cues: Callable[[], Sequence[Cue]], tally: Tally
) -> Iterator[_Piece]:
    """Cuts the listed clips; they may overlap and be in any order."""
    segments = sorted(video.segments, key=lambda segment: (segment.start_seconds, segment.clip_id))
    placed: list[Segment] = []

    def spans() -> Iterator[tuple[int, int]]:
        for segment in segments:  # By now the reader has opened the file.
            placed.append(_placed(segment, reader.late_seconds))
            yield _span(placed[-1], cutting)

    clips = reader.spans(spans()) if video.path else reader.sound_spans(spans())
    cut, fault = 0, None
    try:
        for cut, clip in enumerate(clips, 1):
            segment = placed[cut - 1]
            if _is_before(segment):
                _note_not_cut(segment, _BEFORE_THE_START, tally)
                continue
            _note_missing(segment, clip, reader, cutting, tally)
            _note_longer(segment, reader, tally)
            own = _earlier(segment.cues, clip.start_seconds)
            yield _Piece(segment.clip_id, clip, own or _near(cues(), clip, cutting))
    except DataError as error:
        if not cut:
            raise
        fault = str(error)
    if not reader.decoded_seconds:
        raise DataError(f"no {'video frame' if video.path else 'second of audio'} could be decoded")
    for segment in segments[cut:]:
        _note_not_cut(segment, fault or _why_not_reached(segment, reader), tally)


def _placed(segment: Segment, late_seconds: float) -> Segment:
    """Returns a segment whose times count from the first frame or, without frames, sample, not from the file's start."""
    end = None if segment.end_seconds is None else segment.end_seconds - late_seconds
    return segment._replace(
        start_seconds=max(0.0, segment.start_seconds - late_seconds),
        end_seconds=end,
        cues=tuple(_earlier(segment.cues, late_seconds)),
    )


def _is_before(segment: Segment) -> bool:
    return segment.end_seconds is not None and segment.end_seconds <= 0


def _note_not_cut(segment: Segment, reason: str, tally: Tally) -> None:
    tally.note("skipped", segment.clip_id, reason)
    tally.counts["clips_skipped"] += 1


def _why_not_reached(segment: Segment, reader: MediaReader) -> str:
    if reader.clock_restarts:
        return _RESTARTED
    return _BROKEN_OFF if segment.start_seconds < reader.promised_seconds - _MISSING_SECONDS else PAST_THE_END


def _span(segment: Segment, cutting: Cutting) -> tuple[int, int]:
    """Returns the first tick of a clip and the one after its last; there is one at least."""
    rate = cutting.media_format.frames_per_second
    first = max(0, round(segment.start_seconds * rate))
    last = first + max(1, round(cutting.clip_seconds * rate))
    return first, last if segment.end_seconds is None else min(last, max(first + 1, round(segment.end_seconds * rate)))


def _near(cues: Sequence[Cue], clip: DecodedClip, cutting: Cutting) -> list[Cue]:
    return nearest_captions(
        cues,
        clip.start_seconds,
        clip.start_seconds + _seconds(clip, cutting),
        maximum=cutting.max_captions,
        reach_seconds=cutting.caption_reach_seconds,
    )


def _seconds(clip: DecodedClip, cutting: Cutting) -> float:
    if clip.frames.size:
        return len(clip.frames) / cutting.media_format.frames_per_second
    return clip.audio.size / cutting.media_format.sample_rate_hz


def _note_missing(segment: Segment, clip: DecodedClip, reader: MediaReader, cutting: Cutting, tally: Tally) -> None:
    """Notes a clip that is shorter than its list says or, where that says nothing, than its file's header."""
    seconds, frame = _seconds(clip, cutting), 1 / cutting.media_format.frames_per_second
    if segment.end_seconds is None:
        expected = min(reader.promised_seconds - segment.start_seconds, cutting.clip_seconds)
        allowed = max(_MISSING_SECONDS, _MISSING_SHARE * expected)
    else:
        first, last = _span(segment, cutting)
        expected = (last - first) * frame
        allowed = max(1.5 * frame, _MISSING_CLIP_SHARE * expected)
    if expected - seconds > allowed:
        tally.note("incomplete", segment.clip_id, f"{seconds:.1f} of {expected:.1f} s decoded")


def _note_longer(segment: Segment, reader: MediaReader, tally: Tally) -> None:
    """Notes a file that should hold one clip alone and is longer; only the beginning of it is used."""
    if not segment.fills_file or segment.end_seconds is None:
        return
    seconds = segment.end_seconds - segment.start_seconds
    if reader.promised_seconds - seconds > max(_MISSING_SECONDS, _MISSING_SHARE * seconds):
        what = f"the file has {reader.promised_seconds:.1f} s, the list says {seconds:.1f}; the first are used"
        tally.note("longer_than_listed", segment.clip_id, what)


def _record(video: ListedVideo, piece: _Piece, tally: Tally) -> dict[str, Any]:
    """Makes the record of a clip and counts it."""
    tally.counts.update(
        clips=1,
        clips_without_audio=int(not piece.decoded.audio.size),
        clips_without_captions=int(not piece.cues),
        captions_before_their_clip=sum(cue.end_seconds <= 0 for cue in piece.cues),
        frames=len(piece.decoded.frames),
        samples=piece.decoded.audio.size,
    )
    classes = [video.label] if video.labels is None else video.labels
    tally.counts.update(f"class {index}" for index in classes if index != UNKNOWN)
    return make_record(
        piece.decoded,
        piece.cues,
        clip_id=piece.clip_id,
        source=source_of(video),
        label=video.label,
        labels=video.labels,
    )


def _decoded(reader: MediaReader) -> str:
    missing = f", {reader.missing_packets} packets missing" if reader.missing_packets else ""
    restarted = ", then its time stamps start again" if reader.clock_restarts else ""
    return (
        f"{reader.decoded_seconds:.1f} of {reader.promised_seconds:.1f} s decoded, "
        f"{reader.damaged_packets} damaged packets skipped{missing}{restarted}"
    )
