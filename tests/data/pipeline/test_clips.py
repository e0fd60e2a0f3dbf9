import numpy as np
import pytest

import data
from data import Augmentation, ClipSpec, DataError

pytestmark = pytest.mark.slow

PLAIN = Augmentation(crop_area=(1.0, 1.0), flip_probability=0.0, jitter_probability=0.0, audio_noise=0.0)


def frame_levels(video):
    """Mean level of each frame in [0, 255]; the records' frame i has level 6 i."""
    return (np.asarray(video).mean(axis=(-3, -2, -1)) + 1.0) * 127.5


def test_sound_and_frames_start_together(write, clip, train):
    opened = write([clip(i, frames=20) for i in range(8)])
    starts = set()
    for batch in train(opened, 4, batch_size=8, augmentation=PLAIN):
        sound = batch["waveform"] * 32768.0
        # Frames are 0.2 s apart, and the sound has the level of the frame shown at its time.
        np.testing.assert_allclose(frame_levels(batch["video"]), sound[:, ::200], atol=1.5)
        np.testing.assert_array_equal(sound[:, 99] + 6, sound[:, 100])
        starts |= set((sound[:, 0] / 6).astype(int))
    assert {0, 12} <= starts <= set(range(13))  # 20 frames hold a window of 8 from 0 to 12.
    assert len(starts) > 8


def test_a_short_record_stands_still_and_falls_silent(write, clip, train, evaluate):
    opened = write({"train": [clip(0, frames=3)], "test": [clip(1, frames=3)]})
    for batch in (train(opened, 1, batch_size=1, augmentation=PLAIN)[0], *evaluate(opened)):
        np.testing.assert_allclose(frame_levels(batch["video"])[0], [0, 12, 12, 12], atol=1.5)
        np.testing.assert_allclose(
            np.asarray(batch["waveform"])[0] * 32768,
            np.repeat([0, 6, 12, 0], [100, 100, 100, 500]),
        )


CAPTIONS = [(str(i), i / 2, i / 2 + 0.3) for i in range(8)]  # One every half second.


def record_with_captions(clip, number=0, captions=CAPTIONS):
    rows = [{"text": t, "start_seconds": s, "end_seconds": e} for t, s, e in captions]
    return clip(number, frames=40, captions=rows)


def test_the_captions_nearest_to_the_window_are_its_candidates(write, clip, train, words_of):
    opened = write([record_with_captions(clip)])
    chosen = {}
    for batch in train(opened, 60, batch_size=1, augmentation=PLAIN):
        start = round(float(batch["waveform"][0, 0]) * 32768 / 6)  # In frames of 0.1 s.
        chosen[start] = words_of(batch["text"][0], opened)
    # By hand; the window is 0.8 s long. 0 to 0.8 s: "0" and "1" overlap it, "2" begins after 0.2 s.
    by_hand = {
        0: ["0", "1", "2"],
        # 0.4 to 1.2 s: "1" and "2" overlap; "0" ended 0.1 s before, "3" begins 0.3 s after.
        4: ["1", "2", "0"],
        # 1.7 to 2.5 s: "3" (1.5 to 1.8) and "4" overlap, "5" begins just at the end.
        17: ["3", "4", "5"],
        # 3.2 to 4.0 s, the last: "6" and "7" overlap, "5" ended 0.4 s before.
        32: ["6", "7", "5"],
    }
    seen = by_hand.keys() & chosen.keys()
    assert len(seen) >= 2
    assert {start: chosen[start] for start in seen} == {start: by_hand[start] for start in seen}


def test_fewer_captions_are_padded_and_missing_ones_masked(write, clip, evaluate):
    opened = write(
        {
            "train": [clip(0)],
            "test": [
                clip(1, captions=[{"text": "the end", "start_seconds": 0.0, "end_seconds": 1.0}]),
                clip(2, captions=[]),
                clip(3, captions=[{"text": " ", "start_seconds": 0.0, "end_seconds": 1.0}]),
            ],
        }
    )
    (batch,) = evaluate(opened)
    rows = {name.decode(): i for i, name in enumerate(batch["clip_id"].numpy())}
    text, has_text = batch["text"].numpy(), batch["has_text"].numpy()
    assert text[rows["clip001"]].tolist() == [[4, 5, 0, 0], [0] * 4, [0] * 4]
    assert has_text[rows["clip001"]]
    for name in ("clip002", "clip003"):
        assert not text[rows[name]].any() and not has_text[rows[name]]


def test_missing_sound_is_silent_and_masked(write, clip, train):
    opened = write([clip(0, audio=np.zeros([0], np.int16)), clip(1)])
    (batch,) = train(opened, 1, batch_size=2)
    waveform, has_audio = batch["waveform"], batch["has_audio"]
    assert sorted(has_audio) == [False, True]
    assert not waveform[~has_audio].any() and waveform[has_audio].any()


def test_windows_are_evenly_spaced(write, clip, evaluate, words_of):
    opened = write({"train": [clip(0)], "test": [record_with_captions(clip, 1)]})
    (middle,), (three,) = evaluate(opened), evaluate(opened, windows=3)
    assert middle["video"].shape == (1, 4, 16, 16, 3)
    assert three["video"].shape == (1, 3, 4, 16, 16, 3) and three["waveform"].shape == (1, 3, 800)
    # 40 frames hold a window of 8 from 0 to 32; its sound begins with its first frame.
    assert (three["waveform"][0, :, 0] * 32768).numpy().tolist() == [0.0, 96.0, 192.0]
    np.testing.assert_allclose(frame_levels(three["video"])[0, :, 0], [0, 96, 192], atol=1.5)
    np.testing.assert_array_equal(three["video"][:, 1], middle["video"])
    # The middle window is 1.6 to 2.4 s: "3" and "4" overlap; "5" begins 0.1 s after.
    for batch in (middle, three):
        assert words_of(batch["text"][0], opened) == ["3", "4", "5"]
        assert batch["has_audio"].numpy().tolist() == [True]


@pytest.mark.parametrize(("height", "width"), [(16, 48), (48, 16)])
def test_evaluation_crops_the_center(write, clip, height, width, evaluate):
    video = np.zeros([8, height, width, 3], np.uint8)
    video[:, height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8] = 255
    opened = write({"train": [clip(0)], "test": [clip(1, video=video)]})
    (batch,) = evaluate(opened)
    assert batch["video"].numpy().min() > 0.9


@pytest.mark.parametrize(("height", "width"), [(16, 48), (48, 16), (16, 16)])
def test_crops_lie_along_the_longer_side_of_each_window(write, clip, height, width, evaluate):
    """Thirds of a frame have levels 0, 80, 160, and later frames are brighter by 2 each."""
    thirds = np.repeat([0, 80, 160], -(-max(height, width) // 3))[: max(height, width)]
    frame = np.broadcast_to(thirds if width > height else thirds[:, None], (height, width))
    video = (frame[None, :, :, None] + 2 * np.arange(20)[:, None, None, None]).astype(np.uint8)
    opened = write({"train": [clip(0)], "test": [clip(1, frames=20, video=np.repeat(video, 3, axis=-1))]})
    (one,), (views,) = evaluate(opened, windows=2), evaluate(opened, windows=2, crops=3)
    assert views["video"].shape == (1, 6, 4, 16, 16, 3) and views["waveform"].shape == (1, 2, 800)
    np.testing.assert_array_equal(views["video"][:, 1::3], one["video"])  # the middle crop is that of crops=1
    levels = frame_levels(views["video"])[0, :, 0]
    places = [0, 80, 160] if height != width else [frame.mean()] * 3
    np.testing.assert_allclose(levels, [*places, *[place + 24 for place in places]], atol=3)
    (alone,) = evaluate(opened, crops=3)
    assert alone["video"].shape == (1, 3, 4, 16, 16, 3) and alone["waveform"].shape == (1, 800)


def test_without_video_all_else_stays(tiny, train, evaluate):
    for batches, options in ((train, {"count": 2}), (evaluate, {"windows": 2})):
        for batch, blind in zip(batches(tiny, **options), batches(tiny, video=False, **options), strict=True):
            assert set(batch) - set(blind) == {"video"}
            for name in blind:
                np.testing.assert_array_equal(batch[name], blind[name])


def test_all_frames_of_a_clip_are_changed_alike(write, clip, train):
    image = np.random.default_rng(0).integers(0, 256, [1, 40, 56, 3], np.uint8)
    opened = write([clip(i, video=np.repeat(image, 8, axis=0)) for i in range(4)])
    (batch,) = train(opened, 1)
    for video in batch["video"]:
        np.testing.assert_array_equal(video, np.broadcast_to(video[:1], video.shape))
    assert len({video.tobytes() for video in batch["video"]}) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames_per_second": 4.0}, "10 frames/s, which is not a whole multiple of the requested 4"),
        ({"frames_per_second": 20.0}, "10 frames/s, which is not a whole multiple of the requested 20"),
        ({"sample_rate_hz": 16000}, "1000 Hz, but 16000 Hz .* ClipSpec.sample_rate_hz = 1000"),
    ],
)
def test_rates_that_do_not_fit_are_refused(tiny, changes, message, train, evaluate):
    spec = ClipSpec(**{"frames_per_second": 5.0, "sample_rate_hz": 1000} | changes)
    for start in (lambda: train(tiny, 1, spec=spec), lambda: evaluate(tiny, spec=spec)):
        with pytest.raises(DataError, match=message):
            start()


SPARSE = ClipSpec(frames=2, sparse_seconds=1.0, image_size=16, sample_rate_hz=1000, words=4)


def test_sparse_frames_come_from_equal_parts_of_the_clip(write, clip, train):
    opened = write([clip(i, frames=20) for i in range(8)])
    seen = set()
    for batch in train(opened, 30, spec=SPARSE, batch_size=8, augmentation=PLAIN):
        assert batch["video"].shape == (8, 2, 16, 16, 3) and batch["waveform"].shape == (8, 1000)
        starts = np.round(batch["waveform"][:, 0] * 32768 / 6).astype(int)
        frames = np.round(frame_levels(batch["video"]) / 6).astype(int) - starts[:, None]
        assert (0 <= frames[:, 0]).all() and (frames[:, 0] < 5).all()
        assert (5 <= frames[:, 1]).all() and (frames[:, 1] < 10).all()
        assert (0 <= starts).all() and (starts <= 10).all()
        seen |= set(map(tuple, frames))
    assert len(seen) == 25  # All pairs of 5 x 5, so the two draws are independent.


def test_sparse_frames_in_evaluation_are_the_middles(write, clip, evaluate):
    lengths = {20: [7, 12], 6: [1, 4], 1: [0, 0]}  # The clip is frames 5 to 15, all 6, the only one.
    test = [clip(frames, frames=frames) for frames in lengths]
    (batch,) = evaluate(write({"train": [clip(0)], "test": test}), spec=SPARSE)
    for name, video, waveform in zip(*(batch[k].numpy() for k in ("clip_id", "video", "waveform")), strict=True):
        frames = int(name[4:])
        np.testing.assert_allclose(frame_levels(video) / 6, lengths[frames], atol=0.25)
        sound = np.repeat(np.arange(max(0, (frames - 10) // 2), frames)[:10] * 6, 100)
        np.testing.assert_array_equal(waveform * 32768, np.pad(sound, [0, 1000 - len(sound)]))


def test_sparse_clips_resume_and_fit_any_rate(tiny, train):
    spec = ClipSpec(frames=3, frames_per_second=7.0, sparse_seconds=0.8, image_size=16, sample_rate_hz=1000, words=4)
    whole = train(tiny, 6, spec=spec)
    for batch, again in zip(whole[3:], train(tiny, 3, spec=spec, start_step=3), strict=True):
        np.testing.assert_array_equal(batch["video"], again["video"])


CLIP_IDS = (b"clip000", b"clip001")


@pytest.fixture(scope="module")
def sounds(write_dataset, clip, tmp_path_factory):
    """Records without frames, whose sample i has the value i; the second is shorter than a window of 0.8 s."""
    records = [clip(i, video=[], audio=np.arange(n, dtype=np.int16)) for i, n in enumerate((5001, 500))]
    data_dir = tmp_path_factory.mktemp("sounds")
    clips = {"train": records[:1], "test": records}
    return data.open_dataset("tiny", write_dataset(data_dir, clips, metadata={"has_video": False})), None


def test_windows_of_records_without_frames_are_those_of_the_sound(sounds, train, evaluate):
    (three,) = evaluate(sounds, windows=3, video=False)
    assert "video" not in three and three["has_audio"].numpy().all()
    long, short = (three["waveform"].numpy()[three["clip_id"].numpy().tolist().index(n)] * 32768 for n in CLIP_IDS)
    np.testing.assert_array_equal(long[:, 0], [0, 2100, 4201])
    np.testing.assert_array_equal(long - long[:, :1], np.tile(np.arange(800), (3, 1)))
    np.testing.assert_array_equal(short, np.tile(np.r_[np.arange(500), np.zeros(300)], (3, 1)))
    batches = train(sounds, 20, batch_size=1, video=False, augmentation=PLAIN)
    starts = [round(float(batch["waveform"][0, 0]) * 32768) for batch in batches]
    assert min(starts) < 1000 and max(starts) > 3200 and any(start % 100 for start in starts)


def test_frames_of_an_audio_data_set_are_refused(sounds, train, evaluate):
    for batches in (lambda: train(sounds, 1), lambda: evaluate(sounds)):
        with pytest.raises(DataError, match="holds audio without video; read it with video=False"):
            batches()
