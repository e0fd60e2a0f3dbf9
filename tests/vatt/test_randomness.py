"""One draw makes all keys; every dropout has the rate it should have, and no two have to do with each other."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from vatt import BatchPart, randomness, traced_for_tpu

SEED, KEY = tf.constant([5, 6]), tf.constant([7], tf.uint64)
MODALITIES = ("video", "audio", "text")


def all_keys(seed, layers=2):
    return [int(key[0]) for key in tf.nest.flatten(randomness.key_table(seed, MODALITIES, layers))]


def dropped(rate, key, shape=(64, 50, 20)):
    return randomness.dropout(tf.ones(shape), rate, key).numpy() == 0


def test_every_purpose_has_a_key_of_its_own():
    seeds = [(0, 0), (0, 1), (1, 0), (1, 1), (0, -1), (2**40, 1), (1, 2**40)]
    found = [key for seed in seeds for key in all_keys(tf.constant(seed, tf.int64))]
    assert len(set(found)) == len(found) == len(seeds) * len(MODALITIES) * (3 + 2 * 4)
    assert all_keys(SEED) == all_keys(tf.cast(SEED, tf.int64))
    assert randomness.key_table(SEED, MODALITIES, 2)["audio"].block(1).hidden.shape == [1]


def test_the_table_is_one_draw_and_the_same_with_xla():
    def table(seed):
        return tf.stack(tf.nest.flatten(randomness.key_table(seed, MODALITIES, 12)))

    traced = tf.function(table, autograph=False)
    operations = traced.get_concrete_function(SEED).graph.get_operations()
    assert sum(op.type.startswith("StatelessRandomUniform") for op in operations) == 1
    compiled = tf.function(table, autograph=False, jit_compile=True)
    for seed in (SEED, tf.constant([2**40 + 5, -3], tf.int64), tf.constant([-1, 2**62], tf.int64)):
        np.testing.assert_array_equal(traced(seed), compiled(seed))


def test_no_seed_means_no_draws():
    table = randomness.key_table(None, MODALITIES, 2)
    assert set(table) == set(MODALITIES) and table["text"] == randomness.NO_KEYS
    assert tf.nest.flatten(table["video"].block(1)) == [None] * 4


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.001, 0.999])
def test_dropout_zeroes_the_rate_and_keeps_the_mean(rate):
    count = 4_000_000
    values = randomness.dropout(tf.ones([8, count // 8]), rate, KEY).numpy()
    five_deviations = 5 * np.sqrt(rate * (1 - rate) / count)
    assert abs((values == 0).mean() - rate) < five_deviations
    assert abs(values.mean(dtype=np.float64) * (1 - rate) - (1 - rate)) < five_deviations
    np.testing.assert_allclose(values.max(), 1 / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_values_that_share_a_random_word_are_independent(rate):
    """A word serves four neighboring clips: of eight, the first four and the last four."""
    places = 500_000
    drops = dropped(rate, KEY, (8, places))
    five_deviations = 5 * places**-0.5
    assert np.abs(np.corrcoef(drops)[np.triu_indices(8, 1)]).max() < five_deviations
    for clips in (drops[:4], drops[4:]):
        shared = np.mean(clips.all(axis=0))
        assert abs(shared - rate**4) < 5 * np.sqrt(rate**4 / places)


def test_keys_give_independent_draws():
    keys = tf.nest.flatten(randomness.key_table(SEED, MODALITIES, 1))
    drops = np.stack([dropped(0.3, key).ravel() for key in keys]).astype(np.float64)
    correlations = np.corrcoef(drops)[np.triu_indices(len(keys), 1)]
    assert np.abs(correlations).max() < 6 / np.sqrt(drops.shape[1])


@pytest.mark.parametrize("batch", range(1, 10))
def test_any_number_of_clips_can_be_dropped_out(batch):
    values = tf.ones([batch, 3, 5])
    call = lambda values: randomness.dropout(values, 0.4, KEY)  # noqa: E731
    unknown = tf.function(call, input_signature=[tf.TensorSpec([None, 3, 5])], autograph=False)
    compiled = tf.function(call, autograph=False, jit_compile=True)
    for other in (unknown, compiled):
        np.testing.assert_array_equal(call(values), other(values))
    rows = {tuple(row) for row in (call(tf.ones([batch, 60])).numpy() == 0)}
    assert len(rows) == batch


@pytest.mark.parametrize("shape, parts", [((32, 3, 5), 4), ((48, 2, 7, 7), 2), ((16, 8), 4)])
@pytest.mark.parametrize("jit", [False, True])
def test_a_part_of_a_batch_draws_its_share_of_the_whole(shape, parts, jit):
    def drawn(clips, key):
        return randomness.dropout(tf.ones([clips, *shape[1:]]), 0.4, key), randomness.clip_bits(
            [clips, *shape[1:]], key
        )

    @tf.function(autograph=False, jit_compile=jit)
    def of_part(index):
        return drawn(shape[0] // parts, randomness.PartKey(KEY, BatchPart(index, parts)))

    whole, found = drawn(shape[0], KEY), [of_part(tf.constant(index)) for index in range(parts)]
    for place in range(2):
        for index in range(parts):
            np.testing.assert_array_equal(found[index][place], BatchPart(index, parts).of(whole[place]))
        np.testing.assert_array_equal(tf.concat([each[place] for each in found], axis=0), whole[place])


@pytest.mark.parametrize("shape", [(5, 3, 7, 130), (4, 9), (8, 16, 256)])
def test_a_tpu_draws_whole_tiles_and_drops_what_else_it_would(shape):
    """All drawn values lie in a tile of 8 x 128, and their upper left is what is used; a part of a batch drops its share."""
    with traced_for_tpu():
        found = dropped(0.3, KEY, shape)
        part = tf.function(lambda: dropped_part(shape), autograph=False)() if shape[0] == 8 else None
    tiles = shape if len(shape) < 3 else (*shape[:-2], -(-shape[-2] // 8) * 8, -(-shape[-1] // 128) * 128)
    whole = dropped(0.3, KEY, tiles)
    np.testing.assert_array_equal(found, whole[tuple(slice(size) for size in shape)])
    assert part is None or np.array_equal(part == 0, found[4:])


def dropped_part(shape):
    return randomness.dropout(tf.ones([4, *shape[1:]]), 0.3, randomness.PartKey(KEY, BatchPart(tf.constant(1), 2)))


def test_neither_shape_nor_precision_moves_where_zeros_fall():
    values = tf.ones([6, 11])
    wide, narrow = (randomness.dropout(tf.cast(values, dtype), 0.3, KEY) for dtype in (tf.float32, tf.bfloat16))
    np.testing.assert_array_equal(wide == 0, narrow == 0)
    assert narrow.dtype == tf.bfloat16


def test_the_gradient_is_dropped_out_alike():
    values = tf.random.stateless_normal([9, 7], SEED)
    with tf.GradientTape() as tape:
        tape.watch(values)
        kept = randomness.dropout(values, 0.3, KEY)
    np.testing.assert_allclose(tape.gradient(kept, values) * values, kept, rtol=1e-6)


def test_dropout_without_key_or_rate_changes_nothing():
    values = tf.constant([1.0, 2.0])
    assert randomness.dropout(values, 0.3, None) is values
    assert randomness.dropout(values, 0.0, KEY) is values


def test_bits_are_spread_evenly():
    bits = randomness.random_bits([100_000], KEY).numpy()
    for place in range(32):
        assert abs(((bits >> place) & 1).mean() - 0.5) < 0.01
    halves = np.stack([bits & 0xFFFF, bits >> 16]).astype(np.float64)
    assert all(abs(np.corrcoef(*pair)[0, 1]) < 0.02 for pair in itertools.combinations(halves, 2))
