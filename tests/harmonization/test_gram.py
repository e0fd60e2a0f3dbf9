import numpy as np
import pytest
import tensorflow as tf

from harmonization import gram
from harmonization.gram import cross_gram, find_nonfinite, to_dense, variable_gram

PART = 2048  # numbers; in earnest a million


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


@pytest.fixture
def small_parts(monkeypatch):
    """Cuts variables of 4096 numbers and more."""
    monkeypatch.setattr(gram, "_PART_NUMBERS", PART)
    monkeypatch.setattr(gram, "runs_on_cpus_alone", lambda: True)


def draw_large(objectives, dtype=tf.float32):
    """Gradients of three variables: one that ends with a part, one that does not, one too small to cut; some are `None`."""
    generator = np.random.default_rng(objectives)
    shapes = ([3, PART], [2 * PART + 77], [5, 5])
    rows = [[tf.constant(generator.normal(size=shape), dtype) for shape in shapes] for _ in range(objectives)]
    rows[1][1] = None
    return rows


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float64])
@pytest.mark.parametrize("objectives", [2, 3, 5])
def test_parts_add_up(objectives, dtype, jit_compile):
    rows = draw_large(objectives, dtype)
    got = tf.function(variable_gram, jit_compile=jit_compile)(rows).numpy()
    for k in range(3):
        whole = [np.zeros(1) if row[k] is None else np.ravel(row[k]).astype(np.float64) for row in rows]
        expected = [[np.sum(one * other) for other in whole] for one in whole]
        np.testing.assert_allclose(got[k], expected, rtol=2e-6, atol=2e-4)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("objectives", [2, 3])
def test_parts_of_two_batches_add_up(objectives):
    rows, others = draw_large(objectives), draw_large(objectives + 1)[1:]
    got = tf.function(cross_gram)(rows, others).numpy()
    both = variable_gram([*rows, *others]).numpy()
    np.testing.assert_allclose(got, both[:, :objectives, objectives:], rtol=2e-6, atol=2e-4)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("objectives", [2, 5])
def test_a_number_that_is_not_finite_spoils_its_own_gradient_alone(objectives):
    rows = draw_large(objectives)
    spoiled = [*rows[:-1], [tf.tensor_scatter_nd_update(rows[-1][0], [[1, 9]], [np.nan]), *rows[-1][1:]]]
    got, fine = (tf.function(variable_gram)(each).numpy() for each in (spoiled, rows))
    assert np.isnan(got[0, -1]).all() and np.isnan(got[0, :, -1]).all()
    np.testing.assert_array_equal(got[:, :-1, :-1], fine[:, :-1, :-1])


@pytest.mark.usefixtures("small_parts")
def test_only_graphs_on_cpus_read_parts(monkeypatch):
    rows = draw_large(3)

    def program():
        return tf.function(variable_gram, jit_compile=True).experimental_get_compiler_ir(rows)(stage="hlo")

    def loops():
        definition = tf.function(variable_gram).get_concrete_function(rows).graph.as_graph_def()
        nodes = [node.op for function in definition.library.function for node in function.node_def]
        return sum("While" in operation for operation in nodes)

    assert loops() == 2 and "while" not in program()
    monkeypatch.setattr(gram, "runs_on_cpus_alone", lambda: False)
    assert loops() == 0 and "while" not in program()


@pytest.mark.usefixtures("small_parts")
def test_replicas_read_parts_too():
    rows = draw_large(3)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = strategy.experimental_local_results(tf.function(lambda: strategy.run(variable_gram, args=(rows,)))())
    for each in found:
        np.testing.assert_allclose(each, variable_gram(rows), rtol=2e-6, atol=2e-4)


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
