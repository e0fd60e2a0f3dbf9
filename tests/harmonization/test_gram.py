import numpy as np
import pytest
import tensorflow as tf

from harmonization.gram import find_nonfinite, to_dense, variable_gram


def test_is_the_matrix_of_inner_products_of_every_variable(random_gradients):
    gradients = random_gradients(seed=0, objectives=3)
    got = variable_gram(gradients).numpy()
    for k in range(3):
        rows = np.stack([np.ravel(objective[k]) for objective in gradients]).astype(np.float64)
        np.testing.assert_allclose(got[k], rows @ rows.T, rtol=1e-5, atol=1e-5)


def test_none_is_zero():
    got = variable_gram([[tf.constant([3.0, 4.0]), None], [None, None]]).numpy()
    np.testing.assert_array_equal(got[0], [[25, 0], [0, 0]])
    np.testing.assert_array_equal(got[1], np.zeros([2, 2]))


def test_stays_exact_over_many_numbers():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(2, 3_000_000)).astype(np.float32) + 0.5
    for jit_compile in (False, True):
        gram = tf.function(variable_gram, jit_compile=jit_compile)
        got = gram([[tf.constant(vectors[0])], [tf.constant(vectors[1])]]).numpy()[0]
        expected = vectors.astype(np.float64) @ vectors.astype(np.float64).T
        np.testing.assert_allclose(got, expected, rtol=2e-6)


def test_shapes_need_not_be_known():
    gram = tf.function(variable_gram, input_signature=[[[tf.TensorSpec([None, 2])], [tf.TensorSpec([None, 2])]]])
    np.testing.assert_array_equal(gram([[tf.ones([3, 2])], [-tf.ones([3, 2])]]), [[[6, -6], [-6, 6]]])


def test_accumulates_16_bit_gradients_in_float32():
    ones = tf.ones([10_000], tf.bfloat16)  # bfloat16 cannot count beyond 256
    np.testing.assert_array_equal(variable_gram([[ones], [-ones]])[0], [[1e4, -1e4], [-1e4, 1e4]])


def test_indexed_slices_add_up_repeated_rows():
    slices = tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), [1, 0, 1], tf.constant([3, 1]))
    dense = to_dense([[slices]])
    np.testing.assert_array_equal(dense[0][0], [[2.0], [5.0], [0.0]])
    assert variable_gram(dense).numpy() == 29.0


def test_names_the_first_gradient_that_is_not_finite():
    fine, bad = tf.ones([2]), tf.constant([1.0, np.nan])
    assert find_nonfinite(variable_gram([[fine, fine], [fine, fine]])) == (-1, -1)
    assert find_nonfinite(variable_gram([[fine, fine, bad], [fine, bad, fine]])) == (1, 1)
    assert find_nonfinite(variable_gram([[fine, tf.constant([1e20])]])) == (1, 0)


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        ([], "list over objectives"),
        ([[], []], "list over objectives"),
        ([[tf.ones(2)], [tf.ones(2), tf.ones(2)]], r"Found 2 objectives with \[1, 2\] variables"),
        ([[tf.ones(2)], [tf.ones(3)]], r"variable 0 should have one shape. Found \(2,\), \(3,\)"),
        ([[tf.ones(2, tf.int32)]], r"gradients\[0\]\[0\] should be floating point. Found int32"),
        ([[tf.IndexedSlices(tf.ones([1, 2]), [0])]], r"gradients\[0\]\[0\].*`dense_shape`"),
    ],
)
def test_refuses_gradients_it_cannot_use(gradients, message):
    with pytest.raises(ValueError, match=message):
        to_dense(gradients)
