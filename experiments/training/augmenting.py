"""Where the frames of training clips are finished: on the host or in the step."""

import functools
from collections.abc import Sequence

import tensorflow as tf

import data
from experiments.training.progress import STORED_SMALLER
from experiments.training.step_trainer import FinishClips


def chosen_place(
    augment_on: str | None, strategy: tf.distribute.Strategy, sets: Sequence[data.PreparedDataset], clips: data.ClipSpec
) -> str:
    """Returns what a run's `augment_on` stands for: if None, the faster of `data.AUGMENT_ON`.

    A CPU would do in the step, more slowly, what it does outside. Frames that are stored much larger than they are used are
    more bytes than the floats that become of them.

    Args:
      augment_on: The run's own choice.
      strategy: Where it runs.
      sets: What it trains on.
      clips: Shape of its clips.
    """
    if augment_on:
        return augment_on
    accelerated = _on_tpu(strategy) or tf.config.list_logical_devices("GPU")
    return "device" if accelerated and data.stored_bytes(sets, clips) < data.float_bytes(clips) else "host"


def finisher(strategy: tf.distribute.Strategy, clips: data.ClipSpec) -> FinishClips:
    """Returns what finishes batches of either kind in a step of this strategy."""
    return functools.partial(data.finish_clips, image_size=clips.image_size, products=_on_tpu(strategy))


def data_advice(augment_on: str, data_service: bool) -> str:
    """Says what helps a pre-training run that waits for data.

    Args:
      augment_on: Where its frames are finished.
      data_service: Whether other machines decode.
    """
    advice = []
    if augment_on == "host" and tf.config.list_logical_devices("GPU"):
        advice.append("`pretrain.augment_on = 'device'` leaves the processor little but decoding.")
    if data_service:
        advice.append("Start more workers of the data service: python -m experiments.serve_data --role=worker --help.")
    else:
        advice.append("Other machines can decode: --data_service, see python -m experiments.serve_data --help.")
    return " ".join([*advice, STORED_SMALLER])


def _on_tpu(strategy):
    return isinstance(strategy, tf.distribute.TPUStrategy)
