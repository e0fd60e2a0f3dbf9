"""What a media file says about itself, before anything in it is decoded."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

import av

from data.errors import DataError
from data.media.packets import Packets
from data.media.tracks import sound_stream, video_stream
from data.source.regular_files import require_regular
from data.source.storage import FilePart, RemoteFile

MediaSource = str | os.PathLike | bytes | RemoteFile | FilePart
"""A media file: where it is, or its bytes."""

_LONGEST_UNCONFIRMED_SECONDS = 3600.0  # our choice
_LONGEST_DELAY_SECONDS = 0.2  # our choice; AAC of 16 kHz takes 0.13
# A file without a folder of its own, as one in a tar file, has no neighbors: a playlist would name files of this machine.
_NO_OTHER_FILES = {"protocol_whitelist": "none"}
# Tags need not be UTF-8. From version 19 on PyAV takes any, and does not know the option.
_ANY_TAGS = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}


def open_container(source: MediaSource) -> av.container.InputContainer:
    """Opens a media file; raises `DataError` where that cannot be done."""
    try:
        file = _file(source)
        container = av.open(file, options={} if isinstance(file, str) else _NO_OTHER_FILES, **_ANY_TAGS)
    except OSError as error:
        raise DataError(f"the file cannot be opened ({error.strerror or error})") from error
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"not a media file, or cut off before its index was written ({reason})") from error
    if container.format.name == "tty":  # FFmpeg would show the text, line by line
        container.close()
        raise DataError("a text file, not a media file")
    return container


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """Gives what goes wrong with a file inside as a `DataError`."""
    try:
        yield
    except (av.error.FFmpegError, ValueError, OSError) as error:  # OSError: a remote file is out of reach
        if isinstance(error, DataError):
            raise
        raise DataError(f"decoding failed ({error})") from error


def _file(source: MediaSource) -> str | BinaryIO:
    if isinstance(source, RemoteFile | FilePart):
        return source.open()
    if isinstance(source, bytes):
        return io.BytesIO(source)
    require_regular(os.fspath(source))  # FFmpeg would wait for a pipe, and read a device for ever
    # Absolute: FFmpeg takes what stands before a colon in a relative name for a protocol.
    return os.path.abspath(os.fspath(source))


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


def late_seconds(container: av.container.InputContainer, first_seconds: float) -> float:
    """Returns how much later than the file a track begins, whose first time stamp is given.

    Lists and caption files count as players do, from the track that begins first. What is less than an encoder's
    delay, by which sound begins before its file, is none, and more than an hour is a broken time stamp.
    """
    late = first_seconds - (container.start_time or 0) / av.time_base
    return late if _LONGEST_DELAY_SECONDS < late < _LONGEST_UNCONFIRMED_SECONDS else 0.0


def presented_seconds(container: av.container.InputContainer, stream: av.stream.Stream) -> float:
    """Returns the time stamp at which a track ends, by its packets: those that are really there.

    Reads the file to its end, or to where it breaks off or its clock restarts, without decoding anything. A video's
    last frame lasts as `last_frame_seconds` says, as for `VideoTimeline`. 0 if there is no packet with a time.
    """
    last, before, lasting = -math.inf, -math.inf, 0.0
    for packet in Packets(container, stream):
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None or packet.is_discard:
            continue
        time, duration = float(ticks * packet.time_base), float((packet.duration or 0) * packet.time_base)
        if stream.type == "audio":
            last = time + duration  # Sound comes in order; the largest time may be a broken one.
        elif time > last:
            last, before, lasting = time, last, duration
        elif before < time < last:
            before = time
    if last == -math.inf or stream.type == "audio":
        return max(last, 0.0)
    spacing = last - before if before > -math.inf else 1.0 / float(stream.average_rate or 1)
    origin = first_video_time(container)
    return last + last_frame_seconds(spacing, lasting, lambda: known_seconds(container, stream) - (last - origin))


def last_frame_seconds(spacing: float, duration: float, known: Callable[[], float]) -> float:
    """Returns how long a video's last frame is shown: as long as the one before, or for as long as its file says.

    Args:
      spacing: how long the one before was shown; counted as one second at most.
      duration: what the file says of the last one; believed where it is more than a second, as that of a slide.
      known: says how much longer the file is known to last, which may have to be looked for.
    """
    return max(min(spacing, 1.0), min(duration, known()) if duration > 1.0 else 0.0)


def promised_seconds(container: av.container.InputContainer, stream: av.stream.Stream) -> float:
    """Returns how long a track is by the file's header; 0 if it does not say."""
    if stream.duration is not None:
        # Of an .avi file that is cut off, FFmpeg takes only a share of the frames that the header counts.
        counted = stream.frames if container.format.name == "avi" and stream.type == "video" else 0
        return float(max(stream.duration, counted) * stream.time_base)
    seconds = (container.duration or 0) / av.time_base
    if "matroska" in container.format.name and stream.start_time is not None:
        # Its duration counts from 0, wherever the first frame is: recordings and cut files start late.
        return max(0.0, seconds - float(stream.start_time * stream.time_base))
    return seconds


def known_seconds(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> float:
    """Returns for how long after its first frame a video lasts: by its sound, or without any by the file's header.

    The header alone cannot tell a frame that stands for long from a broken time stamp; it is believed for an hour.
    Where it says that there is more sound than that, the file is read from its start: only what is there counts.
    """
    sound = sound_stream(container)
    if sound is None:
        return min(promised_seconds(container, stream), _LONGEST_UNCONFIRMED_SECONDS)
    known = first_sound_time(container) + promised_seconds(container, sound) - first_video_time(container)
    if known <= _LONGEST_UNCONFIRMED_SECONDS:
        return known
    with contextlib.suppress(av.error.FFmpegError):
        container.seek(0)
    return presented_seconds(container, sound) - first_video_time(container)
