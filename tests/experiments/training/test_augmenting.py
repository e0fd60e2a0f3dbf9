"""Where the frames of a run are finished."""

import numpy as np
import pytest
import tensorflow as tf

import data
from experiments.training import augmenting
from experiments.training.augmenting import chosen_place, data_advice

CLIPS = data.ClipSpec(frames=4, image_size=16)


@pytest.fixture
def gpus(monkeypatch):
    """A function that says how many GPUs there are."""
    return lambda number: monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU"] * number)


@pytest.mark.parametrize(
    ("choice", "number", "largest", "place"),
    [
        ("device", 0, (64, 64), "device"),
        ("host", 1, (16, 16), "host"),
        (None, 0, (16, 16), "host"),
        (None, 1, (18, 24), "device"),
        (None, 1, (32, 33), "host"),  # more bytes than the 4 x 16 x 16 of the floats
    ],
)
def test_the_default_is_the_device_where_it_pays(monkeypatch, gpus, choice, number, largest, place):
    gpus(number)
    monkeypatch.setattr("data.pipeline.finishing.largest_frame", lambda sets, split: largest)
    assert chosen_place(choice, tf.distribute.get_strategy(), [], CLIPS) == place


def test_the_advice_is_what_is_left_to_do(gpus):
    gpus(1)
    assert "`pretrain.augment_on = 'device'`" in data_advice("host", False)
    assert "augment_on" not in data_advice("device", False) and "--data_service" in data_advice("device", False)
    assert "Start more workers" in data_advice("device", True)
    gpus(0)
    assert "augment_on" not in data_advice("host", False)


@pytest.mark.parametrize("replicas", [1, 2])
def test_every_replica_finishes_its_clips(mirrored, replicas):
    strategy = mirrored(replicas)
    finish = augmenting.finisher(strategy, CLIPS)
    levels = tf.random.stateless_uniform([2, 4, 18, 24, 3], [0, 1], maxval=256, dtype=tf.int32)
    batch = {
        "video": tf.cast(levels, tf.uint8),
        "video_box": tf.constant([[0, 0, 9, 9], [0, 0, 18, 20]]),
        "video_flip": tf.constant([True, False]),
        "waveform": tf.zeros([2, 64]),
        "noise_key": tf.constant([1, 2], tf.int64),
        "noise_deviation": tf.constant([0.1, 0.2]),
    }

    def part(context: tf.distribute.experimental.ValueContext) -> dict:
        index, count = context.replica_id_in_sync_group, 2 // replicas
        return {name: value[index * count : (index + 1) * count] for name, value in batch.items()}

    clips = {
        name: strategy.experimental_distribute_values_from_function(lambda context, name=name: part(context)[name])
        for name in batch
    }
    run = tf.function(lambda clips: strategy.run(finish, args=(clips,)), autograph=False)
    found, expected = run(clips), finish(batch)
    assert expected["waveform"].numpy().std(axis=1) == pytest.approx([0.1, 0.2], rel=0.3)
    for name, tolerance in dict(video=0, waveform=1e-6).items():
        shares = strategy.experimental_local_results(found[name])
        assert len(shares) == replicas
        np.testing.assert_allclose(tf.concat(shares, axis=0), expected[name], rtol=0, atol=tolerance)
