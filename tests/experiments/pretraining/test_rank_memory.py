"""The average ranks of clips that come again, against a dictionary of lists."""

import numpy as np
import pytest
import tensorflow as tf

from experiments.pretraining.rank_memory import RankMemory
from experiments.pretraining.step import OBJECTIVES

SLOTS, CLIPS, STEPS = 7, 4, 6


def draw():
    """Batches of rows and ranks; rows come again, also within a batch, and some clips have no rank."""
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        ranks = {name: (random.random(CLIPS, np.float32), random.random(CLIPS) < 0.8) for name in OBJECTIVES}
        ranks = {name: (np.where(ranked, rank, 0.0).astype("f"), ranked) for name, (rank, ranked) in ranks.items()}
        yield random.integers(0, SLOTS, CLIPS).astype(np.int32), ranks


def expected():
    """The averages after each step: of four visits the mean, then a moving average."""
    means, visits, found = {}, {}, []
    for slots, ranks in draw():
        for name, (rank, ranked) in ranks.items():
            for slot in set(slots):
                own = rank[(slots == slot) & ranked]
                if len(own):
                    visits[name, slot] = min(visits.get((name, slot), 0) + 1, 4)
                    before = means.get((name, slot), 0.0)
                    means[name, slot] = before + (own.mean() - before) / visits[name, slot]
        found.append({name: [means.get((name, slot), 0.0) for slot in slots] for name in OBJECTIVES})
    return found


def constant(batch):
    return tf.nest.map_structure(tf.constant, batch)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_ranks_are_averaged_over_the_times_a_clip_comes(jit_compile):
    memory = RankMemory(SLOTS, OBJECTIVES)
    averaged = tf.function(memory.averaged, jit_compile=jit_compile, autograph=False)
    for (slots, ranks), means in zip(draw(), expected(), strict=True):
        found = averaged(tf.constant(slots), constant(ranks))
        for name in OBJECTIVES:
            np.testing.assert_allclose(found[name][0], means[name], rtol=1e-5)
            np.testing.assert_array_equal(found[name][1], ranks[name][1])
    assert np.max(memory.visits) == 4 and len(set(np.ravel(memory.means))) > SLOTS


def test_a_restored_table_carries_on(tmp_path):
    batches = list(draw())
    whole, first, second = (RankMemory(SLOTS, OBJECTIVES) for _ in range(3))
    for batch in batches:
        expected = whole.averaged(*constant(batch))
    for batch in batches[:3]:
        first.averaged(*constant(batch))
    path = tf.train.Checkpoint(curriculum=first).save(str(tmp_path / "ckpt"))
    tf.train.Checkpoint(curriculum=second).restore(path).assert_consumed()
    for batch in batches[3:]:
        found = second.averaged(*constant(batch))
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
    np.testing.assert_array_equal(second.means, whole.means)
