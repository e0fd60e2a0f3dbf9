"""Writes the media file of a specimen."""

from __future__ import annotations

import fractions
import io
import os
import struct
from collections.abc import Iterable

import av
import numpy as np
from av.stream import Disposition

from experiments.benchmarks.zoo.caption_forms import FORMS, SOURCES, cues_of
from experiments.benchmarks.zoo.kinds import CONTAINERS, ODDITIES, ORIENTATIONS, PIXELS, REORDERED, can_turn
from experiments.benchmarks.zoo.specimens import FLASH_SECONDS, SECONDS, Specimen

HEIGHT, WIDTH = 96, 128
CORNERS = {"a": 20, "b": 80, "c": 150, "d": 220}
GRAY_OF_WHITE = {"PQ": 148, "HLG": 191}
"""What white of 203 nits is coded as (BT.2408), in 0 ... 255."""
TICKS = 1000
_TRANSFERS = {"PQ": 16, "HLG": 18}
_LATE_SECONDS, _SHORT_SECONDS = 600, 2.0
_SOUND_FROM_SECONDS = 0.3
_GAP_SECONDS = (1.9, 2.2)


def frame_times(specimen: Specimen) -> np.ndarray:
    """Returns when each frame is shown, seconds."""
    times = np.arange(round(SECONDS * specimen.frames_per_second)) / specimen.frames_per_second
    if specimen.oddity == "frames at uneven times":
        moved = 0.4 / specimen.frames_per_second * (np.arange(len(times)) % 3 == 1)
        times = np.round((times + moved) * TICKS) / TICKS
    return times


def pictures(specimen: Specimen) -> Iterable[np.ndarray]:
    """Yields the frames, uint8 [height, width, 3]: four gray corners and, in the middle, the color and the flash."""
    height, width = (HEIGHT + 1, WIDTH + 3) if specimen.oddity == "odd size" else (HEIGHT, WIDTH)
    gray = GRAY_OF_WHITE.get(specimen.oddity)
    frame = np.empty((height, width, 3), np.uint8)
    for time in frame_times(specimen):
        flash = specimen.flash_seconds - 1e-6 <= time < specimen.flash_seconds + FLASH_SECONDS - 1e-6
        frame[:] = 250 if flash else (gray - 90 if gray else np.array(specimen.color))
        for (row, column), name in zip(((0, 0), (0, 1), (1, 0), (1, 1)), "abcd", strict=True):
            rows, columns = (
                slice(0, 24) if not row else slice(-24, None),
                slice(0, 32) if not column else slice(-32, None),
            )
            frame[rows, columns] = CORNERS[name]
        yield frame


def sound(specimen: Specimen) -> np.ndarray:
    """Returns the sound, float32 [channels, samples] in [-1, 1]: faint noise, and a tone of 20 ms."""
    rate = specimen.sample_rate_hz
    seconds = _SHORT_SECONDS if specimen.oddity == "sound ends early" else SECONDS
    times = np.arange(round(seconds * rate)) / rate
    since = times - specimen.click_seconds
    click = np.where((since >= 0) & (since < 0.02), 0.9 * np.sin(2 * np.pi * 1000 * since), 0.0)
    click += np.random.default_rng(0).uniform(-1e-4, 1e-4, len(times))
    if specimen.oddity == "samples that are no numbers":
        click[-rate // 5 : -rate // 5 + 10] = np.nan
    channels = {
        "mono": [1],
        "stereo": [1, 1],
        "left alone": [1, 0],
        "opposite": [1, -1],
        "5.1": [0, 0, 1, 0, 0, 0],
        "ambisonic": [1, 0, 0, 0],
    }[specimen.layout]
    return (np.array(channels)[:, None] * click).astype(np.float32)


def write_media(specimen: Specimen, path: str | os.PathLike) -> None:
    """Writes the media file, whole; what breaks it comes after this."""
    path = os.fspath(path)
    if specimen.oddity == "times of decoding":
        return _write_with_times_of_decoding(specimen, path)
    options = {"movflags": "frag_keyframe+delay_moov"} if specimen.oddity == "fragments" else {}
    _write(specimen, path, CONTAINERS[specimen.container].form, options)
    if specimen.orientation != "as stored" and can_turn(specimen.container):
        _turn(path, ORIENTATIONS[specimen.orientation][0])


def _write(specimen: Specimen, path: str, form: str, options: dict[str, str]) -> None:
    with av.open(path, "w", format=form, options=options) as container:
        cover = _add_cover(container) if specimen.oddity == "cover picture" else None
        video = None if specimen.oddity == "sound alone" else _add_video(container, specimen)
        sounds = [_add_sound(container, specimen) for _ in range(_sound_tracks(specimen))]
        _mark_tracks(specimen, sounds)
        text = _add_text(container, specimen)
        packets = [*cover.encode(_picture(next(iter(pictures(specimen))))), *cover.encode(None)] if cover else []
        for number, track in enumerate(sounds):
            packets += _sound_packets(specimen, track, decoy=number < len(sounds) - 1)
        shown = [] if video is None else list(_video_packets(specimen, video))
        if specimen.orientation == "said once" and shown:
            container.start_encoding()  # the filter needs what the encoder says of itself
            shown = _said_once(shown, video)
        packets += shown
        packets += text
        start = min(packet.dts * packet.time_base for packet in packets)
        # In the order of their times: a file that is cut off then has all of its beginning.
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base - start):
            container.mux(packet)


def _sound_tracks(specimen: Specimen) -> int:
    if specimen.oddity == "no sound":
        return 0
    return 2 if "several_tracks" in ODDITIES[specimen.oddity].notes else 1


def _mark_tracks(specimen: Specimen, sounds: list[av.audio.AudioStream]) -> None:
    if specimen.oddity == "second sound is the default":
        sounds[0].disposition, sounds[1].disposition = Disposition(0), Disposition.default
    if specimen.oddity == "first sound is a commentary":
        sounds[0].disposition, sounds[1].disposition = Disposition.comment | Disposition.default, Disposition(0)


def _add_cover(container: av.container.OutputContainer) -> av.video.stream.VideoStream:
    cover = container.add_stream("mjpeg", rate=1)
    cover.height, cover.width, cover.pix_fmt = HEIGHT, WIDTH, "yuvj420p"
    cover.disposition = Disposition.attached_pic
    return cover


def _add_video(container: av.container.OutputContainer, specimen: Specimen) -> av.video.stream.VideoStream:
    video = container.add_stream(specimen.video, rate=specimen.frames_per_second)
    codec, oddity = video.codec_context, specimen.oddity
    codec.height, codec.width = next(iter(pictures(specimen))).shape[:2]
    codec.pix_fmt = {"10 bits": "yuv420p10le", "full color": "yuv444p", "PQ": "yuv420p", "HLG": "yuv420p"}.get(
        oddity, PIXELS.get(specimen.video, "yuv420p")
    )
    codec.bit_rate, codec.gop_size = 3_000_000, 12
    if specimen.video in REORDERED and oddity != "interlaced":
        codec.max_b_frames = 2
    video.options = _encoder_options(specimen)
    if oddity == "frames at uneven times":
        codec.time_base = fractions.Fraction(1, TICKS)
    if oddity == "wide pixels":
        codec.sample_aspect_ratio = fractions.Fraction(4, 3)
    if oddity in _TRANSFERS:
        codec.color_trc, codec.color_primaries = _TRANSFERS[oddity], 9
    if oddity == "full range":
        codec.color_range = 2
    if oddity == "colors of BT.709":
        codec.colorspace = codec.color_primaries = codec.color_trc = 1
    return video


def _encoder_options(specimen: Specimen) -> dict[str, str]:
    options = {
        "libx264": {"preset": "veryfast"},
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:bframes=2"},
        "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    }.get(specimen.video, {})
    if specimen.video == "libvpx-vp9" and specimen.oddity == "full color":
        options = {**options, "profile": "1"}
    if specimen.oddity == "interlaced":
        options = {**options, "flags": "+ildct+ilme", "top": "1"}
    return options


def _add_sound(container: av.container.OutputContainer, specimen: Specimen) -> av.audio.stream.AudioStream:
    ambisonic = specimen.layout == "ambisonic"
    layout = {"left alone": "stereo", "opposite": "stereo", "ambisonic": "ambisonic 1"}.get(
        specimen.layout, specimen.layout
    )
    options = {"mapping_family": "2"} if ambisonic else {}
    track = container.add_stream(specimen.sound, rate=specimen.sample_rate_hz, layout=layout, options=options)
    track.bit_rate = 12_200 if specimen.sound == "libopencore_amrnb" else 192_000
    return track


def _add_text(container: av.container.OutputContainer, specimen: Specimen) -> list[av.Packet]:
    """Adds the captions that are inside the file; returns their packets."""
    form = FORMS[specimen.captions].inside
    if not form:
        return []
    source, packets = SOURCES[form](cues_of(specimen.captions, specimen.caption_seconds)), []
    with av.open(io.BytesIO(source), format="srt" if form == "mov_text" else form) as text:
        is_mp4 = form == "mov_text"
        track = container.add_mux_stream("mov_text") if is_mp4 else container.add_stream_from_template(text.streams[0])
        track.metadata["language"] = "eng"
        for packet in text.demux():
            if packet.dts is not None:
                content = bytes(packet)
                copy = av.Packet(len(content).to_bytes(2, "big") + content if is_mp4 else content)
                copy.pts, copy.dts, copy.duration, copy.time_base = (
                    packet.pts,
                    packet.dts,
                    packet.duration,
                    packet.time_base,
                )
                copy.pts = copy.dts = packet.pts + round(_start_seconds(specimen) / packet.time_base)
                copy.is_keyframe, copy.stream = True, track
                packets.append(copy)
    return packets


def _start_seconds(specimen: Specimen) -> int:
    return _LATE_SECONDS if specimen.oddity == "clock starts at 600 s" else 0


def _picture(pixels: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")


def _video_packets(specimen: Specimen, video: av.video.stream.VideoStream) -> Iterable[av.Packet]:
    for time, pixels in zip(frame_times(specimen), pictures(specimen), strict=True):
        picture = _converted(_picture(pixels), specimen, video)
        picture.time_base = fractions.Fraction(1, TICKS * 3)
        picture.pts = round((time + _start_seconds(specimen)) * TICKS * 3)
        if specimen.oddity != "frames at uneven times":
            picture.time_base = fractions.Fraction(1, specimen.frames_per_second)
            picture.pts = round((time + _start_seconds(specimen)) * specimen.frames_per_second)
        yield from video.encode(picture)
    yield from video.encode(None)


def _said_once(packets: list[av.Packet], video: av.video.stream.VideoStream) -> list[av.Packet]:
    """Returns the packets, the first one with a message that the picture is to be turned."""
    turning = av.bitstream.BitStreamFilterContext("h264_metadata=display_orientation=insert:rotate=90", video)
    first = turning.filter(packets[0])
    for packet in first:
        packet.stream = video
    return [*first, *packets[1:]]


def _converted(picture: av.VideoFrame, specimen: Specimen, video: av.video.stream.VideoStream) -> av.VideoFrame:
    if specimen.oddity == "full range":
        return picture.reformat(format=video.pix_fmt, dst_color_range=2)
    if specimen.oddity == "colors of BT.709":
        return picture.reformat(format=video.pix_fmt, dst_colorspace=1)
    return picture


def _sound_packets(specimen: Specimen, track: av.audio.stream.AudioStream, decoy: bool) -> Iterable[av.Packet]:
    """Encodes the sound in blocks of 20 ms; a decoy has its click elsewhere."""
    samples, rate = sound(specimen), specimen.sample_rate_hz
    samples = samples[:, ::-1] if decoy else samples
    layout = track.codec_context.layout.name
    block_samples = rate // 50
    for start in range(0, samples.shape[1], block_samples):
        seconds = start / rate
        if specimen.oddity == "sound begins late" and seconds < _SOUND_FROM_SECONDS - 1e-6:
            continue
        if specimen.oddity == "a gap in the sound" and _GAP_SECONDS[0] - 1e-6 <= seconds < _GAP_SECONDS[1] - 1e-6:
            continue
        block = samples[:, start : start + block_samples].T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "flt", layout)
        frame.sample_rate, frame.time_base = rate, fractions.Fraction(1, rate)
        frame.pts = start + _start_seconds(specimen) * rate
        yield from track.encode(frame)
    yield from track.encode(None)


def _turn(path: str, matrix: tuple[int, int, int, int]) -> None:
    """Puts a display matrix into the header of the video track, in 16.16 bits."""
    with open(path, "rb") as file:
        content = file.read()
    a, b, c, d = (value << 16 for value in matrix)
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    place = content.index(plain, content.index(b"tkhd"))
    with open(path, "wb") as file:
        file.write(content[:place] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[place + 36 :])


def _write_with_times_of_decoding(specimen: Specimen, path: str) -> None:
    """Writes an .avi file, which has no other times, and copies its packets as they are."""
    avi = f"{path}.avi"
    _write(specimen, avi, "avi", {})
    form = CONTAINERS[specimen.container].form
    with av.open(avi) as source, av.open(path, "w", format=form) as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.pts, packet.stream = packet.dts, streams[packet.stream_index]
                target.mux(packet)
    os.remove(avi)
