import numpy as np
import pytest
import tensorflow as tf

from harmonization import DBMTL, Group


def _weights(gram, losses):
    return DBMTL().decide(Group(gram, losses=tf.constant(losses, tf.float32))).weights.numpy()


def test_by_hand(gram_of):
    # |g| / L = 5 / 10 and 2 / 1, so both parts get the length 2.
    np.testing.assert_allclose(_weights(gram_of([[3, 4], [2, 0]]), [10, 1]), [2 / 5, 1], rtol=1e-6)


def test_scaling_a_loss_changes_nothing(gram_of):
    vectors, losses = np.array([[3.0, 4.0], [2.0, -1.0], [1.0, 1.0]]), np.array([10.0, 1.0, 0.1])
    for scales in ([1, 1, 1], [1e-8, 1e8, 1]):
        scales = np.array(scales)[:, None]
        update = _weights(gram_of(scales * vectors), losses * scales[:, 0]) @ (scales * vectors)
        np.testing.assert_allclose(update, _weights(gram_of(vectors), losses) @ vectors, rtol=1e-5)


def test_zero_parallel_and_opposite_gradients(gram_of):
    np.testing.assert_allclose(_weights(gram_of([[0, 0], [2, 0]]), [1, 1]), [0, 1])
    np.testing.assert_allclose(_weights(gram_of([[1, 0], [2, 0]]), [1, 1]), [2, 1])
    np.testing.assert_allclose(_weights(gram_of([[1, 0], [-2, 0]]), [1, 1]), [2, 1])
    np.testing.assert_array_equal(_weights(tf.zeros([2, 2]), [1, 1]), [0, 0])


def test_losses_that_have_no_logarithm_do_not_count(gram_of):
    weights = _weights(gram_of([[1, 0], [2, 0], [3, 0]]), [0.0, 2.0, np.nan])
    np.testing.assert_allclose(weights * [1, 2, 3], [1, 1, 1], rtol=1e-6)
    np.testing.assert_array_equal(_weights(gram_of([[1, 0], [2, 0]]), [0.0, -1.0]), [0, 0])
    with pytest.raises(ValueError, match="DBMTL needs the losses"):
        DBMTL().decide(Group(tf.eye(2)))
