import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import data
from data import Augmentation, ClipSpec, DataError, WordPieceTokenizer

SPEC = ClipSpec(
    frames=4, frames_per_second=5.0, image_size=16, sample_rate_hz=1000, candidates=3, words=4
)
PLAIN = Augmentation(
    crop_area=(1.0, 1.0), flip_probability=0.0, jitter_probability=0.0, audio_noise=0.0
)
CLIPS = 11


def open_with_tokenizer(data_dir):
    prepared = data.open_dataset("tiny", data_dir)
    return prepared, WordPieceTokenizer(prepared.wordpiece_vocabulary_path, SPEC.words)


@pytest.fixture(scope="module")
def tiny(tiny_data_dir):
    return open_with_tokenizer(tiny_data_dir)


@pytest.fixture
def write(write_dataset, tmp_path):
    """Writes records and opens them; returns (prepared, tokenizer)."""

    def write_and_open(clips, **options):
        return open_with_tokenizer(write_dataset(tmp_path, clips, **options))

    return write_and_open


def train(opened, count, spec=SPEC, **options):
    options = {"batch_size": 4, "seed": 3, "shuffle_window": 4} | options
    batches = data.train_batches(opened[0], spec, opened[1], **options)
    return list(batches.take(count).as_numpy_iterator())


def evaluate(opened, split="test", spec=SPEC, **options):
    options = {"batch_size": 4} | options
    return list(data.eval_batches(opened[0], split, spec, opened[1], **options))


def assert_equal(batch, other):
    assert batch.keys() == other.keys()
    for name in batch:
        np.testing.assert_array_equal(batch[name], other[name], err_msg=name)


def frame_levels(video):
    """Mean level of each frame in [0, 255]; the records' frame i has level 6 i."""
    return (np.asarray(video).mean(axis=(-3, -2, -1)) + 1.0) * 127.5


def words_of(text, opened):
    """Token ids back to pieces, rows of only padding left out."""
    with open(opened[0].wordpiece_vocabulary_path) as file:
        pieces = file.read().split("\n")
    rows = [" ".join(pieces[i] for i in row if i) for row in np.asarray(text)]
    return [row for row in rows if row]


def test_training_batches_are_what_the_contract_says(tiny):
    batches = data.train_batches(tiny[0], SPEC, tiny[1], batch_size=4, seed=0)
    assert batches.element_spec == {
        "video": tf.TensorSpec([4, 4, 16, 16, 3], tf.float32),
        "waveform": tf.TensorSpec([4, 800], tf.float32),
        "text": tf.TensorSpec([4, 3, 4], tf.int32),
        "has_audio": tf.TensorSpec([4], tf.bool),
        "has_text": tf.TensorSpec([4], tf.bool),
    }
    for batch in batches.take(6).as_numpy_iterator():
        for name in ("video", "waveform"):
            assert -1.0 <= batch[name].min() < batch[name].max() <= 1.0
        assert batch["has_audio"].all() and batch["has_text"].all()


def test_a_restart_at_any_step_gives_the_same_batches(tiny):
    steps = 2 * CLIPS // 2 + 2  # More than two epochs of 11 clips, 2 at a time.
    whole = train(tiny, steps, batch_size=2)
    for start in range(1, steps):
        tail = train(tiny, steps - start, batch_size=2, start_step=start)
        for batch, other in zip(whole[start:], tail, strict=True):
            assert_equal(batch, other)


def test_every_epoch_shows_every_clip_once_and_never_the_same_way(tiny):
    epochs = train(tiny, 3, batch_size=CLIPS)
    names = [[words_of(text, tiny)[0] for text in epoch["text"]] for epoch in epochs]
    expected = {f"clip number {i}" for i in range(CLIPS)}
    assert set(names[0]) == set(names[1]) == set(names[2]) == expected
    assert names[0] != names[1]
    looks = {epoch["video"][row.index("clip number 4")].tobytes() for epoch, row in
             zip(epochs, names, strict=True)}
    assert len(looks) == 3


def test_another_seed_gives_other_batches(tiny):
    one, other = (train(tiny, 1, seed=seed, batch_size=CLIPS)[0] for seed in (3, 4))
    assert not np.array_equal(one["text"], other["text"])
    assert not np.array_equal(one["video"], other["video"])


def test_sound_and_frames_start_together(write, clip):
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


def test_a_short_record_stands_still_and_falls_silent(write, clip):
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


def test_the_captions_nearest_to_the_window_are_its_candidates(write, clip):
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


def test_fewer_captions_are_padded_and_missing_ones_masked(write, clip):
    opened = write({
        "train": [clip(0)],
        "test": [
            clip(1, captions=[{"text": "the end", "start_seconds": 0.0, "end_seconds": 1.0}]),
            clip(2, captions=[]),
            clip(3, captions=[{"text": " ", "start_seconds": 0.0, "end_seconds": 1.0}]),
        ],
    })
    (batch,) = evaluate(opened)
    rows = {name.decode(): i for i, name in enumerate(batch["clip_id"].numpy())}
    text, has_text = batch["text"].numpy(), batch["has_text"].numpy()
    assert text[rows["clip001"]].tolist() == [[4, 5, 0, 0], [0] * 4, [0] * 4]
    assert has_text[rows["clip001"]]
    for name in ("clip002", "clip003"):
        assert not text[rows[name]].any() and not has_text[rows[name]]


def test_missing_sound_is_silent_and_masked(write, clip):
    opened = write([clip(0, audio=np.zeros([0], np.int16)), clip(1)])
    (batch,) = train(opened, 1, batch_size=2)
    waveform, has_audio = batch["waveform"], batch["has_audio"]
    assert sorted(has_audio) == [False, True]
    assert not waveform[~has_audio].any() and waveform[has_audio].any()


def test_evaluation_keeps_the_order_and_the_last_partial_batch(tiny):
    batches = evaluate(tiny)
    assert [len(batch["clip_id"]) for batch in batches] == [4, 1]
    batch = batches[0]
    assert batch["video"].shape == (4, 4, 16, 16, 3) and batch["waveform"].shape == (4, 800)
    records = tf.data.TFRecordDataset(list(tiny[0].shard_paths["test"]))
    order = [tiny[0].features.deserialize_example(record)["clip_id"] for record in records]
    ids = np.concatenate([batch["clip_id"] for batch in batches])
    assert ids.tolist() == [name.numpy() for name in order] and len(set(ids)) == 5
    for name, value in {"label": None, "text_aligned": 1, "audio_aligned": -1}.items():
        assert batch[name].dtype == tf.int32
        expected = [int(i[4:]) % 3 for i in ids[:4]] if value is None else [value] * 4
        assert batch[name].numpy().tolist() == expected
    for one, again in zip(batches, evaluate(tiny), strict=True):
        assert_equal(one, again)


def test_windows_are_evenly_spaced(write, clip):
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
def test_evaluation_crops_the_center(write, clip, height, width):
    video = np.zeros([8, height, width, 3], np.uint8)
    video[:, height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8] = 255
    opened = write({"train": [clip(0)], "test": [clip(1, video=video)]})
    (batch,) = evaluate(opened)
    assert batch["video"].numpy().min() > 0.9


def test_all_frames_of_a_clip_are_changed_alike(write, clip):
    image = np.random.default_rng(0).integers(0, 256, [1, 40, 56, 3], np.uint8)
    opened = write([clip(i, video=np.repeat(image, 8, axis=0)) for i in range(4)])
    (batch,) = train(opened, 1)
    for video in batch["video"]:
        np.testing.assert_array_equal(video, np.broadcast_to(video[:1], video.shape))
    assert len({video.tobytes() for video in batch["video"]}) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames_per_second": 4.0}, "10 frames/s, which is no whole multiple of the 4 asked for"),
        ({"frames_per_second": 20.0}, "10 frames/s, which is no whole multiple of the 20"),
        ({"sample_rate_hz": 16000}, "1000 Hz, but 16000 Hz .* ClipSpec.sample_rate_hz = 1000"),
    ],
)
def test_rates_that_do_not_fit_are_refused(tiny, changes, message):
    spec = ClipSpec(**{"frames_per_second": 5.0, "sample_rate_hz": 1000} | changes)
    for start in (lambda: train(tiny, 1, spec=spec), lambda: evaluate(tiny, spec=spec)):
        with pytest.raises(DataError, match=message):
            start()


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"start_step": -1}, {"shuffle_window": 0}, {"batch_size": 2.0}]
)
def test_numbers_out_of_range_are_named(tiny, options):
    (name,) = options
    with pytest.raises(DataError, match=f"{name} must be a whole number >= "):
        train(tiny, 1, **options)


def test_an_unknown_split_is_refused(tiny):
    with pytest.raises(DataError, match="'valid'; it has"):
        evaluate(tiny, split="valid")


def context(pipelines, pipeline, replicas):
    return tf.distribute.InputContext(pipelines, pipeline, replicas)


def test_two_hosts_see_different_clips_and_half_the_batch_each(tiny):
    seen = []
    for host in range(2):
        steps = 10
        batches = train(tiny, steps, batch_size=4, input_context=context(2, host, 2))
        assert all(len(batch["text"]) == 2 for batch in batches)
        tail = train(tiny, 1, batch_size=4, input_context=context(2, host, 2), start_step=steps - 1)
        assert_equal(batches[-1], tail[0])
        seen.append({words_of(text, tiny)[0] for batch in batches for text in batch["text"]})
    assert not seen[0] & seen[1] and len(seen[0] | seen[1]) == CLIPS


def test_more_hosts_than_files_are_refused(tiny):
    with pytest.raises(DataError, match="5 input pipelines"):
        train(tiny, 1, batch_size=5, input_context=context(5, 0, 5))


def test_replicas_that_do_not_divide_the_batch_are_refused(tiny):
    with pytest.raises(DataError, match="batch_size = 4 .* 3 replicas"):
        train(tiny, 1, batch_size=4, input_context=context(1, 0, 3))


_REPLICAS = """
import sys
import numpy as np
import tensorflow as tf
cpus = [tf.config.LogicalDeviceConfiguration()] * 4
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cpus)
import data
prepared = data.open_dataset("tiny", sys.argv[1])
tokenizer = data.WordPieceTokenizer(prepared.wordpiece_vocabulary_path, 4)
spec = data.ClipSpec(4, 5.0, 16, 1000, 3, 4)
def batches(strategy):
    options = dict(batch_size=4, seed=3, shuffle_window=4, start_step=2)
    values = data.distributed_train_batches(strategy, prepared, spec, tokenizer, **options)
    read = tf.function(lambda values: {
        name: tf.concat(strategy.experimental_local_results(value), 0)
        for name, value in values.items()})
    return [read(next(iterator)) for iterator in [iter(values)] for _ in range(5)]
one = batches(tf.distribute.OneDeviceStrategy("CPU:0"))
for replicas in (1, 2, 4):
    devices = [f"CPU:{i}" for i in range(replicas)]
    for step, several in enumerate(batches(tf.distribute.MirroredStrategy(devices))):
        for name in several:
            np.testing.assert_array_equal(one[step][name], several[name])
plain = data.train_batches(
    prepared, spec, tokenizer, batch_size=4, seed=3, shuffle_window=4, start_step=2)
for batch, other in zip(plain.take(5), one):
    for name in batch:
        np.testing.assert_array_equal(batch[name], other[name])
print("equal")
"""


def test_the_replicas_batches_join_to_the_batch_of_one(tiny_data_dir):
    # Another process, since virtual devices must be made before TensorFlow is used.
    result = subprocess.run(
        [sys.executable, "-c", _REPLICAS, tiny_data_dir],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert result.stdout.strip().endswith("equal"), result.stderr[-3000:]
