"""The rank of a clip's own pair among those of its batch, against NumPy, pair by pair."""

import numpy as np
import pytest
import tensorflow as tf

import vatt

CLIPS, CANDIDATES = 8, 3


@pytest.fixture
def batch():
    """Embeddings of noise; of the clips 1 and 2 one has no text, the other no sound, and some captions are padding."""
    random = np.random.default_rng(0)
    draw = lambda *shape: tf.constant(random.normal(size=shape), tf.float32)  # noqa: E731
    outputs = {
        "video_audio": {"video": draw(CLIPS, 5), "audio": draw(CLIPS, 5)},
        "video_text": {"video": draw(CLIPS, 4), "text": draw(CLIPS, CANDIDATES, 4)},
    }
    text = np.ones([CLIPS, CANDIDATES, 2], np.int32)
    text[3, 1:] = 0
    present = lambda absent: tf.constant([clip != absent for clip in range(CLIPS)])  # noqa: E731
    return outputs, {"text": tf.constant(text), "has_text": present(1), "has_audio": present(2)}


def expected(video, other, mask):
    """Ranks by counting; NaN where there is none."""
    unit = lambda rows: rows / np.linalg.norm(rows, axis=-1, keepdims=True)  # noqa: E731
    video, mean = unit(video), unit((unit(other) * mask[..., None]).sum(axis=1) + 1e-12)
    has, ranks = mask.any(axis=1), np.full(len(video), np.nan)
    for clip in np.flatnonzero(has):
        own = video[clip] @ mean[clip]
        texts = [video[clip] @ mean[each] < own for each in range(len(video)) if each != clip and has[each]]
        videos = [video[each] @ mean[clip] < own for each in range(len(video)) if each != clip]
        ranks[clip] = (np.mean(texts) + np.mean(videos)) / 2
    return ranks


def check(found, outputs, clips):
    masks = {"video_audio": clips["has_audio"].numpy()[:, None], "video_text": clips["text"].numpy().any(-1)}
    masks["video_text"] = masks["video_text"] & clips["has_text"].numpy()[:, None]
    others = {"video_audio": outputs["video_audio"]["audio"][:, None], "video_text": outputs["video_text"]["text"]}
    for name, mask in masks.items():
        ranks = expected(outputs[name]["video"].numpy(), np.asarray(others[name]), mask)
        rank, ranked = map(np.asarray, found[name])
        np.testing.assert_array_equal(ranked, ~np.isnan(ranks))
        np.testing.assert_allclose(rank, np.nan_to_num(ranks), atol=1e-6)


def test_ranks_are_shares_of_worse_pairs_also_under_xla(batch):
    check(vatt.pair_ranks(*batch), *batch)
    check(tf.function(vatt.pair_ranks, jit_compile=True)(*batch), *batch)
    check(vatt.pair_ranks(*batch, clips_at_a_time=2), *batch)


def test_ranks_do_not_depend_on_the_number_of_replicas(batch, mirrored):
    outputs, clips = batch
    strategy = mirrored(2)
    spread = strategy.experimental_distribute_values_from_function

    def half(context, values):
        return values[CLIPS // 2 * context.replica_id_in_sync_group :][: CLIPS // 2]

    shared = [tf.nest.map_structure(lambda each: spread(lambda context: half(context, each)), part) for part in batch]
    found = tf.function(lambda: strategy.run(vatt.pair_ranks, args=tuple(shared)))()
    joined = tf.nest.map_structure(lambda each: tf.concat(strategy.experimental_local_results(each), 0), found)
    check(joined, outputs, clips)


def test_ties_count_one_half_and_a_lone_or_broken_pair_has_no_rank(batch):
    outputs, clips = batch
    same = tf.nest.map_structure(tf.ones_like, outputs)
    rank, _ = vatt.pair_ranks(same, clips)["video_audio"]
    np.testing.assert_allclose(rank, np.where(np.arange(CLIPS) == 2, 0.0, 0.5))
    alone = tf.range(CLIPS) == 4
    lone = vatt.pair_ranks(outputs, clips | {"has_audio": alone})["video_audio"]
    assert not np.any(lone[1]) and not np.any(lone[0])
    broken = tf.where(alone[:, None], float("nan"), outputs["video_audio"]["video"])
    rank, ranked = vatt.pair_ranks(outputs | {"video_audio": outputs["video_audio"] | {"video": broken}}, clips)[
        "video_audio"
    ]
    assert not ranked[4] and np.isfinite(rank).all() and ranked.numpy().sum() == CLIPS - 2
