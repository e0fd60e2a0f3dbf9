import numpy as np
import pytest

from experiments.classifiers.constant_answer import constant_answer, multi_label_constant_answer
from experiments.finetuning.scores import multi_label_scores, single_label_scores


def test_the_most_frequent_classes_are_the_best_constant_answer():
    labels = np.repeat([0, 2, 3, 4, 5, 7], [1, 4, 2, 2, 2, 1])
    assert constant_answer(labels) == {"top1": 4 / 12, "top5": 11 / 12, "items": 12}


def test_no_constant_scores_get_more():
    labels = np.random.default_rng(0).geometric(0.2, 300) % 12
    by_frequency = np.tile(np.bincount(labels, minlength=12).astype(np.float32), [300, 1])
    found, scores = constant_answer(labels), single_label_scores(by_frequency, labels)
    assert (found["top1"], found["top5"]) == (scores["top1"], scores["top5"])
    others = [single_label_scores(np.roll(by_frequency, shift, axis=1), labels) for shift in range(1, 12)]
    assert all(other["top1"] <= found["top1"] and other["top5"] <= found["top5"] for other in others)


def test_chance_of_several_labels_is_what_equal_scores_get():
    labels = np.random.default_rng(1).random((40, 6)) < [0.0, 0.1, 0.3, 0.5, 0.8, 1.0]
    found, scores = multi_label_constant_answer(labels.astype(int)), multi_label_scores(np.zeros((40, 6)), labels)
    assert scores["classes_left_out"] == 2 and found.pop("items") == 40
    assert found == pytest.approx({name: scores[name] for name in found}) and len(found) == 4


def test_without_a_class_that_counts_there_is_no_chance():
    found = multi_label_constant_answer(np.array([[1, 0]] * 3))
    assert found == {"map": None, "auc": None, "d_prime_mean": None, "d_prime_of_mean": None, "items": 3}
