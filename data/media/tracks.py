"""Which tracks of a media file are taken: the video and the sound that a player would show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import av
from av.stream import Disposition

Stream = TypeVar("Stream", bound=av.stream.Stream)
_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
# What is spoken over the work, or a part of it that is nothing alone.
_SECONDARY = (
    Disposition.comment
    | Disposition.visual_impaired
    | Disposition.descriptions
    | Disposition.dependent
    | Disposition.still_image
)


def can_be_decoded(stream: av.stream.Stream) -> bool:
    """Returns whether FFmpeg knows the track's codec."""
    return stream.codec_context is not None


def video_stream(container: av.container.InputContainer) -> av.video.stream.VideoStream | None:
    """Returns the track that is the video, if there is one and it can be decoded; see `sound_stream`."""
    return _chosen(_videos(container))


def sound_stream(container: av.container.InputContainer) -> av.audio.stream.AudioStream | None:
    """Returns the track that is the sound, if there is one and it can be decoded.

    The file's default is taken, or else the first; commentaries and descriptions only where there is nothing else.
    """
    return _chosen(_sounds(container))


def is_sound_only(container: av.container.InputContainer) -> bool:
    """Returns whether there is sound that can be decoded and, but for cover pictures, no video."""
    return all(map(_is_picture, container.streams.video)) and sound_stream(container) is not None


def why_no_video(container: av.container.InputContainer) -> str:
    """Says why `video_stream` has found none."""
    if not container.streams:
        return "no track at all; it may be cut off"
    if any(not can_be_decoded(stream) for stream in container.streams.video):
        return "the codec of the video track is not known"
    return "no video track"


def several_tracks(container: av.container.InputContainer) -> str:
    """Says which tracks were chosen among several; empty where there was no choice."""
    kinds = (("video", _videos(container)), ("sound", _sounds(container)))
    return "; ".join(
        f"{len(streams)} {kind} tracks, number {streams.index(_chosen(streams)) + 1} is used"
        for kind, streams in kinds
        if len(streams) > 1
    )


def _videos(container: av.container.InputContainer) -> list[av.video.stream.VideoStream]:
    return [stream for stream in container.streams.video if can_be_decoded(stream) and not _is_picture(stream)]


def _sounds(container: av.container.InputContainer) -> list[av.audio.stream.AudioStream]:
    return list(filter(can_be_decoded, container.streams.audio))


def _is_picture(stream: av.video.stream.VideoStream) -> bool:
    return bool(stream.disposition & _PICTURES)


def _chosen(streams: Sequence[Stream]) -> Stream | None:
    # Of equals, `min` takes the first.
    return min(
        streams,
        key=lambda stream: (bool(stream.disposition & _SECONDARY), not stream.disposition & Disposition.default),
        default=None,
    )
