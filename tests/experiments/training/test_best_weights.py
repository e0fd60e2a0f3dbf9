"""The best weights, and a run that resumes from before them."""

import types

import numpy as np
import pytest
import tensorflow as tf

from experiments.classifiers.progress import ClassifierProgress
from experiments.running.checkpoints import host_number
from experiments.running.command_line import RunFailed
from experiments.training.best_weights import BestWeights


class Run:
    """A weight, and what is remembered of its best value."""

    def __init__(self, directory, remembered=0, score=-np.inf):
        self.weight = tf.Variable(0.0)
        self.number, self.score = host_number("number", remembered, tf.int64), host_number("score", score)
        self.best = BestWeights(tf.train.Checkpoint(weight=self.weight), directory, self.number, self.score)

    def offer(self, weight, score, number):
        self.weight.assign(weight)
        self.best.offer(score, number)

    def restored(self):
        return self.best.restore(), float(self.weight.numpy()), float(self.score.numpy())


@pytest.fixture
def saved(tmp_path):
    """A directory with the best weights of a run, which were better at step 4 than at step 2: 40 and 20."""
    run = Run(tmp_path)
    for score, step in ((0.2, 2), (0.4, 4), (0.4, 6), (0.1, 8)):
        run.offer(10.0 * step, score, step)
    return tmp_path


def test_the_first_of_equally_good_weights_stay(saved):
    run = Run(saved, remembered=4, score=0.4)
    assert run.best.resume(6) == ""
    assert run.restored() == (4, 40.0, 0.4)


def test_weights_of_steps_that_are_run_again_are_not_those_of_an_earlier_best(saved):
    run = Run(saved, remembered=2, score=0.2)
    assert "no longer holds ckpt-2" in (note := run.best.resume(3)) and "better ones, ckpt-4." in note
    run.offer(41.0, 0.1, 4)  # now worse than what was at step 2, whose weights are lost
    assert run.restored() == (4, 41.0, 0.1)
    assert Run(saved, remembered=4, score=0.1).best.resume(4) == ""


def test_a_run_that_resumes_at_its_best_saves_it_again(saved):
    run = Run(saved, remembered=2, score=0.2)
    run.weight.assign(20.0)
    assert run.best.resume(2) == ""
    run.offer(0.0, 0.1, 4)
    assert run.restored() == (2, 20.0, 0.2)
    run.offer(44.0, 0.3, 6)
    assert run.restored() == (6, 44.0, 0.3)


def test_best_weights_that_were_removed_are_missed(saved):
    assert Run(saved / "elsewhere").best.resume(3) == "", "none so far"
    for remembered, place in ((6, saved), (4, saved / "elsewhere")):
        run = Run(place, remembered, score=0.4)
        with pytest.raises(RunFailed, match=f"{place} should hold ckpt-{remembered}, .* were removed"):
            run.best.resume(remembered + 1)
        assert int(run.number.numpy()) == remembered
        with pytest.raises(RunFailed, match=f"should hold ckpt-{remembered}, the best weights"):
            run.best.restore()


def test_weights_amid_an_epoch_are_no_epoch_s():
    told = types.SimpleNamespace(run=types.SimpleNamespace(steps_per_epoch=6))
    told.validates = lambda step: ClassifierProgress.validates(told, step)
    assert [ClassifierProgress.number(told, step) for step in (6, 7, 12)] == [1, None, 2]


def test_a_run_that_has_kept_none_says_so(tmp_path):
    with pytest.raises(
        RunFailed, match="no validation of this run has kept weights as the best. Resume it from before"
    ):
        Run(tmp_path).best.restore()
