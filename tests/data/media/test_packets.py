"""Where one recording is joined to another, pictures, sound and text all end there."""

import fractions
import pathlib
import runpy

import av
import numpy as np
import pytest

from data.media.containers import open_container, presented_seconds
from data.media.packets import Packets
from data.media.reader import MediaFormat, MediaReader
from data.text.text_tracks import read_tracks

pytestmark = pytest.mark.every_python

MEDIA = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "media_files.py"))
tone, hertz = MEDIA["tone"], MEDIA["hertz"]
CLOCK = MediaFormat(frames_per_second=10.0, image_size_px=32, sample_rate_hz=16000)
CODECS = {".ts": ("mpeg2video", "mp2"), ".vob": ("mpeg2video", "mp2"), ".webm": ("libvpx", "libopus")}
RESTARTED = {"restarted_clocks": "time stamps start again; what follows is not used"}


def record(path, level, sound_hertz, seconds=2.0, sound_seconds=2.0, edit=lambda packet: packet):
    """Frames of one gray, 25 a second, and a tone, or no sound track at all (0 Hz); returns the file's bytes."""
    video_codec, sound_codec = CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=25)
        video.width = video.height = 32
        video.pix_fmt, packets = "yuv420p", []
        if sound_hertz:
            audio = container.add_stream(sound_codec, rate=48000, layout="mono")
            for block in blocks(audio, tone(sound_seconds, 48000, sound_hertz)):
                packets += audio.encode(block)
        for _ in range(round(seconds * 25)):
            packets += video.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, np.uint8), format="rgb24"))
        packets += video.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux([edited] if (edited := edit(packet)) is not None else [])
    return path.read_bytes()


def blocks(stream, samples):
    context = stream.codec_context
    resampler = av.AudioResampler(context.format, "mono", 48000, context.frame_size or 960)
    whole = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    whole.sample_rate, whole.pts, whole.time_base = 48000, 0, fractions.Fraction(1, 48000)
    return [*resampler.resample(whole), *resampler.resample(None), None]


def read(path):
    reader = MediaReader(path, CLOCK)
    return list(reader.clips(1.0)), reader


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("sound_seconds", [2.0, 1.6, 0.5])
def test_pictures_never_get_the_sound_of_another_recording(tmp_path, suffix, sound_seconds):
    first = record(tmp_path / f"first{suffix}", 60, 400, sound_seconds=sound_seconds)
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(first + record(tmp_path / f"second{suffix}", 200, 1200, seconds=3.0, sound_seconds=3.0))
    clips, reader = read(path)
    assert [len(clip.frames) for clip in clips] == [10, 10] and reader.remarks == RESTARTED and reader.clock_restarts
    for clip in clips:
        np.testing.assert_allclose(clip.frames.mean((1, 2, 3)), 60, atol=4)
    heard = np.concatenate([clip.audio for clip in clips])
    assert hertz(heard[: int(sound_seconds * 16000)]) == pytest.approx(400, abs=5)
    assert not np.abs(heard[int((sound_seconds + 0.1) * 16000) :]).any()
    with open_container(path) as container:
        end = presented_seconds(container, container.streams.video[0])
        start = container.streams.video[0].start_time * container.streams.video[0].time_base
    assert end - start == pytest.approx(2.0, abs=0.1)


def test_the_clock_of_one_track_is_enough(tmp_path):
    def slide(packet):
        """Keeps three pictures of a second, so that those of the second recording soon pass those of the first."""
        return packet if packet.stream.type == "audio" or packet.pts % 12 == 0 else None

    path = tmp_path / "joined.webm"
    path.write_bytes(
        record(tmp_path / "a.webm", 60, 400, edit=slide) + record(tmp_path / "b.webm", 200, 1200, 4.0, 4.0, edit=slide)
    )
    clips, reader = read(path)
    assert reader.remarks == RESTARTED and sum(len(clip.frames) for clip in clips) < 25
    assert hertz(np.concatenate([clip.audio for clip in clips])) == pytest.approx(400, abs=5)


@pytest.mark.parametrize("ahead", [-1, 1])
@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_broken_time_stamp_is_no_other_clock(tmp_path, kind, ahead):
    number = 0

    def broken(packet):
        nonlocal number
        number += packet.stream.type == kind
        if 20 <= number < 22 and packet.stream.type == kind:
            packet.pts = packet.dts = packet.dts + round(ahead * 5 / packet.time_base)
        return packet

    path = tmp_path / "a.ts"
    record(path, 60, 400)
    with open_container(path) as container:
        changed = list(map(broken, container.demux()))
        source = _Read(container, changed)  # No muxer takes such times.
        stream = container.streams.get({kind: 0})[0]
        packets = Packets(source, stream)
        taken = [packet for packet in packets if packet.size]
    of_track = [packet for packet in changed if packet.size and packet.stream is stream]
    assert packets.read_to_the_end and not packets.clock_restarts
    assert len(of_track) - len(taken) == 2 * (kind == "audio" and ahead < 0)  # It would cover other sound.


class _Read:
    """An open file whose packets have been read; PyAV may raise an error after them."""

    def __init__(self, container, packets, error=None):
        self.streams, self._packets, self._error = container.streams, packets, error

    def demux(self, streams):
        yield from self._packets
        if self._error:
            raise self._error


def test_a_track_that_begins_midway_ends_nothing(tmp_path):
    path = tmp_path / "a.ts"
    record(path, 60, 400)
    with open_container(path) as container:
        # FFmpeg finds it only where there are 5 MB before it and as many after it.
        late = _Read(container, list(container.demux()), IndexError("list index out of range"))
        packets = Packets(late, container.streams.audio[0])
        assert sum(packet.size > 0 for packet in packets) > 50 and packets.read_to_the_end


def test_words_of_another_recording_are_not_put_on_the_first(tmp_path, add_text_tracks):
    parts = []
    for name in ("first", "second"):
        record(tmp_path / f"{name}.webm", 60, 400)
        words = f"1\n00:00:00,500 --> 00:00:01,500\n{name}\n"
        parts.append(add_text_tracks(tmp_path / f"{name}.webm", tmp_path / f"{name}.mkv", (words, "srt", "eng", True)))
    joined = tmp_path / "joined.mkv"
    joined.write_bytes(b"".join(pathlib.Path(part).read_bytes() for part in parts))
    assert [cue.text for cue in read_tracks(joined).captions.cues] == ["first"]
