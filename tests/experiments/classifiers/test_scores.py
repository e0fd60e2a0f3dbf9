"""Accuracies, tables, and the weights of Gradient-Blending, by hand."""

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from experiments.classifiers.gradient_blending import GradientBlending, blend_weights
from experiments.classifiers.progress import accuracies
from experiments.classifiers.scores import Evaluator, score
from experiments.classifiers.table import run_row, table
from experiments.running.command_line import RunFailed


def test_scores_by_hand():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], np.float32))
    found = score(logits, np.array([0, 1, 1], np.int32))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["class_accuracy"] == pytest.approx((1 + 1 / 2) / 2)  # class 2 does not occur
    assert found["loss"] == pytest.approx(-np.log([0.5, 0.25, 0.5]).mean(), rel=1e-6)
    far_away = score(1e4 * logits, np.array([0, 0, 0], np.int32))
    assert np.isfinite(far_away["loss"]) and far_away["accuracy"] == pytest.approx(2 / 3)


def evaluator(labels, has_audio):
    """Scores a model that is sure of the classes 0, 1, 0, 1, 1, in batches of three and two clips."""

    def model(clips):
        return dict.fromkeys(("multimodal", "audio", "video"), clips["waveform"])

    sure = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1]]
    batches = [
        {
            "waveform": tf.constant(sure[part]),
            "label": tf.constant(labels[part]),
            "has_audio": tf.constant(has_audio[part]),
        }
        for part in (slice(3), slice(3, 5))
    ]
    return Evaluator(model, {"waveform": tf.TensorSpec([None, 2])}, lambda split: batches)


def test_clips_without_a_label_are_left_out():
    scored = evaluator([0, 0, -1, 1, 1], [True] * 5)
    assert scored("test")["audio"]["accuracy"] == 3 / 4
    assert scored.clips_left_out["test"] == {"multimodal": 1, "audio": 1, "video": 1}
    with pytest.raises(RunFailed, match="the split 'test' has no labeled clip to score"):
        evaluator([-1] * 5, [True] * 5)("test")


def test_clips_without_sound_are_left_out_of_the_sound_s_figures_alone():
    scored = evaluator([0, 0, -1, 0, 1], [True, False, True, False, True])
    scores = scored("validation")
    assert {name: found["accuracy"] for name, found in scores.items()} == {
        "multimodal": 2 / 4,
        "audio": 1,
        "video": 2 / 4,
    }
    assert scored.clips["validation"] == {"multimodal": 4, "audio": 2, "video": 4}
    assert scored.clips_left_out["validation"] == {"multimodal": 1, "audio": 3, "video": 1}
    assert scored.chance["validation"]["items"] == 4
    line = "multimodal 50.0% audio 100.0% (of 2 with sound) video 50.0%"
    assert accuracies(scores, scored.clips["validation"]) == line
    assert accuracies(scores, dict.fromkeys(scores, 4)) == line.replace(" (of 2 with sound)", "")
    with pytest.raises(RunFailed, match="the split 'test' has no labeled clip with sound"):
        evaluator([0, 0, -1, 0, 1], [False, False, True, False, False])("test")


def test_blending_by_hand():
    before = np.array([[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]])  # training, validation
    now = np.array([[1.0, 0.5, 1.5], [1.5, 1.5, 2.5]])
    # Fell by 0.5, 0.5 and not at all; the gap grew by 0.5, 1 and 1: ratios 2, 0.5 and 0.
    np.testing.assert_allclose(blend_weights(before, now, np.ones(3)), 3 * np.array([2.0, 0.5, 0.0]) / 2.5)
    worse = np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
    np.testing.assert_array_equal(blend_weights(before, worse, np.array([1.0, 2.0, 0.0])), [1.0, 2.0, 0.0])
    no_gap = np.array([[1.0, 1.5, 2.0], [1.0, 1.5, 2.0]])  # counts as a gap of 0.1
    np.testing.assert_allclose(blend_weights(before, no_gap, np.ones(3)), [2.0, 1.0, 0.0])


def test_blending_weighs_losses_and_changes_at_the_end_of_a_super_epoch():
    method = GradientBlending(super_epoch=2)
    gradients = [[tf.constant([1.0]), None], [tf.constant([10.0]), tf.constant([100.0])]]
    groups = {"first": [0], "second": [1]}
    update, _ = harmonization.harmonize(gradients, method, groups)
    assert [value.numpy().tolist() for value in update] == [[11.0], [100.0]]
    method.start(classes=4)
    losses = np.log(4) - np.array([0.3, 0.1])
    method.end_epoch(1, losses, losses)
    assert method.blend.numpy().tolist() == [1.0, 1.0]
    method.end_epoch(2, losses, losses)
    np.testing.assert_allclose(method.blend, [1.5, 0.5], rtol=1e-5)
    update, report = harmonization.harmonize(gradients, method, groups)
    np.testing.assert_allclose(np.concatenate(update), [6.5, 50.0], rtol=1e-5)
    assert report["weights"].shape == [2, 2]
    with pytest.raises(ValueError, match="`super_epoch` should be at least 1"):
        GradientBlending(0)


def result(method, seed, accuracy, conflict=None):
    scores = {
        name: {"accuracy": accuracy, "class_accuracy": accuracy, "loss": 1.0}
        for name in ("multimodal", "audio", "video")
    }
    gradients = (
        {part: {"mean_cosine": 0.5, "conflict_rate": conflict} for part in ("audio", "video")} if conflict else {}
    )
    return dict(
        method=method, seed=seed, best_epoch=2, epochs=3, alone="head", validation=scores,
        chance={"top1": 0.25, "top5": 1.0, "items": 40}, test={"best": scores, "last": scores}, gradients=gradients,
        seconds_spent=12.34,
    )  # fmt: skip


def test_the_table_pairs_seeds():
    runs = [result("joint", 0, 0.4), result("uniform", 0, 0.5, 0.2), result("uniform", 1, 0.7, 0.4)]
    runs += [result("mmpareto", 0, 0.6, 0.1), result("mmpareto", 1, 0.6, 0.1)]
    runs[1]["test"]["last"] = result("", 0, 0.9)["test"]["last"]
    at_best, at_last = table([run_row(run) for run in runs]).split("Test accuracy in percent ")[1:]
    assert at_last.startswith("after the last epoch; 40 clips, chance 25.0.")
    assert "| mmpareto | 60.0 ± 0.0 | 60.0 ± 0.0 | 60.0 ± 0.0 | -20.0 ± 14.1 (0/2) |" in at_last
    lines = at_best.splitlines()[2:]
    assert lines[0].startswith("| method | multimodal | audio | video | multimodal - uniform |")
    assert lines[2] == "| joint | 40.0 | 40.0 | 40.0 | -10.0 (0/1) | - | - | 1 |"
    assert lines[3] == "| uniform | 60.0 ± 14.1 | 60.0 ± 14.1 | 60.0 ± 14.1 | - | 30 % | 30 % | 2 |"
    assert lines[4] == "| mmpareto | 60.0 ± 0.0 | 60.0 ± 0.0 | 60.0 ± 0.0 | +0.0 ± 14.1 (1/2) | 10 % | 10 % | 2 |"


def test_older_runs_have_no_chance_but_a_table():
    old = result("joint", 0, 0.4) | {"chance": 0.2}
    assert "after the last epoch; 1 / classes is 20.0, chance unknown (older runs)." in table([run_row(old)])
    assert "after the last epoch; 40 clips, chance 25.0." in table([run_row(old), run_row(result("uniform", 0, 0.5))])


def test_the_table_tells_of_clips_without_sound():
    some = result("joint", 0, 0.4) | {"clips": {"multimodal": 40, "audio": 30, "video": 40}}
    assert "after the last epoch; 40 clips (30 with sound), chance 25.0." in table([run_row(some)])
    assert "after the last epoch; 40 clips, chance 25.0." in table([run_row(result("joint", 0, 0.4))])
