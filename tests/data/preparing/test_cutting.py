"""What is cut from one listed file: clips, captions, and what there is to say about them."""

import fractions
import io
import pathlib
import pickle

import av
import numpy as np
import pytest
from PIL import Image

from data.media.reader import MediaFormat, MediaReader
from data.preparing.caption_reading import CaptionOptions
from data.preparing.cutting import PAST_THE_END, Cutting, cut_video, expected_clips
from data.preparing.listing import ListedVideo, Segment
from data.preparing.tally import Tally
from data.source.tree import SourceTree
from data.text.cues import Cue

pytestmark = pytest.mark.every_python

CUTTING = Cutting(MediaFormat(frames_per_second=10.0, image_size_px=16, sample_rate_hz=8000), clip_seconds=1.0)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, write_video, write_flash):
    """rising.mp4 brightens by 20 a second, for 3 seconds; click.wav is 1.5 s long, its click at 0.7 s."""
    root = tmp_path_factory.mktemp("source")
    write_video(root / "rising.mp4", seconds=3.0)
    write_flash(root / "click.wav", seconds=1.5, at=0.7)
    write_flash(root / "mute.mp4", seconds=0.6, sound=False)
    (root / "rising.vtt").write_text("WEBVTT\n\n00:00.200 --> 00:00.600\nbegins\n\n00:02.500 --> 00:02.900\nends\n")
    (root / "letter.mp4").write_text("Dear Anna")
    return SourceTree(root)


def cut(tree, *segments, path="rising.mp4", cutting=CUTTING, **fields):
    tally = Tally()
    video = ListedVideo("it", "train", path, segments=segments, **fields)
    return {record["clip_id"]: record for record in cut_video(tree, video, cutting, tally)}, tally


def remux(old, new):
    with av.open(str(old)) as source, av.open(str(new), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)


def brightness(record):
    return [np.asarray(Image.open(io.BytesIO(frame))).mean() for frame in record["video"]]


def notes(tally, kind):
    return {name: what for of, name, what in tally.notes if of == kind}


def test_segments_in_any_order_and_over_each_other_come_from_one_pass(tree, monkeypatch):
    opened, spans = [], MediaReader.spans
    monkeypatch.setattr(
        MediaReader, "spans", lambda reader, ticks: opened.append(list(ticks)) or spans(reader, opened[-1])
    )
    segments = [Segment("b", 1.5, 2.2), Segment("a", 0.5, 1.5), Segment("c", 1.5, 1.8), Segment("long", 0.0, 3.0)]
    records, tally = cut(tree, *segments)
    assert opened == [[(0, 10), (5, 15), (15, 22), (15, 18)]]  # The long one is cut off at clip_seconds.
    for name, start, frames in (("long", 0.0, 10), ("a", 0.5, 10), ("b", 1.5, 7), ("c", 1.5, 3)):
        record = records[name]
        assert record["start_seconds"] == start and record["source"] == "rising.mp4"
        expected = 20 + 20 * (start + np.arange(frames) / 10)
        np.testing.assert_allclose(brightness(record), expected, atol=4)
        assert record["audio"].shape == (frames * 800,) and np.abs(record["audio"]).max() > 5000
    assert not tally.notes and tally.counts["videos_used"] == 1 and tally.counts["clips"] == 4
    assert tally.counts["frames"] == 30 and tally.counts["samples"] == 24000


def test_segments_beyond_the_end_are_cut_or_skipped_and_named(tree):
    records, tally = cut(tree, Segment("over", 2.5, 3.4), Segment("gone", 3.5, 4.0), Segment("near", 2.0, 3.04))
    assert set(records) == {"over", "near"} and len(records["over"]["video"]) == 5
    assert notes(tally, "incomplete") == {"over": "0.5 of 0.9 s decoded"}
    assert notes(tally, "skipped") == {"gone": PAST_THE_END}
    assert tally.counts["clips_skipped"] == 1 and not tally.counts["videos_bad"]
    records, tally = cut(tree, Segment("gone", 3.5, 4.0), Segment("too", 9.0))
    assert not records and tally.counts["videos_bad"] == 1 and tally.counts["clips_skipped"] == 2


def test_a_file_that_breaks_off_takes_its_later_clips_with_it(tree, tmp_path):
    content = (SourceTree(tree.root).open_binary("rising.mp4")).read()
    (tmp_path / "whole.mp4").write_bytes(content)
    remux(tmp_path / "whole.mp4", tmp_path / "whole.mkv")
    half = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "half.mkv").write_bytes(half[: len(half) // 2])
    records, tally = cut(SourceTree(tmp_path), Segment("first", 0.0, 0.5), Segment("last", 2.9, 3.0), path="half.mkv")
    assert set(records) == {"first"} and set(notes(tally, "skipped")) == {"last"}


def test_a_file_whose_time_stamps_start_again_is_used_up_to_there_and_noted(tree, tmp_path):
    remux(tree.path("rising.mp4"), tmp_path / "part.mkv")
    (tmp_path / "twice.mkv").write_bytes(2 * (tmp_path / "part.mkv").read_bytes())
    records, tally = cut(SourceTree(tmp_path), path="twice.mkv")
    assert len(records) == 3 and "time stamps start again" in notes(tally, "incomplete")["it"]
    assert set(notes(tally, "restarted_clocks")) == {"it"}
    records, tally = cut(SourceTree(tmp_path), Segment("first", 0.0, 0.5), Segment("then", 4.0, 5.0), path="twice.mkv")
    assert set(records) == {"first"} and "time stamps start again" in notes(tally, "skipped")["then"]


def test_captions_are_a_clips_own_or_the_nearest_of_the_file(tree):
    own = (Cue("said in it", 1.6, 2.0), Cue("and again", 0.0, 9.0))
    records, tally = cut(tree, Segment("own", 1.5, 2.0, own), Segment("near", 0.0, 0.5), caption_path="rising.vtt")
    assert records["own"]["captions"]["text"] == ["said in it", "and again"]
    np.testing.assert_allclose(records["own"]["captions"]["start_seconds"], [0.1, -1.5], atol=1e-6)
    near = CUTTING._replace(caption_reach_seconds=0.5)
    records, tally = cut(
        tree, Segment("near", 0.0, 0.5), Segment("far", 1.3, 1.5), caption_path="rising.vtt", cutting=near
    )
    assert records["near"]["captions"]["text"] == ["begins"] and not records["far"]["captions"]["text"]
    assert tally.counts["clips_without_captions"] == 1 and not tally.counts["videos_without_captions"]
    records, _ = cut(tree, cues=(Cue("from a list", 2.0, 2.1),), cutting=near)
    assert {name: record["captions"]["text"] for name, record in records.items()} == {
        "it@0.00": [], "it@1.00": ["from a list"], "it@2.00": ["from a list"]
    }  # fmt: skip


def test_sound_alone_has_no_frames_and_is_as_long_as_it_is(tree):
    records, tally = cut(
        tree, Segment("all"), Segment("end", 1.0, 2.0), Segment("past", 2.0), path=None, sound_path="click.wav", label=3
    )
    assert {name: record["video"] for name, record in records.items()} == {"all": [], "end": []}
    assert records["all"]["audio"].shape == (8000,) and records["end"]["audio"].shape == (4000,)
    click = np.flatnonzero(np.abs(records["all"]["audio"].astype(int)) > 8000) / 8000
    assert click.min() == pytest.approx(0.7, abs=0.01)
    assert records["all"]["source"] == "click.wav" and records["all"]["label"] == 3
    assert notes(tally, "incomplete") == {"end": "0.5 of 1.0 s decoded"}
    assert notes(tally, "skipped") == {"past": PAST_THE_END} and tally.counts["class 3"] == 2


def test_a_file_that_holds_more_than_its_clip_is_noted(tree):
    long = {"a": "the file has 3.0 s, the list says 1.0; the first are used"}
    for end, fills_file, expected in ((1.0, True, long), (1.0, False, {}), (2.8, True, {}), (None, True, {})):
        records, tally = cut(tree, Segment("a", 0.0, end, fills_file=fills_file))
        assert set(records) == {"a"} and notes(tally, "longer_than_listed") == expected
    _, tally = cut(tree, Segment("a", 0.0, 0.2, fills_file=True), path=None, sound_path="click.wav")
    assert list(notes(tally, "longer_than_listed")) == ["a"]


def test_captions_that_ended_before_their_clip_are_counted(tree):
    records, tally = cut(tree, caption_path="rising.vtt")
    assert [record["captions"]["text"] for record in records.values()] == [["begins", "ends"]] * 3
    assert tally.counts["captions_before_their_clip"] == 2  # `begins` in the second clip and in the third


def test_what_was_done_to_a_file_is_noted_by_its_name(tree, write_flash):
    write_flash(pathlib.Path(tree.path("two.mkv")), seconds=0.5, at=0.2, channels=2, sample_rate_hz=44100)
    reader_remarks = {"several_tracks": "2 sound tracks, number 1 is used", "interlaced": "deinterlaced"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "data.preparing.cutting.MediaReader", lambda *args, **options: _Remarking(reader_remarks, *args, **options)
        )
        _, tally = cut(tree, path="two.mkv")
    assert {kind: notes(tally, kind) for kind in reader_remarks} == {
        kind: {"it": what} for kind, what in reader_remarks.items()
    }


class _Remarking(MediaReader):
    """A reader that has something to say."""

    def __init__(self, remarks, *args, **options):
        super().__init__(*args, **options)
        self.remarks.update(remarks)


def test_counts_are_numbers(tree):
    _, tally = cut(tree, path="mute.mp4")
    assert tally.counts["clips_without_captions"] == 1
    assert {type(count) for count in tally.counts.values()} == {int}
    old = Tally.from_json({"counts": {"clips_without_captions": True}, "notes": []})  # as older runs wrote it
    assert type(old.counts["clips_without_captions"]) is int


def test_one_or_several_classes(tree):
    records, tally = cut(tree, Segment("one"), label=2)
    assert records["one"]["label"] == 2 and "labels" not in records["one"]
    records, tally = cut(tree, Segment("many"), Segment("more", 1.0), labels=(0, 4))
    assert records["many"]["label"] == -1 and records["many"]["labels"] == [0, 4]
    assert tally.counts["class 0"] == tally.counts["class 4"] == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (dict(path="letter.mp4"), "not a media file"),
        (dict(path="gone.mp4"), "the file no longer exists"),
        (dict(path="click.wav"), "no video track"),
        (dict(path="mute.mp4", sound_path="letter.mp4"), "its audio file: not a media file"),
        (dict(path=None, sound_path="mute.mp4"), "no second of audio could be decoded"),
    ],
)
def test_what_cannot_be_used_says_why(tree, fields, reason):
    for segments in ((), (Segment("a"), Segment("b", 0.2))) if fields["path"] else ((Segment("a"),),):
        records, tally = cut(tree, *segments, **fields)
        assert not records and tally.counts["videos_bad"] == 1 and not tally.counts["videos_used"]
        assert notes(tally, "skipped")["it"].startswith(reason)


def test_clips_are_expected_from_the_header(tree):
    def expected(*segments, path="rising.mp4"):
        return expected_clips(tree, ListedVideo("it", "train", path, segments=segments), CUTTING)

    assert expected() == pytest.approx(3.0, abs=0.2) and expected(Segment("a"), Segment("b")) == 2
    assert expected(path="mute.mp4") == 1 and expected(path="letter.mp4") == 0


def test_trees_and_cuttings_can_be_sent_to_workers(tree):
    again, cutting = pickle.loads(pickle.dumps((tree, CUTTING)))
    assert set(cut(again, Segment("a"), cutting=cutting)[0]) == {"a"}


def write_late(path, video_start=0, sound_start=0):
    """Ten frames a second that brighten by 20 a second, and a tone that rises by 100 Hz a second, up to second 6."""
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=10), container.add_stream("aac", rate=16000, layout="mono")
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        video.codec_context.max_b_frames = 0
        packets, seconds = [], np.arange(sound_start, 6)
        for tick in range(10 * video_start, 60):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 20 + 2 * tick, np.uint8), format="rgb24")
            frame.pts, frame.time_base = tick, fractions.Fraction(1, 10)
            packets += video.encode(frame)
        tones = np.concatenate([np.sin(2 * np.pi * (300 + 100 * s) * np.arange(16000) / 16000) for s in seconds])
        block = av.AudioFrame.from_ndarray(tones[None].astype(np.float32) / 2, "fltp", "mono")
        block.sample_rate, block.pts, block.time_base = 16000, 16000 * sound_start, fractions.Fraction(1, 16000)
        packets += [*video.encode(None), *audio.encode(block), *audio.encode(None)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)


def loudest_hertz(record):
    return np.abs(np.fft.rfft(record["audio"])).argmax() * 8000 / len(record["audio"])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_lists_and_captions_count_from_the_start_of_a_file_whose_video_is_late(tmp_path, suffix, add_text_tracks):
    words = "1\n00:00:04,000 --> 00:00:05,000\nfour\n"
    write_late(tmp_path / f"beside{suffix}", video_start=2)
    add_text_tracks(tmp_path / f"beside{suffix}", tmp_path / f"inside{suffix}", (words, "srt", "eng", True))
    (tmp_path / "beside.srt").write_text(words)
    tree, cutting = SourceTree(tmp_path), CUTTING._replace(clip_seconds=9.0, captions=CaptionOptions(tracks=True))
    for name, caption_path in (("beside", "beside.srt"), ("inside", None)):
        ((_, record),) = cut(tree, path=f"{name}{suffix}", caption_path=caption_path, cutting=cutting)[0].items()
        assert record["captions"]["text"] == ["four"] and record["captions"]["start_seconds"] == pytest.approx([2.0])
        np.testing.assert_allclose(brightness(record)[0], 60, atol=4)
    own = Segment("own", 3.0, 4.0, (Cue("in it", 3.5, 4.0),))
    records, tally = cut(tree, own, Segment("before", 0.0, 1.5), Segment("part", 1.0, 3.0), path=f"beside{suffix}")
    np.testing.assert_allclose([brightness(records[name])[0] for name in ("own", "part")], [80, 60], atol=4)
    assert loudest_hertz(records["own"]) == pytest.approx(600, abs=2)
    assert records["own"]["captions"]["start_seconds"] == pytest.approx([0.5])
    assert notes(tally, "skipped") == {"before": "the clip ends before its file's first frame or sound"}


def test_sound_alone_is_cut_where_the_list_says_as_with_the_video(tmp_path):
    write_late(tmp_path / "a.mp4", sound_start=2)
    fields = [dict(path="a.mp4"), dict(path=None, sound_path="a.mp4")]
    both = [cut(SourceTree(tmp_path), Segment("it", 3.0, 4.0), **field)[0]["it"] for field in fields]
    assert [loudest_hertz(record) for record in both] == pytest.approx([600, 600], abs=2)
