import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization.groups import indices_of
from vatt.keras import keras

FIRST, SECOND, THIRD = tf.constant([1.0, 2.0]), tf.constant([-3.0, 1.0]), tf.constant([0.5, -4.0])
ENCODERS = {"audio": [0], "video": [1], "head": [2]}
# The multimodal loss reaches every encoder, each unimodal loss its own encoder only.
GRADIENTS = [[FIRST, SECOND, THIRD], [SECOND, None, None], [None, THIRD, None]]


class Recorder(harmonization.Harmonizer):
    """Remembers what it is asked, counts the steps it decided on, and answers with given numbers."""

    def __init__(self, keep=True, scales=None):
        super().__init__()
        self.asked, self.built = [], []
        self.count = tf.Variable([0.0, 0.0, 0.0], trainable=False)
        self._keep, self._scales = keep, scales

    def build(self, objectives, groups):
        self.built.append((objectives, groups))

    def decide(self, group):
        self.asked.append(group)
        weights = tf.range(1.0, group.gram.shape[0] + 1.0)
        one = tf.one_hot(group.position, 3)
        state = [(self.count, self.count + one)] if group.position == 0 else []
        return harmonization.Decision(weights, tf.constant(self._keep), self._scales, state)


def test_a_method_sees_the_objectives_that_reach_the_group():
    method = Recorder()
    _, report = harmonization.harmonize(
        GRADIENTS, method, groups=ENCODERS, step=7, losses=[0.1, 0.2, 0.3], scores={"audio": 1.0}
    )
    audio, video, head = method.asked
    assert [group.objectives for group in method.asked] == [(0, 1), (0, 2), (0,)]
    assert [(group.name, group.position) for group in method.asked] == [("audio", 0), ("video", 1), ("head", 2)]
    np.testing.assert_array_equal(audio.gram, [[5, -1], [-1, 10]])
    np.testing.assert_array_equal(video.gram, [[10, -5.5], [-5.5, 16.25]])
    np.testing.assert_array_equal(head.gram, [[16.25]])
    np.testing.assert_array_equal(video.variable_gram, video.gram[None])
    np.testing.assert_allclose(video.losses, [0.1, 0.3])
    assert audio.step == 7 and audio.scores == {"audio": 1.0}
    np.testing.assert_array_equal(report["weights"], [[1, 2, 0], [1, 0, 2], [1, 0, 0]])
    assert method.built == [(3, ("audio", "video", "head"))]


def test_the_update_has_their_weights():
    update, _ = harmonization.harmonize(GRADIENTS, Recorder(), groups=ENCODERS)
    np.testing.assert_array_equal(update[0], FIRST + 2 * SECOND)
    np.testing.assert_array_equal(update[1], SECOND + 2 * THIRD)
    np.testing.assert_array_equal(update[2], THIRD)


def test_a_group_that_no_objective_reaches_is_not_asked_about():
    method = Recorder()
    update, report = harmonization.harmonize([[FIRST, None]], method, groups={"used": [0], "frozen": [1]})
    assert [group.name for group in method.asked] == ["used"] and update[1] is None
    np.testing.assert_array_equal(report["weights"], [[1], [0]])


def test_an_objective_without_any_gradient_does_not_count_in_a_mean():
    update, _ = harmonization.harmonize([[FIRST], [SECOND], [None]], harmonization.Mean())
    np.testing.assert_allclose(update[0], (FIRST + SECOND) / 2)


def test_scales_are_per_variable():
    method = Recorder(scales=tf.constant([10.0, 0.5]))
    update, _ = harmonization.harmonize([[FIRST, SECOND]], method)
    np.testing.assert_allclose(update[0], 10 * FIRST)
    np.testing.assert_allclose(update[1], 0.5 * SECOND)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("keep", "factor", "count"), [(True, 1.0, 1), (False, 1.0, 0), (True, np.nan, 0)])
def test_state_moves_in_steps_that_are_taken(keep, factor, count, jit_compile):
    method = Recorder(keep)
    step = tf.function(lambda factor: harmonization.harmonize([[factor * FIRST]], method), jit_compile=jit_compile)
    step(tf.constant(factor, tf.float32))
    np.testing.assert_array_equal(method.count, [count, 0, 0])


class Doubler(harmonization.Sum):
    def finish(self, update, group):
        return [None if each is None else 2 * each for each in update] if group.name == "b" else update


def test_a_method_has_the_last_word_on_its_groups():
    update, _ = harmonization.harmonize([[FIRST, SECOND, THIRD, None]], Doubler(), groups={"a": [2], "b": [3, 0]})
    for tensor, expected in zip(update, (2 * FIRST, SECOND, THIRD), strict=False):
        np.testing.assert_array_equal(tensor, expected)
    assert update[3] is None


def test_refuses_losses_that_are_not_one_per_objective():
    with pytest.raises(ValueError, match=r"`losses` should hold one number per objective, \[3\]"):
        harmonization.harmonize(GRADIENTS, harmonization.Sum(), losses=[1.0, 2.0])


def test_base_classes_ask_for_what_is_missing():
    with pytest.raises(NotImplementedError, match="should implement `decide`"):
        harmonization.harmonize([[FIRST]], harmonization.Harmonizer())
    with pytest.raises(NotImplementedError, match="should implement `weights`"):
        harmonization.harmonize([[FIRST]], harmonization.GramHarmonizer())


def test_groups_from_layers_and_variables():
    one, other, frozen = keras.layers.Dense(2), keras.layers.Dense(2), keras.layers.Dense(2)
    for layer in (one, other, frozen):
        layer.build([None, 2])
    single = tf.Variable(0.0)
    variables = [*one.trainable_variables, single, *other.trainable_variables]
    groups = indices_of(variables, {"layers": [other, one], "variable": single})
    assert groups == {"layers": [0, 1, 3, 4], "variable": [2]}
    with pytest.raises(ValueError, match="Group 'frozen' should have a trainable variable"):
        indices_of(variables, {"frozen": frozen})
