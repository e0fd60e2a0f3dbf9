import pathlib

import numpy as np
import pytest
import tensorflow as tf
from scipy.interpolate import CubicSpline

from vatt.positions import AxialPositions, stretch_matrix

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "interp"


@pytest.mark.parametrize("name", np.load(GOLDEN / "inputs.npz").files)
def test_stretched_tables_are_the_published_codes_up_to_its_rounding(name):
    """It solves in float32, whose rounding is all of the difference: its tables hit their own knots to 1e-3 only."""
    table, published = np.load(GOLDEN / "inputs.npz")[name], np.load(GOLDEN / "outputs.npz")[name]
    ours = stretch_matrix(len(table), len(published), from_edges=True) @ table
    np.testing.assert_allclose(ours, published, atol=2e-3)
    assert np.abs(ours - stretch_matrix(len(table), len(published)) @ table).max() > 0.05, "the alignment matters"


@pytest.mark.parametrize("entries, buckets", [(8, 16), (14, 20), (16, 11), (2, 5), (7, 7)])
def test_is_the_natural_cubic_spline_inside_the_table(entries, buckets):
    table = np.random.default_rng(0).normal(size=[entries, 3])
    known, wanted = (np.arange(entries) + 0.5) / entries, (np.arange(buckets) + 0.5) / buckets
    inside = (wanted >= known[0]) & (wanted <= known[-1])
    expected = CubicSpline(known, table, bc_type="natural")(wanted[inside])
    np.testing.assert_allclose((stretch_matrix(entries, buckets) @ table)[inside], expected, atol=1e-9)


def test_a_straight_line_stays_one_also_outside():
    line = np.arange(6.0)
    stretched = stretch_matrix(6, 12) @ line
    np.testing.assert_allclose(np.diff(stretched), 0.5, atol=1e-9)


def test_one_entry_is_repeated():
    np.testing.assert_array_equal(stretch_matrix(1, 4), np.ones([4, 1]))


def test_positions_are_the_sum_over_the_axes():
    layer = AxialPositions(4, (2, 3))
    found = layer(tf.zeros([1]), grid=(2, 3)).numpy().reshape(2, 3, 4)
    time, height = (table.numpy() for table in layer.tables)
    np.testing.assert_allclose(found, time[:, None] + height[None], atol=1e-6)


def test_other_grids_are_stretched_axis_by_axis_and_learn():
    layer = AxialPositions(4, (2, 3))
    layer(tf.zeros([1]), grid=(2, 3))
    with tf.GradientTape() as tape:
        found = layer(tf.zeros([1]), grid=(4, 3))
        loss = tf.reduce_sum(found**2)
    time, height = (table.numpy() for table in layer.tables)
    expected = (stretch_matrix(2, 4) @ time)[:, None] + height[None]
    np.testing.assert_allclose(found.numpy().reshape(4, 3, 4), expected, atol=1e-6)
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(loss, layer.trainable_variables))


def test_transposed_positions_run_over_the_second_axis_first():
    layer, turned = AxialPositions(4, (2, 3)), AxialPositions(4, (2, 3), transposed=True)
    expected = layer(tf.zeros([1]), grid=(2, 3)).numpy().reshape(2, 3, 4)
    turned(tf.zeros([1]), grid=(2, 3))
    turned.set_weights(layer.get_weights())
    found = turned(tf.zeros([1]), grid=(2, 3)).numpy()
    np.testing.assert_allclose(found, expected.transpose(1, 0, 2).reshape(6, 4), atol=1e-6)
