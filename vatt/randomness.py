"""Stateless random draws: one draw per call of the model makes a table of keys, in which every purpose has its row.

A key is all that a later draw needs, so the number of generators in a compiled step is that of its draws and one more. (With
`tf.random.fold_in` for each purpose it would be several times as many, each as large a program as the draw itself.)
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vatt.batch_part import BatchPart
from vatt.keras import keras
from vatt.tracing import is_for_tpu

_PHILOX = tf.random.Algorithm.PHILOX.value
# Philox on CPUs and GPUs; TPUs have a generator of their own, which is fifty times as fast there.
_OF_THE_DEVICE = tf.random.Algorithm.AUTO_SELECT.value

# A word times the powers of this factor is a run of a linear congruential generator. Any two of the first four are spread well:
# in the spectral test of dimension 2 (Knuth, volume 2, 3.3.4) they reach 0.75 of the best. It is odd: no two words become one.
_FACTOR = 2891336453
_TILE = (8, 128)  # in which a TPU keeps the last two axes of an array
_VALUES_PER_COUNT = 4  # uint32 numbers that Philox makes of each number of its counter


class PartKey(NamedTuple):
    """The key of a draw for a whole batch, of which a part is wanted.

    Attributes:
      key: uint64 [1].
      part: Which part.
    """

    key: tf.Tensor
    part: BatchPart


Key = tf.Tensor | PartKey
"""Of one draw: uint64 [1], or that of a part of a batch."""


class BlockKeys(NamedTuple):
    """Keys of the draws in a block of the encoder; `None` for no draw."""

    attention_weights: Key | None = None
    attention_output: Key | None = None
    hidden: Key | None = None
    feed_forward_output: Key | None = None


class ModalityKeys(NamedTuple):
    """Keys of the draws on the path of one modality; `None` for no draw."""

    drop_token: Key | None = None
    positions: Key | None = None
    encoder_output: Key | None = None
    blocks: Sequence[BlockKeys] = ()

    def block(self, index: int) -> BlockKeys:
        """Returns the keys of a block."""
        return self.blocks[index] if self.blocks else NO_BLOCK_KEYS


NO_BLOCK_KEYS, NO_KEYS = BlockKeys(), ModalityKeys()
_OF_MODALITY, _OF_BLOCK = len(ModalityKeys._fields) - 1, len(BlockKeys._fields)


def key_table(
    seed: tf.Tensor | None, modalities: Sequence[str], layers: int, part: BatchPart | None = None
) -> Mapping[str, ModalityKeys]:
    """Draws all keys of a call of the model at once.

    Each key has a place of its own in the table, which depends on nothing but `modalities` and `layers`. The table is drawn
    with Philox on every device.

    Args:
      seed: int32 or int64 [2]; `None` for no random draws.
      modalities: Names of the modalities, in a fixed order.
      layers: The most blocks that an encoder has.
      part: What of a batch is drawn for; `None` for all of it.

    Returns:
      The keys of each modality.
    """
    if seed is None:
        return dict.fromkeys(modalities, NO_KEYS)
    rows = _OF_MODALITY + _OF_BLOCK * layers
    drawn = keys(seed, rows * len(modalities))
    table = iter(drawn if part is None else [PartKey(key, part) for key in drawn])
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


def random_bits(shape: Sequence[int] | tf.Tensor, key: tf.Tensor, block: tf.Tensor | int | None = None) -> tf.Tensor:
    """Returns uint32 numbers of the whole range, from a key that nothing else is drawn with.

    They come from the device's own generator. On CPUs they are the same with XLA on or off.

    Args:
      shape: Of the result; static if there is a `block`.
      key: uint64 [1].
      block: Which of the blocks of this shape that lie one behind the other in the key's stream; `None` for the first. So
        parts of a large draw are drawn alone, with Philox, on CPUs and GPUs. TPUs draw other numbers for each block, but not
        those of the large draw.
    """
    if block is None:
        return _drawn(shape, key, tf.zeros([2], tf.uint64))
    size = math.prod(shape)
    start = tf.cast(block, tf.int64) * size
    counter = tf.cast(tf.stack([start // _VALUES_PER_COUNT, tf.zeros_like(start)]), tf.uint64)
    if size % _VALUES_PER_COUNT == 0:
        return _drawn(shape, key, counter)
    values = _drawn([size + _VALUES_PER_COUNT - 1], key, counter)
    return tf.reshape(tf.slice(values, [start % _VALUES_PER_COUNT], [size]), shape)


def _drawn(shape, key, counter):
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape, key=key, counter=counter, alg=_OF_THE_DEVICE, dtype=tf.uint32
    )


def shared_bits(shape: Sequence[int] | tf.Tensor, key: Key) -> tf.Tensor:
    """Returns `random_bits` that all clips share, those of other parts of the batch, too."""
    return random_bits(shape, key.key if isinstance(key, PartKey) else key)


def clip_bits(shape: Sequence[int] | tf.Tensor, key: Key) -> tf.Tensor:
    """Returns `random_bits` for clip after clip, `[clips, ...]`; with a part's key, those of its clips in the whole batch."""
    if not isinstance(key, PartKey):
        return random_bits(shape, key)
    return random_bits(shape, key.key, key.part.index)


def dropout(values: tf.Tensor, rate: float, key: Key | None) -> tf.Tensor:
    """Zeroes a share `rate` of `values` and scales up the rest; does nothing where `key` is `None`.

    Keras' own Dropout draws from a stateful generator that a checkpoint does not carry, so a resumed run would differ.

    Four values, of neighboring clips, share a random word: each compares the word times another number with the rate. So each
    is zeroed with a probability within 2^-32 of `rate`. Counted over all 2^32 words, at rates of 0.05, 0.1, 0.2 and 0.5, the
    correlation of two of the four is at most 2e-8, and all four are zeroed as often as independent values are, within 0.1 %.

    Args:
      values: `[batch, ...]`.
      rate: At least 0 and less than 1.
      key: From `key_table`. A part's drops what is dropped of its clips in the whole batch.
    """
    if key is None or rate == 0.0:
        return values
    return values * dropout_factors(values, rate, key)


def dropout_factors(values: tf.Tensor, rate: float, key: Key) -> tf.Tensor:
    """Returns what a `dropout` multiplies `values` by, in their shape and dtype: 0 or 1 / (1 - rate)."""
    return tf.cast(kept(values, rate, key), values.dtype) * tf.cast(1.0 / (1.0 - rate), values.dtype)


def kept(values: tf.Tensor, rate: float, key: Key) -> tf.Tensor:
    """Returns which of `values` a `dropout` keeps: bool, in their shape."""
    threshold = min(round(rate * 2**32), 2**32 - 1)
    return _random_words(values, key) >= tf.constant(threshold, tf.uint32)


def _random_words(values, key):
    """Returns uint32 numbers in the shape of `values`, each of the whole range; see `dropout`."""
    batch, rest = tf.shape(values)[0] if values.shape[0] is None else values.shape[0], values.shape[1:]
    sharing = BatchPart.CLIPS_PER_WORD
    groups = -(-batch // sharing)
    key, block = (key.key, key.part.index) if isinstance(key, PartKey) else (key, None)
    words = _clip_words(groups, rest, key, block)[:, tf.newaxis]
    turns = min(batch, sharing) if isinstance(batch, int) else sharing  # a clip or two need no more
    factors = np.array([pow(_FACTOR, turn, 2**32) for turn in range(turns)], np.uint32).reshape([-1] + [1] * len(rest))
    return tf.reshape(words * factors, [groups * turns, *rest])[:batch]


def _clip_words(groups, rest, key, block):
    """Returns uint32 `[groups, *rest]`.

    On TPUs whole tiles are drawn, and cut off where they are used: a draw of another shape comes in an order of its own, and is
    copied to that of the scores (0.44 ms for a block of the paper's video).
    """
    if not is_for_tpu() or len(rest) < len(_TILE):
        return random_bits([groups, *rest], key, block)
    tiles = [-(-size // whole) * whole for size, whole in zip(rest[-2:], _TILE, strict=True)]
    words = random_bits([groups, *rest[:-2], *tiles], key, block)
    return tf.slice(words, [0] * words.shape.rank, [groups, *rest])


def set_initial_seed(seed: int) -> None:
    """Makes the initial weights a function of `seed` (the only draws that are made before the first step)."""
    keras.utils.set_random_seed(seed)
