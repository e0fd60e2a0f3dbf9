import numpy as np
import pytest
import tensorflow as tf

from harmonization import gram
from harmonization.gram import cross_gram, find_nonfinite, to_dense, variable_gram

PART = 1024  # numbers, the least; in earnest a million


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
    """Cuts variables of two parts and more."""
    monkeypatch.setattr(gram, "_PART_NUMBERS", 2 * PART)
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
    got = tf.function(variable_gram, jit_compile=jit_compile)(rows)
    np.testing.assert_allclose(got, products_by_numpy(rows), rtol=2e-6, atol=2e-4)


def products_by_numpy(rows):
    columns = [
        [np.zeros(1) if each is None else np.ravel(each).astype(np.float64) for each in column]
        for column in zip(*rows, strict=True)
    ]
    return [[[np.sum(one * other) for other in column] for one in column] for column in columns]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("objectives", [2, 3])
def test_parts_of_two_batches_add_up(objectives):
    rows, others = draw_large(objectives), draw_large(objectives + 1)[1:]
    got = tf.function(cross_gram)(rows, others)
    both = np.array(products_by_numpy([*rows, *others]))
    np.testing.assert_allclose(got, both[:, :objectives, objectives:], rtol=2e-6, atol=2e-4)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("objectives", [2, 5])
def test_a_number_that_is_not_finite_spoils_its_own_gradient_alone(objectives):
    rows = draw_large(objectives)
    spoiled = [*rows[:-1], [tf.tensor_scatter_nd_update(rows[-1][0], [[1, 9]], [np.nan]), *rows[-1][1:]]]
    got, fine = (tf.function(variable_gram)(each).numpy() for each in (spoiled, rows))
    assert np.isnan(got[0, -1]).all() and np.isnan(got[0, :, -1]).all()
    np.testing.assert_array_equal(got[:, :-1, :-1], fine[:, :-1, :-1])


@pytest.fixture
def marked_parts(small_parts, monkeypatch):
    """Replaces what is read by part by -1."""
    monkeypatch.setattr(gram, "_products_by_part", lambda _, pairs: -tf.ones([len(pairs)]))


@pytest.mark.usefixtures("marked_parts")
def test_graphs_on_cpus_read_parts():
    np.testing.assert_array_equal(tf.function(variable_gram)(draw_large(3)), -np.ones([3, 3, 3]))


@pytest.mark.usefixtures("marked_parts")
def test_replicas_on_cpus_read_parts():
    rows = draw_large(3)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = strategy.experimental_local_results(tf.function(lambda: strategy.run(variable_gram, args=(rows,)))())
    assert len(found) == 2 and all(np.all(each == -1) for each in found)


@pytest.mark.usefixtures("small_parts")
def test_replicas_add_up_parts():
    rows = draw_large(3)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for each in strategy.experimental_local_results(tf.function(lambda: strategy.run(variable_gram, args=(rows,)))()):
        np.testing.assert_allclose(each, products_by_numpy(rows), rtol=2e-6, atol=2e-4)


@pytest.mark.usefixtures("marked_parts")
def test_whatever_xla_compiles_reads_whole_variables(monkeypatch):
    rows = draw_large(3)
    compiled = tf.function(variable_gram, jit_compile=True)
    np.testing.assert_allclose(compiled(rows), products_by_numpy(rows), rtol=2e-6, atol=2e-4)
    program = compiled.experimental_get_compiler_ir(rows)(stage="optimized_hlo")
    assert " while(" not in program and " conditional(" not in program
    np.testing.assert_allclose(variable_gram(rows), products_by_numpy(rows), rtol=2e-6, atol=2e-4)  # eagerly
    monkeypatch.setattr(gram, "runs_on_cpus_alone", lambda: False)
    found = tf.function(variable_gram)(rows)
    np.testing.assert_allclose(found, products_by_numpy(rows), rtol=2e-6, atol=2e-4)


@pytest.mark.usefixtures("small_parts")
def test_a_length_that_is_not_known_is_not_cut():
    specs = [[tf.TensorSpec([4 * PART])], [tf.TensorSpec([None])]]
    products = tf.function(variable_gram, input_signature=[specs])
    with pytest.raises(tf.errors.InvalidArgumentError):
        products([[tf.ones([4 * PART])], [tf.ones([5 * PART])]])
    np.testing.assert_array_equal(products([[tf.ones([4 * PART])]] * 2), np.full([1, 2, 2], 4 * PART))


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
