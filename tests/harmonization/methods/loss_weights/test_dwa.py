import numpy as np
import pytest
import tensorflow as tf

from harmonization import DWA, Group


def _weights(method, rows):
    method.build(2, ("all",))
    for row in rows:
        decision = method.decide(Group(None, losses=tf.constant(row, tf.float32), objectives=(0, 1)))
        for variable, value in decision.state:
            variable.assign(value)
        yield decision.weights.numpy()


def test_weighs_by_the_ratio_of_the_last_two_periods():
    # Means: (4, 2), then (2, 2): ratios (1/2, 1), and with temperature 1 weights 2 softmax.
    rows = [(5.0, 1.0), (3.0, 3.0), (1.0, 2.0), (3.0, 2.0), (7.0, 7.0), (7.0, 7.0)]
    weights = list(_weights(DWA(period=2, temperature=1.0), rows))
    np.testing.assert_array_equal(weights[:4], 1.0)
    expected = 2 * np.exp([0.5, 1.0]) / np.exp([0.5, 1.0]).sum()
    np.testing.assert_allclose(weights[4:], [expected, expected], rtol=1e-6)


def test_the_scale_of_a_loss_does_not_matter():
    rows = np.random.default_rng(0).uniform(0.5, 1.0, size=(5, 2))
    one, other = (list(_weights(DWA(period=1), rows * scale)) for scale in ([1, 1], [1e-3, 1e6]))
    np.testing.assert_allclose(one, other, rtol=1e-4)
    np.testing.assert_allclose(np.sum(one, axis=1), 2, rtol=1e-6)


@pytest.mark.parametrize("options", [{"period": 0}, {"period": 1.5}, {"temperature": 0}])
def test_refuses_options_out_of_range(options):
    with pytest.raises(ValueError, match="`period` should be a whole number >= 1"):
        DWA(**options)
