"""The figures of fine-tuning, by hand, and how views become one prediction."""

import math
import types

import numpy as np
import pytest
import tensorflow as tf

from experiments.finetuning.scores import Evaluator, d_prime, multi_label_scores, single_label_scores
from experiments.running.command_line import RunFailed


def test_single_label_figures_by_hand():
    # Seven classes. Class 0: right, sixth. Class 3: fifth. Nothing of the other classes.
    logits = np.array([[9, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 0], [9, 8, 7, 5, 6, 0, 0]], np.float32)
    scores = single_label_scores(logits, np.array([0, 0, 3]))
    assert scores["top1"] == pytest.approx(1 / 3) and scores["top5"] == pytest.approx(2 / 3)
    assert scores["class_accuracy"] == pytest.approx((1 / 2 + 0) / 2) and scores["classes"] == 2
    exponents = np.exp(logits.astype(np.float64))
    expected = -np.log(exponents[[0, 1, 2], [0, 0, 3]] / exponents.sum(axis=1)).mean()
    assert scores["loss"] == pytest.approx(expected)


def test_a_constant_answer_is_right_for_the_first_classes_only():
    scores = single_label_scores(np.zeros([10, 10], np.float32), np.arange(10))
    assert scores["top1"] == pytest.approx(0.1) and scores["top5"] == pytest.approx(0.5)


def test_two_classes_have_a_top_5():
    assert single_label_scores(np.array([[1.0, 0.0]], np.float32), np.array([1]))["top5"] == 1.0


def test_multi_label_figures_by_hand():
    labels = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]])
    logits = np.array([[4.0, 1, 0, 9], [3.0, 2, 5, 1], [2.0, 3, 1, 8], [1.0, 0, 2, 2]])
    scores = multi_label_scores(logits, labels)
    # Class 0, ranked: + - + -. Precisions at the positives 1 and 2/3; 3 of 4 pairs in order.
    # Class 1, ranked: - + + -. Precisions 1/2 and 2/3; 2 of 4 pairs. Class 2 has no positive. Class 3 is perfect.
    assert scores["map"] == pytest.approx((5 / 6 + 7 / 12 + 1) / 3)
    assert scores["auc"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert (scores["classes"], scores["classes_left_out"]) == (3, 1)
    # Phi(0.67448975) = 0.75, Phi(1.15034938) = 0.875, that is half of 4 pairs short of 1; the mean is 0.75.
    assert scores["d_prime_mean"] == pytest.approx(math.sqrt(2) * (0.67448975 + 0 + 1.15034938) / 3)
    assert scores["d_prime_of_mean"] == pytest.approx(math.sqrt(2) * 0.67448975)
    expected = (np.log1p(np.exp(logits)) - labels * logits).sum(axis=1).mean()
    assert scores["loss"] == pytest.approx(expected)


def test_the_two_readings_of_d_prime_differ_as_published():
    # VATT reports 2.895 together with an AUC of 0.971, of which d' would be 2.68: facts/vatt.md, 6.
    assert d_prime(0.971, 10**9) == pytest.approx(2.681, abs=0.001)
    assert d_prime(0.5, 10) == 0 and d_prime(1.0, 50) == -d_prime(0.0, 50) == pytest.approx(math.sqrt(2) * 2.3263479)


def test_without_a_class_that_counts_there_are_no_figures():
    scores = multi_label_scores(np.zeros([3, 2]), np.array([[1, 0]] * 3))
    assert [scores[name] for name in ("map", "auc", "d_prime_mean", "d_prime_of_mean")] == [None] * 4
    assert scores["classes_left_out"] == 2 and scores["loss"] == pytest.approx(2 * math.log(2))


class FirstNumbers:
    """A model whose logits are the clip's first three numbers."""

    modality = "audio"
    classifier = types.SimpleNamespace(units=3)

    def __call__(self, raw, seed=None):
        return raw[:, :3]


def evaluator(batches, multi_label=False):
    return Evaluator(FirstNumbers(), (4,), "waveform", multi_label, lambda split: batches[split])


def batch(waveform, label, has_audio=None, **others):
    has_audio = np.ones(len(label), bool) if has_audio is None else has_audio
    clips = {"waveform": np.float32(waveform), "label": np.int32(label), "has_audio": has_audio, **others}
    return {name: tf.constant(value) for name, value in clips.items()}


def test_the_logits_of_a_clip_are_the_mean_of_its_views():
    views = [[[6, 0, 0, 0], [0, 5, 0, 0]], [[0, 0, 4, 0], [0, 3, 0, 0]]]  # means: (3, 2.5, 0) and (0, 1.5, 2)
    scores = evaluator({"test": [batch(views, [0, 2])]})("test")
    assert scores["top1"] == 1.0 and scores["clips"] == 2 and scores["clips_left_out"] == 0
    assert evaluator({"test": [batch(views, [1, 1])]})("test")["top1"] == 0.0


def test_clips_without_label_or_audio_are_skipped_and_counted():
    batches = [batch(np.eye(4)[:3], [0, -1, 2], np.array([True, True, False])), batch(np.eye(4)[1:2], [1])]
    scores = evaluator({"validation": batches})("validation")
    assert (scores["clips"], scores["clips_left_out"], scores["top1"]) == (2, 2, 1.0)
    labels = np.float32([[1, 1, 0], [0, 0, 0], [1, 0, 1]])
    many = [batch(np.eye(4)[:3], [-1, -1, -1], labels=labels)]
    assert evaluator({"test": many}, multi_label=True)("test")["clips_left_out"] == 1


def test_what_cannot_be_scored_is_said():
    with pytest.raises(RunFailed, match="'test' has no labeled clip with sound to score"):
        evaluator({"test": [batch(np.eye(4)[:1], [-1])]})("test")
    with pytest.raises(RunFailed, match="logits of the split 'test' are not finite"):
        evaluator({"test": [batch([[np.nan, 0, 0, 0]], [1])]})("test")
