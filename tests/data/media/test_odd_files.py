"""Files as the world has them: each is made here, with what is odd about it, and read as a person would see and hear it."""

import fractions
import gc
import pathlib
import runpy
import struct

import av
import numpy as np
import pytest
from av.stream import Disposition

from data.errors import DataError
from data.media import video_timeline
from data.media.containers import known_seconds, open_container, presented_seconds
from data.media.orientation import Orientation, orientation_of
from data.media.reader import MediaFormat, MediaReader
from data.media.tone_mapping import tone_mapped
from experiments.benchmarks.zoo.kinds import ORIENTATIONS

pytestmark = pytest.mark.every_python

MEDIA = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "media_files.py"))
tone, hertz, gray, write = (MEDIA[name] for name in ("tone", "hertz", "gray", "write_tracks"))
CLOCK = MediaFormat(frames_per_second=10.0, image_size_px=256, sample_rate_hz=16000)
HEIGHT, WIDTH = MEDIA["HEIGHT"], MEDIA["WIDTH"]


def read(path, clock=CLOCK):
    reader = MediaReader(path, clock)
    (clip,) = reader.clips(10_000.0)
    return clip, reader


def levels(clip):
    return clip.frames.mean((1, 2, 3))


def remux(old, new):
    """Copies the packets as they are; their times too, which may be those of decoding."""
    with av.open(str(old)) as source, av.open(str(new), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.pts = packet.dts
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return new


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_frames_stored_out_of_order_are_all_shown_evenly_where_only_times_of_decoding_are_known(tmp_path, codec):
    ramp, flash = gray(5 * np.arange(40)).copy(), 12
    ramp[flash] = 255
    click = np.zeros(4 * 16000)
    click[flash * 1600 : flash * 1600 + 160] = 0.9
    frames_between = lambda video, *_: setattr(video.codec_context, "max_b_frames", 2)  # noqa: E731
    avi = write(tmp_path / "a.avi", ramp, [click[None]], codec, configure=frames_between)
    with av.open(str(avi)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert not np.allclose(times, np.arange(40) / 10)  # Else this shows nothing.
    for path in (avi, remux(avi, tmp_path / "a.mp4")):
        clip, reader = read(path)
        assert len(clip.frames) == 40 and levels(clip).argmax() == flash
        expected = np.where(np.arange(40) == flash, 255, 5 * np.arange(40))
        np.testing.assert_allclose(levels(clip), expected, atol=6)
        loud = np.flatnonzero(np.abs(clip.audio.astype(int)) > 8000) / 16000
        assert loud.mean() == pytest.approx(flash / 10 + 0.005, abs=0.01)
        assert not reader.damaged_packets and reader.missing_seconds < 0.2


CORNERS = {"a": 20, "b": 90, "c": 160, "d": 230}


def corners(frame):
    rows, columns = np.array_split(frame.mean(-1), 2), 2
    means = [half.mean() for row in rows for half in np.array_split(row, columns, axis=1)]
    return "".join(min(CORNERS, key=lambda name: abs(CORNERS[name] - mean)) for mean in means)


def cornered(count):
    frames = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    for (row, column), name in zip(((0, 0), (0, 1), (1, 0), (1, 1)), "abcd", strict=True):
        frames[:, 24 * row : 24 * row + 24, 32 * column : 32 * column + 32] = CORNERS[name]
    return frames


@pytest.mark.parametrize("name", sorted(ORIENTATIONS.keys() - {"said once"}))
def test_all_eight_display_matrices(tmp_path, name):
    (a, b, c, d), shown = ORIENTATIONS[name]
    path = write(tmp_path / "turned.mp4", cornered(3))
    content = path.read_bytes()
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    track = content.index(b"tkhd")
    place = content.index(identity, track)
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content[:place] + matrix + content[place + 36 :])
    clip, _ = read(path)
    assert {corners(frame) for frame in clip.frames} == {shown}
    assert clip.frames.shape == (3, *((WIDTH, HEIGHT) if b else (HEIGHT, WIDTH)), 3)


def test_an_orientation_that_is_said_once_holds(tmp_path):
    path, turned = write(tmp_path / "plain.mp4", cornered(30)), tmp_path / "turned.mp4"
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        first, *others = (packet for packet in source.demux(stream) if packet.dts is not None)
        said = av.bitstream.BitStreamFilterContext("h264_metadata=display_orientation=insert:rotate=90", stream)
        packets = [*said.filter(first), *others]
        with av.open(str(turned), "w") as target:
            new = target.add_stream_from_template(stream)
            for packet in packets:
                packet.stream = new
                target.mux(packet)
    with av.open(str(turned)) as container:
        said = [orientation_of(frame) for frame in container.decode(video=0)]
    assert [index for index, orientation in enumerate(said) if orientation] == [0] and len(said) == 30
    clip, _ = read(turned)
    assert clip.frames.shape == (30, WIDTH, HEIGHT, 3)
    assert len({corners(frame) for frame in clip.frames}) == 1 and corners(clip.frames[0]) in ("bdac", "cadb")


def test_a_frame_that_was_asked_for_its_orientation_is_freed(tmp_path):
    MEDIA["write_media"](tmp_path / "video.mp4", MEDIA["moving_square"](30))
    gc.collect()
    gc.disable()
    try:
        with av.open(str(tmp_path / "video.mp4")) as container:
            for frame in container.decode(video=0):
                orientation_of(frame)
        kept = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert kept < 5


def test_an_orientation_holds_until_another_comes_and_the_shape_stays(tmp_path, monkeypatch):
    quarter, half = Orientation(True, False, True), Orientation(False, True, True)
    said = iter([quarter, *[None] * 19, half, *[None] * 9])
    monkeypatch.setattr(video_timeline, "orientation_of", lambda frame: next(said))
    clip, _ = read(write(tmp_path / "a.mp4", cornered(30)))
    assert clip.frames.shape == (30, WIDTH, HEIGHT, 3)
    assert [corners(frame) for frame in clip.frames] == ["bdac"] * 20 + ["dcba"] * 10


def test_ambisonics_keep_the_pictures_and_give_the_channel_of_all_directions(tmp_path):
    path = tmp_path / "a.webm"
    sounds = np.stack([tone(1, 48000, hz) for hz in (1000, 2000, 3000, 4000)])
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx", rate=10)
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        audio = container.add_stream("libopus", rate=48000, layout="ambisonic 1", options={"mapping_family": "2"})
        for pixels in gray([90] * 10):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))))
        container.mux(video.encode(None))
        for start in range(0, 48000, 960):
            block = np.ascontiguousarray(sounds[:, start : start + 960].T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(block, "flt", "ambisonic 1")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, fractions.Fraction(1, 48000)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    clip, reader = read(path)
    np.testing.assert_allclose(levels(clip), [90] * 10, atol=3)
    assert hertz(clip.audio) == pytest.approx(1000, abs=5)
    assert reader.remarks == {"unmixed_channels": "ambisonic 1: the first channel is used"}


@pytest.mark.parametrize(("right", "noted"), [(-1.0, True), (-0.97, True), (1.0, False), (0.0, False)])
def test_channels_that_cancel_do_not_become_silence(tmp_path, right, noted):
    left = tone(2, 16000, 440, 0.5)
    path = write(tmp_path / "a.mp4", gray([90] * 20), [np.stack([left, right * left])])
    clip, reader = read(path)
    assert hertz(clip.audio) == pytest.approx(440, abs=2)
    assert np.abs(clip.audio[2000:30000]).max() > 7000
    assert list(reader.remarks) == (["cancelling_channels"] if noted else [])


def test_a_short_sound_that_cancels_is_heard(tmp_path):
    left = np.zeros(3 * 16000)
    for start in (8100, 20500, 33300):  # 20 ms each, wherever that is in a block
        left[start : start + 320] = tone(0.02, 16000, 1000, 0.8)
    path = write(tmp_path / "a.mov", gray([90] * 30), [np.stack([left, -left])])
    clip, reader = read(path)
    loud = np.flatnonzero(np.abs(clip.audio.astype(int)) > 8000)
    assert {round(place / 16000, 1) for place in loud} == {0.5, 1.3, 2.1}
    assert list(reader.remarks) == ["cancelling_channels"]


@pytest.mark.parametrize("suffix", ["avi", "mkv"])
def test_an_avi_file_that_is_cut_off_lacks_what_its_header_counts(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", gray([90] * 60), [tone(6, 16000)[None]], codec="ffv1")
    _, reader = read(path)
    assert reader.promised_seconds == pytest.approx(6.0, abs=0.1) and reader.missing_seconds < 0.2
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip, reader = read(path)
    assert len(clip.frames) < 40 and reader.missing_seconds > 2.0
    assert reader.promised_seconds == pytest.approx(6.0, abs=0.1)


def test_only_the_part_that_cancels_is_the_first_channel(tmp_path):
    times = np.arange(4 * 16000) / 16000
    left = tone(4, 16000, 440, 0.5)
    right = np.where(times < 2, -1, 1) * left + np.where(times < 2, 0, tone(4, 16000, 1500, 0.5))
    clip, reader = read(write(tmp_path / "a.mp4", gray([90] * 40), [np.stack([left, right])]))
    first, second = clip.audio[4000:24000].astype(float), clip.audio[44000:60000].astype(float)
    assert hertz(first) == pytest.approx(440, abs=2) and first.std() > 8000
    spectrum = np.abs(np.fft.rfft(second))
    assert spectrum[1500] > 0.2 * spectrum[440] and spectrum[1500] > 100 * np.median(spectrum)
    assert len(clip.audio) == 4 * 16000 and list(reader.remarks) == ["cancelling_channels"]


def test_the_default_track_is_taken_and_a_commentary_is_not(tmp_path):
    frames, sounds = gray([90] * 20), [tone(2, 16000, hz, 0.5)[None] for hz in (300, 700, 1100)]
    marks = {
        "third": (Disposition(0), Disposition(0), Disposition.default, 1100),
        "second": (Disposition.comment | Disposition.default, Disposition(0), Disposition.visual_impaired, 700),
        "first": (Disposition(0), Disposition(0), Disposition(0), 300),
    }
    for name, (*dispositions, expected) in marks.items():

        def mark(video, *tracks, dispositions=dispositions):
            for track, disposition in zip(tracks, dispositions, strict=True):
                track.disposition = disposition

        clip, reader = read(write(tmp_path / f"{name}.mkv", frames, sounds, configure=mark))
        assert hertz(clip.audio) == pytest.approx(expected, abs=2)
        number = (300, 700, 1100).index(expected) + 1
        assert reader.remarks == {"several_tracks": f"3 sound tracks, number {number} is used"}


@pytest.mark.parametrize("sound", [True, False])
def test_a_slide_stands_as_long_as_the_file_says(tmp_path, sound):
    clock = MediaFormat(frames_per_second=0.1, image_size_px=16, sample_rate_hz=100)
    sounds = [np.full((1, 720 * 8000), 0.1)] if sound else []
    path = write(tmp_path / "a.mov", gray([20, 120, 220]), sounds, times=[0, 5, 705], ticks=1, rate=8000)
    clip, reader = read(path, clock)
    np.testing.assert_allclose(levels(clip), [20] + [120] * 70, atol=4)
    assert reader.remarks == {"held_frames": "one frame is shown for 700 s"} and reader.missing_seconds < 1


def test_a_time_stamp_beyond_the_sound_is_not_believed(tmp_path):
    path = write(tmp_path / "a.mp4", gray([20, 120, 220]), [tone(8, 16000)[None]], times=[0, 5, 5000], ticks=1)
    clip, reader = read(path)
    assert len(clip.frames) == 80 and reader.missing_seconds > 4000  # to the sound's end


@pytest.mark.parametrize("frames", [2, 40])
def test_a_header_of_half_a_year_does_not_make_clips_of_it(tmp_path, frames):
    path = write(tmp_path / "a.avi", gray([20 + index for index in range(frames)]), [tone(4, 16000)[None]], "mpeg4")
    content = bytearray(path.read_bytes())
    content[content.find(b"strh") + 30] ^= 0x40  # A bit of dwScale: each frame stands for weeks.
    path.write_bytes(content)
    clip, reader = read(path)
    assert len(clip.frames) == 40 and reader.missing_seconds > 1e5


def test_sound_whose_first_time_stamp_is_broken_does_not_make_a_video_long(tmp_path):
    path = tmp_path / "a.vob"
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("mpeg2video", rate=25), container.add_stream("mp2", rate=48000)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(50):
            samples = np.full((1, 2 * 1920), 1000, np.int16)
            sound = av.AudioFrame.from_ndarray(samples, "s16", "stereo")
            sound.sample_rate, sound.pts, sound.time_base = 48000, 1920 * index, fractions.Fraction(1, 48000)
            container.mux(audio.encode(sound))
            picture = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        container.mux([*audio.encode(None), *video.encode(None)])
    content = bytearray(path.read_bytes())
    content[content.find(b"\0\0\1\xc0") + 9] ^= 0x04  # A bit of its time: six hours later.
    path.write_bytes(content)
    with open_container(path) as container:
        assert known_seconds(container, container.streams.video[0]) == pytest.approx(2.0, abs=0.1)
    clip, reader = read(path)
    assert len(clip.frames) == 20 and not reader.clock_restarts


def test_a_last_frame_is_held_as_long_as_its_packet_says(tmp_path):
    def longer(packet):
        if packet.pts == 2:
            packet.duration = 30
        return packet

    path = write(tmp_path / "a.mp4", gray([20, 120, 220]), [tone(32, 16000)[None]], ticks=1, edit=longer)
    clip, _ = read(path)
    np.testing.assert_allclose(levels(clip), [20] * 10 + [120] * 10 + [220] * 300, atol=4)
    with open_container(path) as container:
        assert presented_seconds(container, container.streams.video[0]) == pytest.approx(32.0)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "flv"])
def test_a_clock_that_starts_late_is_no_damage(tmp_path, suffix):
    times = [600 + index for index in range(30)]
    clip, reader = read(write(tmp_path / f"late.{suffix}", gray(5 * np.arange(30)), times=times))
    np.testing.assert_allclose(levels(clip), 5 * np.arange(30), atol=4)
    assert reader.promised_seconds == pytest.approx(3.0, abs=0.3) or suffix == "flv"
    assert reader.missing_seconds < 0.3 and not reader.damaged_packets


def test_empty_packets_mean_as_before(tmp_path):
    def emptied(packet):
        if packet.pts % 3 == 0:
            return packet
        empty = av.Packet(0)
        empty.pts, empty.dts, empty.time_base, empty.stream = packet.pts, packet.dts, packet.time_base, packet.stream
        return empty

    path = write(tmp_path / "a.nut", gray(10 * np.arange(20)), codec="mpeg4", edit=emptied)
    with av.open(str(path)) as container:
        assert sum(not packet.size for packet in container.demux(video=0)) > 10
    clip, reader = read(path)
    np.testing.assert_allclose(levels(clip)[:19], 30 * (np.arange(19) // 3), atol=4)
    assert not reader.damaged_packets


def test_interlaced_fields_are_brought_to_one_time(tmp_path):
    frames = np.full((20, HEIGHT, WIDTH, 3), 60, np.uint8)
    for index, frame in enumerate(frames):  # A bar moves on between the two fields.
        frame[0::2, 2 * index + 2 : 2 * index + 14] = 240
        frame[1::2, 2 * index + 8 : 2 * index + 20] = 240

    def interlaced(video):
        video.options, video.bit_rate = {"flags": "+ildct+ilme", "top": "1"}, 5_000_000

    def combs(pixels):
        return np.abs(np.diff(pixels[..., 0].astype(int), axis=1)).mean()

    clip, reader = read(write(tmp_path / "a.mkv", frames, codec="mpeg2video", configure=interlaced))
    assert len(clip.frames) == 20 and reader.remarks == {"interlaced": "deinterlaced"}
    assert combs(clip.frames[2:-2]) < 0.6 * combs(frames[2:-2])
    bar = (clip.frames[5:15].mean((1, 3)) > 150).argmax(1)
    assert (np.diff(bar) == 2).all()


def test_high_dynamic_range_looks_like_an_ordinary_picture(tmp_path):
    def white(kind, share):
        return int(tone_mapped(np.full((1, 1, 3), round(65535 * share), np.uint16), kind)[0, 0, 0])

    # White of 203 nits is 58 % in PQ and 75 % in HLG (BT.2408); black and the brightest stay what they are.
    for kind, share in (("PQ", 0.5807), ("HLG", 0.75)):
        assert 220 <= white(kind, share) <= 240 and white(kind, 0.0) == 0 and white(kind, 1.0) == 255
        grays = [white(kind, level / 20) for level in range(21)]
        assert grays == sorted(grays)
    # A gray card, 26 nits or 38 % in PQ (BT.2408), is below the knee: the same light as on an ordinary screen.
    assert white("PQ", 0.38) == pytest.approx(255 * (26 / 203) ** (1 / 2.4), abs=3)
    # A BT.709 red of half the white's light, in BT.2020 primaries and PQ.
    red = np.array([[[0.4838, 0.2754, 0.1873]]]) * 65535
    shown = tone_mapped(red.astype(np.uint16), "PQ")[0, 0]
    assert shown[0] > 150 and shown[1:].max() < 0.45 * shown[0]


@pytest.mark.parametrize(
    ("transfer", "primaries", "kind"), [(16, 9, "PQ"), (18, 9, "HLG"), (1, 9, "BT.2020"), (1, 1, "")]
)
def test_high_dynamic_range_is_known_by_its_tags(tmp_path, transfer, primaries, kind):
    def tagged(video):
        video.codec_context.color_trc, video.codec_context.color_primaries = transfer, primaries

    clip, reader = read(write(tmp_path / "a.mkv", gray([148] * 3), codec="libvpx-vp9", configure=tagged))
    assert clip.frames.dtype == np.uint8 and clip.frames.shape == (3, HEIGHT, WIDTH, 3)
    noted = {"high_dynamic_range": f"{kind}: brought to the range of ordinary screens"} if kind else {}
    assert reader.remarks == noted
    # White of 203 nits in PQ, a middle gray of HLG, and an ordinary gray.
    expected = {"PQ": 231, "HLG": None, "BT.2020": 148, "": 148}[kind]
    if expected:
        np.testing.assert_allclose(levels(clip), expected, atol=4)


def test_what_the_decoder_fills_in_is_noted(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (10, HEIGHT, WIDTH, 3), np.uint8)
    content = bytearray(write(tmp_path / "whole.avi", frames, codec="mpeg4").read_bytes())
    whole = MediaReader(bytes(content), CLOCK)
    assert len(next(whole.clips(1.0)).frames) == 10 and not whole.remarks
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    damaged = MediaReader(bytes(content), CLOCK)
    assert len(next(damaged.clips(1.0)).frames) == 10
    assert damaged.remarks == {"concealed_errors": "video: the decoder filled in what was broken"}


def test_a_playlist_without_a_folder_opens_no_other_file(tmp_path, monkeypatch):
    write(tmp_path / "private.mp4", gray(range(10)))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="cannot be opened|not a media file"):
        next(MediaReader(b"ffconcat version 1.0\nfile private.mp4\n", CLOCK).clips(1.0))
