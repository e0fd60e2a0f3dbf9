"""Where the frames of a run are finished."""

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


def test_the_step_gets_finished_clips():
    finish = augmenting.finisher(tf.distribute.get_strategy(), CLIPS)
    clips = {
        "video": tf.zeros([1, 4, 18, 24, 3], tf.uint8),
        "video_box": tf.constant([[0, 0, 9, 9]]),
        "video_flip": tf.constant([True]),
    }
    assert finish(clips)["video"].shape == (1, 4, 16, 16, 3)
