"""The figures of tasks, counted by SciPy and scikit-learn alone; `test_tasks` loads this file."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist
from scipy.stats import rankdata
from sklearn.metrics import top_k_accuracy_score


def part_of(task, clip_id, split):
    """What a clip is to an official split, read from its name."""
    if task == "esc50":
        return "test" if clip_id.startswith(f"{split}-") else "train"
    if task == "ucf101":
        return "test" if f"_g{({1: 1, 2: 8, 3: 15})[split]:02d}_" in clip_id else "train"
    return ("unused", "train", "test")[(int(clip_id[-1]) + split - 1) % 3]


def check_zero_shot(found, run, names, task, modality, splits, windows):
    """Against SciPy; every clip that a split tests counts once."""
    prompts = [[prompt.format(name) for prompt in found["prompts"]] for name in names]
    tokens = tf.reshape(run.tokenizer(tf.constant(prompts)), [len(names) * len(found["prompts"]), 1, -1])
    sentences = run.model({"text": tokens})["video_text"]["text"][:, 0]
    classes = tf.reduce_mean(
        tf.reshape(tf.math.l2_normalize(sentences, -1), [len(names), len(found["prompts"]), -1]), 1
    )
    tested = [
        outputs
        for clip_id, outputs in windows.items()
        if "test" in {part_of(task, clip_id, split) for split in range(1, splits + 1)}
    ]
    labels, outputs = zip(*tested, strict=True)
    if modality == "video":
        clips = [np.mean(output["video_text"], axis=0) for output in outputs]
    else:
        clips = [np.mean(run.model.head.audio_near_text(output["video_audio"]), axis=0) for output in outputs]
    scores = 1 - cdist(clips, classes, "cosine")
    for k in (1, 5):
        assert found[f"top{k}"] == top_k_accuracy_score(labels, scores, k=k, labels=range(6))
    assert found["items"] == len(labels) == found["chance"]["items"] and found["classes"] == 6


def brute_force(run, outputs, asked):
    """Ranks by averaged embeddings and by averaged similarities, by SciPy alone; `asked` is clip ids and sentences."""
    names, windows = list(outputs), np.stack([output["video_text"] for _, output in outputs.values()])
    own = [names.index(name) for name, _ in asked]
    tokens = run.tokenizer(tf.constant([sentence for _, sentence in asked]))
    queries = run.model({"text": tokens[:, tf.newaxis]})["video_text"]["text"][:, 0].numpy()
    by_window = np.mean(
        [1 - cdist(queries, windows[:, window], "cosine") for window in range(windows.shape[1])], axis=0
    )
    cosines = (1 - cdist(queries, windows.mean(axis=1), "cosine"), by_window)
    return [rankdata(-np.round(cosine, 6), method="max", axis=1)[np.arange(len(own)), own] for cosine in cosines]


def check_backwards(found, run, outputs, asked):
    """The rank of a clip's best own sentence among all sentences, by SciPy."""
    names, videos = zip(
        *((name, np.mean(output["video_text"], axis=0)) for name, (_, output) in outputs.items()), strict=True
    )
    tokens = run.tokenizer(tf.constant([sentence for _, sentence in asked]))
    sentences = run.model({"text": tokens[:, tf.newaxis]})["video_text"]["text"][:, 0].numpy()
    cosines = np.round(1 - cdist(videos, sentences, "cosine"), 6)
    own = np.array([[name == other for other, _ in asked] for name in names])
    best = np.max(np.where(own, cosines, -2), axis=1, keepdims=True)
    ranks = 1 + np.sum((cosines >= best) & ~own, axis=1)
    assert [found[f"r{k}"] for k in (1, 5, 10)] == [pytest.approx(np.mean(ranks <= k)) for k in (1, 5, 10)]
    assert (found["mean_rank"], found["median_rank"]) == (pytest.approx(ranks.mean()), np.median(ranks))
    assert (found["items"], found["gallery"]) == (len(names), len(asked))


def check_ranks(found, by_embedding, by_similarity, gallery):
    for figures, ranks in ((found, by_embedding), (found["similarities"], by_similarity)):
        assert [figures[f"r{k}"] for k in (1, 5, 10)] == [pytest.approx(np.mean(ranks <= k)) for k in (1, 5, 10)]
        assert (figures["median_rank"], figures["mean_rank"]) == (np.median(ranks), pytest.approx(ranks.mean()))
    assert (found["items"], found["gallery"]) == (len(by_embedding), gallery)
    assert found["chance"]["median_rank"] == (gallery + 1) / 2
