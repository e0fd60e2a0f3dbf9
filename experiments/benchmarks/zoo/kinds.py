"""What media files can be: containers with their codecs, layouts of sound, and oddities, as far as FFmpeg can write them."""

from __future__ import annotations

from typing import NamedTuple


class Container(NamedTuple):
    """A kind of file.

    Attributes:
      form: FFmpeg's name of the container.
      video, sound: encoders whose tracks it can hold.
    """

    form: str
    video: tuple[str, ...]
    sound: tuple[str, ...]


_MP4_SOUND = ("aac", "libmp3lame", "libopus", "ac3", "alac", "flac")
_MPEG_PS_SOUND = ("mp2", "ac3")
_TS_SOUND = ("aac", "ac3", "mp2", "libmp3lame")
CONTAINERS = {
    "mp4": Container("mp4", ("libx264", "libx265", "mpeg4", "libvpx-vp9", "libsvtav1", "mjpeg"), _MP4_SOUND),
    "mov": Container(
        "mov", ("libx264", "mpeg4", "prores_ks", "mjpeg", "png", "qtrle"), ("aac", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le")
    ),
    "m4v": Container("mp4", ("libx264", "mpeg4"), ("aac", "alac")),
    "f4v": Container("f4v", ("libx264",), ("aac", "libmp3lame")),
    "3gp": Container("3gp", ("h263", "mpeg4", "libx264"), ("libopencore_amrnb", "aac")),
    "3g2": Container("3g2", ("mpeg4", "libx264"), ("libopencore_amrnb", "aac")),
    "mkv": Container(
        "matroska",
        ("libx264", "libx265", "mpeg4", "mpeg2video", "libvpx", "libvpx-vp9", "libsvtav1", "ffv1", "mjpeg"),
        ("aac", "libopus", "flac", "libmp3lame", "ac3", "mp2", "pcm_s16le", "pcm_f32le"),
    ),
    "webm": Container("webm", ("libvpx", "libvpx-vp9", "libsvtav1"), ("libopus",)),
    "avi": Container(
        "avi",
        (
            *("libx264", "mpeg4", "msmpeg4v2", "msmpeg4", "mpeg2video", "mjpeg"),
            *("ffv1", "huffyuv", "utvideo", "rawvideo", "cinepak", "ffvhuff"),
        ),
        ("pcm_s16le", "pcm_u8", "pcm_f32le", "libmp3lame", "ac3", "adpcm_ms", "mp2"),
    ),
    "divx": Container("avi", ("mpeg4",), ("libmp3lame", "pcm_s16le")),
    "flv": Container("flv", ("flv", "libx264"), ("aac", "libmp3lame")),
    "mpg": Container("mpeg", ("mpeg1video", "mpeg2video"), _MPEG_PS_SOUND),
    "mpeg": Container("mpeg", ("mpeg1video", "mpeg2video"), _MPEG_PS_SOUND),
    "vob": Container("vob", ("mpeg2video",), _MPEG_PS_SOUND),
    "ts": Container("mpegts", ("libx264", "mpeg2video", "libx265"), _TS_SOUND),
    "mts": Container("mpegts", ("libx264",), ("ac3", "aac")),
    "m2ts": Container("mpegts", ("libx264", "mpeg2video"), _TS_SOUND),
    "wmv": Container("asf", ("wmv1", "wmv2"), ("wmav1", "wmav2")),
    "asf": Container("asf", ("wmv2", "msmpeg4", "mpeg4"), ("wmav2", "libmp3lame")),
    "ogv": Container("ogg", ("libvpx",), ("libopus", "flac")),
}  # fmt: skip

PIXELS = {
    "mjpeg": "yuvj420p",
    "prores_ks": "yuv422p10le",
    "png": "rgb24",
    "qtrle": "rgb24",
    "huffyuv": "yuv422p",
    "cinepak": "rgb24",
}
"""The pixel formats of encoders that do not take yuv420p."""
RATES_HZ = {
    **dict.fromkeys(("libopus", "ac3", "mp2"), (48000,)),
    "libopencore_amrnb": (8000,),
    "libmp3lame": (44100,),
    "wmav1": (44100,),
    "wmav2": (44100,),
    "adpcm_ms": (22050, 44100),
}
"""Sampling rates of encoders that do not take all of `ANY_RATE_HZ`."""
ANY_RATE_HZ = (16000, 22050, 44100, 48000)
REORDERED = ("libx264", "libx265", "mpeg4", "mpeg2video")
"""Video encoders that are told to store frames out of order."""
FRAME_RATES = (25, 30, 50, 10)

LAYOUTS = ("mono", "stereo", "left alone", "opposite", "5.1", "ambisonic")
ORIENTATIONS = {
    "as stored": ((1, 0, 0, 1), "abcd"),
    "left-right mirror": ((-1, 0, 0, 1), "badc"),
    "top-bottom mirror": ((1, 0, 0, -1), "cdab"),
    "half turn": ((-1, 0, 0, -1), "dcba"),
    "clockwise": ((0, 1, -1, 0), "cadb"),
    "counterclockwise": ((0, -1, 1, 0), "bdac"),
    "transposed": ((0, 1, 1, 0), "acbd"),
    "other diagonal": ((0, -1, -1, 0), "dbca"),
    "said once": ((0, -1, 1, 0), "bdac"),
}
"""Display matrices, and in which order the stored picture's corners a b c d are on screen; the last is an H.264 message."""

_MP4 = ("mp4", "mov", "m4v", "f4v", "3gp", "3g2")
_TIMED = ("mp4", "mov", "m4v", "mkv", "webm")
_ANY_TIMES = ("libx264", "libx265", "mpeg4", "libvpx", "libvpx-vp9", "mjpeg", "png", "ffv1")
_DEEP = ("libx264", "libx265", "libvpx-vp9", "ffv1")
_TAGGED = ("libx264", "libx265", "libvpx-vp9")


class Oddity(NamedTuple):
    """What is odd about a file.

    Attributes:
      containers, video, sound: the kinds of files that it is tried in; empty for all.
      notes: the kinds of notes of which one has to be in the report; empty where the file should be read as any other.
      lost: whether no clip should come out of it.
      may_lose: whether a clip may lack something, if that is noted.
      may_conceal: whether FFmpeg may fill in what is broken without an error, so that it cannot be noted.
    """

    containers: tuple[str, ...] = ()
    video: tuple[str, ...] = ()
    sound: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lost: bool = False
    may_lose: bool = False
    may_conceal: bool = False


_SKIPPED = {"notes": ("skipped",), "lost": True}
ODDITIES = {
    "none": Oddity(),
    "frames at uneven times": Oddity(_TIMED, _ANY_TIMES),
    "clock starts at 600 s": Oddity((*_TIMED, "ts", "mts", "m2ts", "flv")),
    "times of decoding": Oddity(("mkv", "mp4", "mov"), ("libx264", "mpeg4"), ("libmp3lame", "ac3")),
    "second sound is the default": Oddity(("mkv", "webm", "mp4", "mov"), notes=("several_tracks",)),
    "first sound is a commentary": Oddity(("mkv",), notes=("several_tracks",)),
    "wide pixels": Oddity((*_TIMED, "ts", "mpg", "vob", "avi"), ("libx264", "mpeg4", "mpeg2video")),
    "sound begins late": Oddity((*_TIMED, "ts")),
    "sound ends early": Oddity(),
    "no sound": Oddity(),
    "cut off": Oddity(("mkv", "webm", "avi", "flv", "wmv", "asf", "mp4", "mov"), notes=("incomplete", "skipped"), may_lose=True),
    "damaged": Oddity(may_lose=True, may_conceal=True),
    "empty": Oddity(**_SKIPPED),
    "a text": Oddity(**_SKIPPED),
    "sound alone": Oddity(("mp4", "mov", "mkv", "webm", "avi", "wmv", "ts"), **_SKIPPED),
    "unknown codec": Oddity(("mp4", "mov", "mkv", "avi"), ("libx264",), **_SKIPPED),
    "interlaced": Oddity(
        ("mpg", "mpeg", "vob", "ts", "m2ts", "mkv", "mts", "mov"), ("mpeg2video", "libx264"), notes=("interlaced",)
    ),
    "PQ": Oddity(("mkv", "mp4", "webm"), _TAGGED, notes=("high_dynamic_range",)),
    "HLG": Oddity(("mkv", "mp4", "webm"), _TAGGED, notes=("high_dynamic_range",)),
    "samples that are no numbers": Oddity(("mkv", "mov", "avi"), sound=("pcm_f32le",), notes=("unusable_samples",)),
    "cover picture": Oddity(("mp4", "m4v"), ("libx264", "mpeg4")),
    "capital ending": Oddity(),
    "decomposed name": Oddity(),
    "10 bits": Oddity(("mkv", "mp4", "mov", "avi"), ("libx264", "libx265", "ffv1")),
    "full color": Oddity(("mkv", "mp4", "mov", "avi"), _DEEP),
    "odd size": Oddity(video=("ffv1", "png", "mjpeg", "libvpx-vp9", "qtrle")),
    "full range": Oddity(_TIMED, ("libx264", "mpeg4", "libvpx-vp9")),
    "colors of BT.709": Oddity(_TIMED, ("libx264", "libx265", "libvpx-vp9")),
    "fragments": Oddity(("mp4", "mov", "m4v"), ("libx264", "mpeg4", "libx265", "libvpx-vp9"), ("aac", "alac")),
    "a gap in the sound": Oddity(("mkv", "mp4", "mov"), sound=("pcm_s16le", "flac", "alac")),
}  # fmt: skip


def can_turn(container: str) -> bool:
    """Returns whether a container has a display matrix of its own."""
    return container in _MP4
