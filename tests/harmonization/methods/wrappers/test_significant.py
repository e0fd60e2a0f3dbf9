import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization.harmonizer import Group

GRAM = tf.constant([[1.0, -0.9], [-0.9, 1.0]])
# Eight estimates of these inner products that hardly differ, and eight that say nothing.
CLEAR = GRAM + 1e-3 * tf.reshape(tf.range(8.0), [8, 1, 1])
NOISE = tf.reshape(tf.constant([1.0, -1.0] * 4), [8, 1, 1]) * tf.constant([[0.0, 9.0], [9.0, 0.0]]) + GRAM


def _group(estimates):
    losses = tf.constant([2.0, 1.0])
    return Group(gram=GRAM, variable_gram=GRAM[None], losses=losses, gram_estimates=estimates)


def test_the_method_decides_where_the_conflict_is_significant():
    method = harmonization.Significant(harmonization.Reweight((3.0, 1.0)))
    method.build(2, ("all",))
    np.testing.assert_array_equal(method.decide(_group(CLEAR)).weights, [3.0, 1.0])
    np.testing.assert_array_equal(method.decide(_group(NOISE)).weights, [1.0, 1.0])


def test_the_other_method_learns_from_the_losses_after_the_step():
    method = harmonization.Significant(harmonization.PCGrad(), otherwise=harmonization.FAMO())
    alone = harmonization.FAMO()
    assert method.losses_after
    for each in (method, alone):
        each.build(2, ("all",))
        for variable, value in each.decide(_group(NOISE)).state:
            variable.assign(value)
        each.after_step(tf.constant([1.0, 1.0]))
    for found, expected in zip(method.variables, alone.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert np.any(alone.variables[0] != 0)


@pytest.mark.parametrize(
    "otherwise", [harmonization.OGMGE(), harmonization.DGL(), harmonization.CRMOGM(harmonization.DGL())]
)
def test_a_method_that_changes_the_update_afterwards_cannot_be_the_other_one(otherwise):
    with pytest.raises(
        ValueError, match=f"`otherwise` should not change the update .* {type(otherwise).__name__} does"
    ):
        harmonization.Significant(harmonization.Sum(), otherwise=otherwise)
    for wrapped in (harmonization.CRMOGM(harmonization.Mean()), harmonization.Significant(harmonization.Sum())):
        harmonization.Significant(harmonization.Sum(), otherwise=wrapped)


def test_refuses_what_is_no_method_and_no_level():
    with pytest.raises(ValueError, match="`method` and `otherwise` should be Harmonizers"):
        harmonization.Significant("sum")
    with pytest.raises(ValueError, match="`level` should be between 0 and 1"):
        harmonization.Significant(harmonization.Sum(), level=1.0)
    method = harmonization.Significant(harmonization.Sum())
    with pytest.raises(ValueError, match="needs the gradients of the batch's parts"):
        method.decide(_group(None))
