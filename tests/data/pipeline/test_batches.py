import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import data
from data import DataError

pytestmark = pytest.mark.slow

CLIPS = 11


def assert_equal(batch, other):
    assert batch.keys() == other.keys()
    for name in batch:
        np.testing.assert_array_equal(batch[name], other[name], err_msg=name)


def test_training_batches_are_what_the_contract_says(tiny, tiny_spec):
    batches = data.train_batches(tiny[0], tiny_spec, tiny[1], batch_size=4, seed=0)
    assert batches.element_spec == {
        "video": tf.TensorSpec([4, 4, 16, 16, 3], tf.float32),
        "waveform": tf.TensorSpec([4, 800], tf.float32),
        "text": tf.TensorSpec([4, 3, 4], tf.int32),
        "has_audio": tf.TensorSpec([4], tf.bool),
        "has_text": tf.TensorSpec([4], tf.bool),
        "label": tf.TensorSpec([4], tf.int32),
    }
    for batch in batches.take(6).as_numpy_iterator():
        for name in ("video", "waveform"):
            assert -1.0 <= batch[name].min() < batch[name].max() <= 1.0
        assert batch["has_audio"].all() and batch["has_text"].all()


def finished(batches, spec):
    return [
        {name: np.asarray(value) for name, value in data.finish_clips(each, spec.image_size).items()}
        for each in batches
    ]


def assert_same_clips(found, expected):
    """Video and sound may differ by rounding; all else is equal."""
    rounded = [name for name in ("video", "waveform") if name in expected]
    for name in rounded:
        np.testing.assert_allclose(found[name], expected[name], atol=2e-5)
    assert_equal({**found, **dict.fromkeys(rounded)}, {**expected, **dict.fromkeys(rounded)})


def test_batches_for_a_device_are_bytes_and_become_those_of_the_host(write, clip, train, tiny_spec):
    noise = np.random.default_rng(0).integers(0, 256, [2, 8, 24, 32, 3], np.uint8)
    opened = write([clip(i, video=video) for i, video in enumerate([*noise, noise[0, :, :, :20], noise[1, :, :20]])])
    host, device = (train(opened, 5, augment_on=place) for place in data.AUGMENT_ON[::-1])
    assert device[0]["video"].shape == (4, 4, 24, 32, 3) and device[0]["video"].dtype == np.uint8
    orders = {"video_box", "video_flip", "video_colors", "noise_key", "noise_deviation"}
    assert set(device[0]) - set(host[0]) == orders
    assert len({batch["video_box"].tobytes() for batch in device}) == 5
    for found, expected in zip(finished(device, tiny_spec), host, strict=True):
        assert_same_clips(found, expected)
    resumed = train(opened, 2, augment_on="device", start_step=3)
    for batch, other in zip(resumed, device[3:], strict=True):
        assert_equal(batch, other)
    unchanged = train(opened, 1, augment_on="device", augmentation=data.Augmentation(jitter_probability=0.0))
    assert "video_colors" not in unchanged[0]
    with pytest.raises(DataError, match="augment_on should be one of device, host. Found 'tpu'"):
        train(opened, 1, augment_on="tpu")


def test_a_frame_larger_than_those_that_were_looked_at_is_scaled_down(write, clip, train, tiny_spec, monkeypatch):
    monkeypatch.setattr("data.pipeline.finishing.largest_frame", lambda sets, split: (20, 28))
    opened = write([clip(i) for i in range(4)])
    whole = data.Augmentation(crop_area=(1.0, 1.0), crop_aspect=(1.0, 2.0))
    host, device = (train(opened, 1, augment_on=place, augmentation=whole)[0] for place in data.AUGMENT_ON[::-1])
    np.testing.assert_array_equal(device["video_box"], [[0, 0, 20, 28]] * 4)
    assert_same_clips(*finished([device], tiny_spec), host)


def test_pipelines_are_in_order_and_are_not_autotuned(tiny, tiny_spec):
    # The autotuning thread can keep a program for up to a minute after it is done; see data.pipeline.options.
    train = data.train_batches(tiny[0], tiny_spec, tiny[1], batch_size=4, seed=0)
    evaluation = data.eval_batches(tiny[0], "test", tiny_spec, tiny[1], batch_size=4)
    for options in (train.options(), evaluation.options()):
        assert options.deterministic is True and options.autotune.enabled is False


def test_a_restart_at_any_step_gives_the_same_batches(tiny, train):
    steps = 2 * CLIPS // 2 + 2  # More than two epochs of 11 clips, 2 at a time.
    whole = train(tiny, steps, batch_size=2)
    for start in range(1, steps):
        tail = train(tiny, steps - start, batch_size=2, start_step=start)
        for batch, other in zip(whole[start:], tail, strict=True):
            assert_equal(batch, other)


def test_every_epoch_shows_every_clip_once_and_never_the_same_way(tiny, train, words_of):
    epochs = train(tiny, 3, batch_size=CLIPS)
    names = [[words_of(text, tiny)[0] for text in epoch["text"]] for epoch in epochs]
    expected = {f"clip number {i}" for i in range(CLIPS)}
    assert set(names[0]) == set(names[1]) == set(names[2]) == expected
    assert names[0] != names[1]
    looks = {epoch["video"][row.index("clip number 4")].tobytes() for epoch, row in zip(epochs, names, strict=True)}
    assert len(looks) == 3


def test_misaligned_narrations_and_sounds_may_be_treated_as_missing(write, clip, train):
    truths = [(1, 1), (0, 1), (1, 0), (0, 0), (-1, -1)]
    opened = write([clip(i, label=i, text_aligned=text, audio_aligned=audio) for i, (text, audio) in enumerate(truths)])
    (whole,), (kept,) = (train(opened, 1, batch_size=5, only_aligned=only) for only in (False, True))
    assert whole["has_text"].all() and whole["has_audio"].all()
    present = sorted(zip(kept["label"].tolist(), kept["has_text"], kept["has_audio"], strict=True))
    assert [each[1:] for each in present] == [(text != 0, audio != 0) for text, audio in truths]
    for name in ("video", "label"):
        np.testing.assert_array_equal(whole[name], kept[name])
    np.testing.assert_array_equal(kept["text"], np.where(kept["has_text"][:, None, None], whole["text"], 0))
    heard = kept["has_audio"]
    np.testing.assert_array_equal(kept["waveform"][heard], whole["waveform"][heard])
    assert not np.array_equal(kept["waveform"][~heard], whole["waveform"][~heard])


def test_without_a_tokenizer_only_the_captions_are_missing(tiny, train, evaluate):
    for batches, options in ((train, {"count": 2}), (evaluate, {})):
        for batch, mute in zip(batches(tiny, **options), batches((tiny[0], None), **options), strict=True):
            assert set(batch) - set(mute) == {"text", "has_text"}
            assert_equal({name: batch[name] for name in mute}, mute)


def test_training_labels_belong_to_their_clips(tiny, train, words_of):
    for batch in train(tiny, 6):
        numbers = [int(words_of(text, tiny)[0].split()[-1]) for text in batch["text"]]
        assert batch["label"].tolist() == [number % 3 for number in numbers]


def test_another_seed_gives_other_batches(tiny, train):
    one, other = (train(tiny, 1, seed=seed, batch_size=CLIPS)[0] for seed in (3, 4))
    assert not np.array_equal(one["text"], other["text"])
    assert not np.array_equal(one["video"], other["video"])


def test_evaluation_keeps_the_order_and_the_last_partial_batch(tiny, evaluate):
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


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"batch_size": 2.0},
        {"start_step": -1},
        {"shuffle_window": 0},
        {"seed": -1},
    ],
)
def test_numbers_out_of_range_are_named(tiny, options, train):
    (name,) = options
    with pytest.raises(DataError, match=f"{name} should be a whole number >= "):
        train(tiny, 1, **options)


@pytest.mark.parametrize("name", ["batch_size", "windows", "crops"])
def test_numbers_of_evaluation_out_of_range_are_named(tiny, name, evaluate):
    with pytest.raises(DataError, match=f"{name} should be a whole number >= 1. Found 0"):
        evaluate(tiny, **{name: 0})


def test_an_unknown_split_is_refused(tiny, evaluate):
    with pytest.raises(DataError, match="'valid'; it has"):
        evaluate(tiny, split="valid")


def context(pipelines, pipeline, replicas):
    return tf.distribute.InputContext(pipelines, pipeline, replicas)


def test_two_hosts_see_different_clips_and_half_the_batch_each(tiny, train, words_of):
    seen = []
    for host in range(2):
        steps = 10
        batches = train(tiny, steps, batch_size=4, input_context=context(2, host, 2))
        assert all(len(batch["text"]) == 2 for batch in batches)
        tail = train(tiny, 1, batch_size=4, input_context=context(2, host, 2), start_step=steps - 1)
        assert_equal(batches[-1], tail[0])
        seen.append({words_of(text, tiny)[0] for batch in batches for text in batch["text"]})
    assert not seen[0] & seen[1] and len(seen[0] | seen[1]) == CLIPS


def test_replicas_that_do_not_divide_the_batch_are_refused(tiny, train):
    with pytest.raises(DataError, match="batch_size should be a multiple of the number of replicas, 3. Found 4"):
        train(tiny, 1, batch_size=4, input_context=context(1, 0, 3))


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_the_replicas_batches_join_to_the_batch_of_one(tiny, tiny_spec, train, mirrored, replicas):
    options = {"batch_size": 4, "seed": 3, "shuffle_window": 4, "start_step": 2}
    strategy = mirrored(replicas)
    values = data.distributed_train_batches(strategy, tiny[0], tiny_spec, tiny[1], **options)
    for batch, value in zip(train(tiny, 5, **options), values, strict=False):
        shares = {name: strategy.experimental_local_results(value[name]) for name in value}
        assert all(len(share) == replicas for share in shares.values())
        assert_equal(batch, {name: np.concatenate(share) for name, share in shares.items()})


@pytest.fixture(scope="module")
def three_sets(tiny, write_dataset, clip, tmp_path_factory):
    """Eleven clips; three without captions; five without sound, at twice the frames per second. Ten, 200 and 300 number them."""
    silent = [clip(300 + i, audio=np.zeros([0], np.int16)) for i in range(5)]
    roots = [tmp_path_factory.mktemp(name) for name in ("mute", "silent")]
    mute = write_dataset(roots[0], [clip(200 + i, captions=[]) for i in range(3)], shards=2)
    silent = write_dataset(roots[1], silent, shards=2, frames_per_second=20.0)
    return [tiny[0], data.open_dataset("tiny", mute), data.open_dataset("tiny", silent)]


@pytest.fixture
def mix(three_sets, tiny, tiny_spec):
    """Returns the batches of a mixture of `three_sets`."""

    def batches(start_step, count, **options):
        options = dict(batch_size=6, seed=5, shuffle_window=4, start_step=start_step) | options
        stream = data.train_batches(three_sets, options.pop("spec", tiny_spec), tiny[1], **options)
        return list(stream.take(count).as_numpy_iterator())

    return batches


def test_several_sets_take_turns_and_what_they_lack_is_masked(mix):
    for batch in mix(0, 5):
        assert batch["source"].dtype == np.int32 and batch["source"].tolist() == [0, 1, 2] * 2
        assert batch["has_text"].tolist() == [True, False, True] * 2
        assert batch["has_audio"].tolist() == [True, True, False] * 2
        assert not batch["text"][~batch["has_text"]].any() and not batch["waveform"][~batch["has_audio"]].any()
        assert batch["video"].shape == (6, 4, 16, 16, 3)


@pytest.mark.parametrize(("weights", "pipelines"), [(None, 1), ((5, 2, 1), 2)])
def test_a_mixture_resumes_at_any_step(mix, weights, pipelines):
    """Epochs of 11, 3 and 5 clips end everywhere; without video, whose changes have the same keys, for speed."""
    steps = 8
    for pipeline in range(pipelines):
        options = dict(weights=weights, video=False, input_context=context(pipelines, pipeline, pipelines))
        whole = mix(0, steps, **options)
        assert len({batch["waveform"].tobytes() for batch in whole}) == steps
        for start in range(1, steps):
            for resumed, expected in zip(mix(start, steps - start, **options), whole[start:], strict=True):
                assert_equal(resumed, expected)


def test_a_mixture_resumes_with_its_frames(mix):
    for resumed, expected in zip(mix(3, 2, weights=(5, 2, 1)), mix(0, 5, weights=(5, 2, 1))[3:], strict=True):
        assert_equal(resumed, expected)


def test_a_mixture_for_a_device_has_frames_of_one_size(mix, tiny_spec):
    (found,) = mix(2, 1, augment_on="device")
    assert found["video"].shape == (6, 4, 24, 32, 3) and found["video_box"].shape == (6, 4)
    assert finished([found], tiny_spec)[0]["video"].shape == (6, 4, 16, 16, 3)
    assert found["noise_deviation"].tolist() == pytest.approx(0.01 * np.abs(found["waveform"]).max(axis=1))


def test_a_device_adds_the_noise_of_the_host_also_to_padded_and_missing_sound(mix, tiny_spec):
    spec = dataclasses.replace(tiny_spec, frames=2 * tiny_spec.frames)  # longer than the records' sound
    device, host = (mix(2, 1, video=False, augment_on=place, spec=spec)[0] for place in data.AUGMENT_ON)
    padding = device["waveform"][:, -1] == 0
    assert padding.all() and not device["has_audio"].all() and not device["noise_deviation"][~device["has_audio"]].any()
    assert (host["waveform"][:, -1] != 0).tolist() == host["has_audio"].tolist()
    assert_same_clips(*finished([device], spec), host)


def test_weights_are_the_shares_of_every_batch(mix):
    sources = np.stack([batch["source"] for batch in mix(0, 8, weights=(5, 2, 1), video=False, batch_size=8)])
    assert [np.bincount(row).tolist() for row in sources] == [[5, 2, 1]] * 8


@pytest.mark.parametrize(
    ("weights", "message"), [((1, 1), "one weight for each of its sets, tiny, tiny, tiny. Found 2"),
                             ((1, 0, 1), "should be numbers > 0")]
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused(mix, weights, message):
    with pytest.raises(DataError, match=message):
        mix(0, 1, weights=weights)


def test_a_set_of_a_mixture_whose_rate_does_not_fit_is_named(mix, three_sets, tiny_spec):
    odd = dataclasses.replace(three_sets[1], directory="odd", sample_rate_hz=2000)
    with pytest.raises(DataError, match="odd holds audio at 2000 Hz, but 1000 Hz is requested"):
        data.train_batches([three_sets[0], odd], tiny_spec, batch_size=2, seed=0)
