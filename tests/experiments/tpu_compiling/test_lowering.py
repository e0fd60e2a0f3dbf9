"""Lowering a step."""

import tensorflow as tf

from experiments.tpu_compiling.lowering import lower

CLIPS = {"video": tf.TensorSpec([4, 3]), "text": tf.TensorSpec([4], tf.int32)}


def step(clips):
    """Draws with a generator that it names, with one that it does not, and in a branch."""
    with tf.name_scope("named"):
        bits = tf.random.stateless_uniform([4, 3], [1, 2], alg="philox")
    with tf.name_scope("chosen"):
        bits += tf.random.stateless_uniform([4, 3], [1, 2])
    with tf.name_scope("branch"):
        bits += tf.cond(
            clips["text"][0] > 0, lambda: tf.random.stateless_uniform([], [3, 4], alg="philox"), lambda: 0.0
        )
    return tf.reduce_sum(clips["video"] * bits)


def test_a_step_is_lowered_for_one_replica():
    lowered = lower(lambda clips: step(clips) + tf.cast(_replica_id(), tf.float32), CLIPS, replicas=8)
    assert b"stateless_random_uniform" in lowered.program and b"replica-id" in lowered.program
    assert lowered.nodes > 10


def _replica_id():
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def test_generators_that_the_code_names_are_told_apart_also_in_branches():
    fixed = lower(step, CLIPS, replicas=8).fixed_generators
    uniform = [name for name in fixed if name.endswith("StatelessRandomUniformV2")]
    assert [name.split("/")[0] for name in uniform] == ["branch", "named"]
    assert not any("chosen" in name for name in fixed)
