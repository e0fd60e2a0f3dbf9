"""What a media file says about itself, before anything in it is decoded."""

from __future__ import annotations

import contextlib
import io
import math
import os
from typing import BinaryIO

import av

from data.errors import DataError
from data.source.storage import RemoteFile, require_regular

MediaSource = str | os.PathLike | bytes | RemoteFile
"""A media file: where it is, or its bytes."""

# Tags need not be UTF-8. From version 19 on PyAV takes any, and does not know the option.
_ANY_TAGS = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}


def open_container(source: MediaSource) -> av.container.InputContainer:
    """Opens a media file; raises `DataError` where that cannot be done."""
    try:
        container = av.open(_file(source), **_ANY_TAGS)
    except OSError as error:
        raise DataError(f"the file cannot be opened ({error.strerror or error})") from error
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"not a media file, or cut off before its index was written ({reason})") from error
    if container.format.name == "tty":  # FFmpeg would show the text, line by line
        container.close()
        raise DataError("a text file, not a media file")
    return container


def _file(source: MediaSource) -> str | BinaryIO:
    if isinstance(source, RemoteFile):
        return source.open()
    if isinstance(source, bytes):
        return io.BytesIO(source)
    require_regular(os.fspath(source))  # FFmpeg would wait for a pipe, and read a device for ever
    # Absolute: FFmpeg takes what stands before a colon in a relative name for a protocol.
    return os.path.abspath(os.fspath(source))


def can_be_decoded(stream: av.stream.Stream) -> bool:
    """Returns whether FFmpeg knows the track's codec."""
    return stream.codec_context is not None


def _is_cover_picture(stream: av.video.stream.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def video_stream(
    container: av.container.InputContainer,
) -> av.video.stream.VideoStream | None:
    """Returns the first track that is a video and can be decoded."""
    for stream in container.streams.video:
        if can_be_decoded(stream) and not _is_cover_picture(stream):
            return stream
    return None


def sound_stream(
    container: av.container.InputContainer,
) -> av.audio.stream.AudioStream | None:
    """Returns the first track that is sound and can be decoded."""
    return next(filter(can_be_decoded, container.streams.audio), None)


def is_sound_only(container: av.container.InputContainer) -> bool:
    """Returns whether there is sound that can be decoded and, but for cover pictures, no video."""
    pictures = all(_is_cover_picture(stream) for stream in container.streams.video)
    return pictures and sound_stream(container) is not None


def why_no_video(container: av.container.InputContainer) -> str:
    """Says why `video_stream` has found none."""
    if not container.streams:
        return "no track at all; it may be cut off"
    if any(not can_be_decoded(stream) for stream in container.streams.video):
        return "the codec of the video track is not known"
    return "no video track"


def first_video_time(container: av.container.InputContainer) -> float:
    """Returns the time stamp in seconds at which the video begins; 0 without a video."""
    stream = video_stream(container)
    if stream is None or stream.start_time is None:
        return 0.0
    return float(stream.start_time * stream.time_base)


def first_sound_time(container: av.container.InputContainer) -> float:
    """Returns the time stamp in seconds at which the sound begins; 0 if it does not say."""
    stream = sound_stream(container)
    if stream is None or stream.start_time is None:
        return 0.0
    return float(stream.start_time * stream.time_base)


def presented_seconds(container: av.container.InputContainer, stream: av.stream.Stream) -> float:
    """Returns the time stamp at which a track ends, by its packets: those that are really there.

    Reads the file to its end, or to where it breaks off, without decoding anything. A video's last
    frame lasts as long as the one before, one second at most, as for `VideoTimeline`. 0 if there is
    no packet with a time.
    """
    last, before = -math.inf, -math.inf
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            ticks = packet.pts if packet.pts is not None else packet.dts
            if ticks is None or packet.is_discard:
                continue
            time = float(ticks * packet.time_base)
            if stream.type == "audio":
                time += float((packet.duration or 0) * packet.time_base)
            if time > last:
                last, before = time, last
            elif before < time < last:
                before = time
    if last == -math.inf or stream.type == "audio":
        return max(last, 0.0)
    spacing = last - before if before > -math.inf else 1.0 / float(stream.average_rate or 1)
    return last + min(spacing, 1.0)


def promised_seconds(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> float:
    """Returns how long the video is by the file's header; 0 if it does not say."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base
