"""Stateless random draws: one draw per call of the model makes a table of keys, in which every purpose has its row.

A key is all that a later draw needs, so the number of generators in a compiled step is that of its draws and one more. (With
`tf.random.fold_in` for each purpose it would be several times as many, each as large a program as the draw itself.)
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vatt.keras import keras

_PHILOX = tf.random.Algorithm.PHILOX.value
# Philox on CPUs and GPUs; TPUs have a generator of their own, which is fifty times as fast there.
_OF_THE_DEVICE = tf.random.Algorithm.AUTO_SELECT.value

_DRAWS_PER_WORD = 4  # values of a dropout that share 32 random bits


class BlockKeys(NamedTuple):
    """Keys of the draws in a block of the encoder, uint64 [1] each; `None` for no draw."""

    attention_weights: tf.Tensor | None = None
    attention_output: tf.Tensor | None = None
    hidden: tf.Tensor | None = None
    feed_forward_output: tf.Tensor | None = None


class ModalityKeys(NamedTuple):
    """Keys of the draws on the path of one modality, uint64 [1] each; `None` for no draw."""

    drop_token: tf.Tensor | None = None
    positions: tf.Tensor | None = None
    encoder_output: tf.Tensor | None = None
    blocks: Sequence[BlockKeys] = ()

    def block(self, index: int) -> BlockKeys:
        """Returns the keys of a block."""
        return self.blocks[index] if self.blocks else NO_BLOCK_KEYS


NO_BLOCK_KEYS, NO_KEYS = BlockKeys(), ModalityKeys()
_OF_MODALITY, _OF_BLOCK = len(ModalityKeys._fields) - 1, len(BlockKeys._fields)


def key_table(seed: tf.Tensor | None, modalities: Sequence[str], layers: int) -> Mapping[str, ModalityKeys]:
    """Draws all keys of a call of the model at once.

    Each key has a place of its own in the table, which depends on nothing but `modalities` and `layers`. The table is drawn
    with Philox on every device.

    Args:
      seed: int32 or int64 [2]; `None` for no random draws.
      modalities: Names of the modalities, in a fixed order.
      layers: The most blocks that an encoder has.

    Returns:
      The keys of each modality.
    """
    if seed is None:
        return dict.fromkeys(modalities, NO_KEYS)
    rows = _OF_MODALITY + _OF_BLOCK * layers
    table = iter(keys(seed, rows * len(modalities)))
    return {name: _modality_keys([next(table) for _ in range(rows)]) for name in modalities}


def _modality_keys(rows):
    own, of_blocks = rows[:_OF_MODALITY], rows[_OF_MODALITY:]
    return ModalityKeys(
        *own, [BlockKeys(*of_blocks[start : start + _OF_BLOCK]) for start in range(0, len(of_blocks), _OF_BLOCK)]
    )


def keys(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Returns keys, uint64 [1] each, in one draw from a seed, int32 or int64 [2].

    The seed is Philox' key and the upper half of its counter, whose lower half counts the keys: no two seeds share one.
    (`tf.random` scrambles a seed first, which is another Philox, and with XLA forgets the upper half of an int64.)
    """
    key, upper = tf.split(tf.bitcast(tf.cast(seed, tf.int64), tf.uint64), 2)
    counter = tf.concat([tf.zeros([1], tf.uint64), upper], axis=0)
    drawn = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[count, 1], key=key, counter=counter, alg=_PHILOX, dtype=tf.uint64
    )
    return tf.unstack(drawn)


def random_bits(shape: Sequence[int] | tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Returns uint32 numbers of the whole range, from a key that nothing else is drawn with.

    They come from the device's own generator. On CPUs they are the same with XLA on or off.
    """
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape, key=key, counter=tf.zeros([2], tf.uint64), alg=_OF_THE_DEVICE, dtype=tf.uint32
    )


def dropout(values: tf.Tensor, rate: float, key: tf.Tensor | None, negate: bool = False) -> tf.Tensor:
    """Zeroes a share `rate` of `values` and scales up the rest; does nothing where `key` is `None`.

    Keras' own Dropout draws from a stateful generator that a checkpoint does not carry, so a resumed run would differ.

    Four values, of clips a quarter of the batch apart, share a random word: each compares the word, turned by another number
    of bytes, with the rate. So each is zeroed with a probability within 2^-32 of `rate`, and two of the four depend on each other
    only where the upper byte leaves it open: a correlation of at most 0.004.

    Args:
      values: `[batch, ...]`.
      rate: At least 0 and less than 1.
      key: uint64 [1], from `key_table`.
      negate: Negate what falls away instead of zeroing it, so that it can be told from what is kept.
    """
    if key is None or rate == 0.0:
        return values
    kept = _random_words(values, key) >= tf.constant(_threshold(rate), tf.uint32)
    scale = kept_scale(rate)
    if negate:
        return values * (tf.cast(kept, values.dtype) * tf.cast(scale + 1.0, values.dtype) - 1.0)
    return values * (tf.cast(kept, values.dtype) * tf.cast(scale, values.dtype))


def kept_scale(rate: float) -> float:
    """Returns the factor by which `dropout` scales up what it keeps."""
    return 1.0 / (1.0 - _threshold(rate) / 2**32)


def _threshold(rate):
    return min(round(rate * 2**32), 2**32 - 1)


def _random_words(values, key):
    """Returns uint32 numbers in the shape of `values`, each of the whole range; the upper bytes are independent."""
    batch, rest = tf.shape(values)[0] if values.shape[0] is None else values.shape[0], values.shape[1:]
    quarter = -(-batch // _DRAWS_PER_WORD)
    words = random_bits([1, quarter, *rest], key)
    # The four turns lie along a new first axis, so that no device has to move anything.
    left = np.arange(0, 32, 32 // _DRAWS_PER_WORD, dtype=np.uint32).reshape([-1] + [1] * values.shape.rank)
    turned = tf.bitwise.bitwise_or(tf.bitwise.left_shift(words, left), tf.bitwise.right_shift(words, (32 - left) % 32))
    return tf.reshape(turned, [quarter * _DRAWS_PER_WORD, *rest])[:batch]


def set_initial_seed(seed: int) -> None:
    """Makes the initial weights a function of `seed` (the only draws that are made before the first step)."""
    keras.utils.set_random_seed(seed)
