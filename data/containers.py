"""What a media file says about itself, before anything in it is decoded."""

from __future__ import annotations

import io
import os

import av

from data.errors import DataError


def open_container(source: str | os.PathLike | bytes) -> av.container.InputContainer:
    """Opens a path or the bytes of a file; raises `DataError` where that cannot be done."""
    file = io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)
    try:
        return av.open(file, metadata_errors="replace")
    except OSError as error:
        raise DataError(f"the file cannot be opened ({error.strerror})") from error
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"not a media file, or cut off before its index was written ({reason})"
        ) from error


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


def promised_seconds(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> float:
    """Returns how long the video is by the file's header; 0 if it does not say."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base
