"""Statistics of the gradients against NumPy, in graphs and under XLA."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization.diagnostics import gram_statistics, layer_statistics

LAYERS = {"first": [1], "second": [0, 2]}


def expected_statistics(gradients, indices) -> dict:
    """The statistics of some variables, from the flattened gradients in float64."""
    rows = [np.concatenate([np.ravel(row[k]).astype(np.float64) for k in indices]) for row in gradients]
    norms = np.array([np.linalg.norm(row) for row in rows])
    cosines = np.array([[np.dot(a, b) / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30) for b in rows] for a in rows])
    pairs = [cosines[i, j] for i, j in itertools.combinations(range(len(rows)), 2) if norms[i] and norms[j]]
    smallest = min(pairs, default=0.0)
    return dict(norms=norms, cosines=cosines, cosine=smallest, defined=bool(pairs), conflict=smallest < 0)


def check(found, gradients, layers):
    for position, indices in enumerate(layers.values()):
        for name, value in expected_statistics(gradients, indices).items():
            np.testing.assert_allclose(found[name][position], value, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("objectives", [1, 2, 4])
@pytest.mark.parametrize("compiled", [None, False, True], ids=["eager", "graph", "xla"])
def test_layers_are_those_of_numpy(random_gradients, objectives, compiled):
    gradients = random_gradients(seed=objectives, objectives=objectives)
    per_variable = harmonization.harmonize(gradients, harmonization.Sum())[1]["variable_gram"]

    def statistics(gram):
        return layer_statistics(gram, LAYERS)

    run = statistics if compiled is None else tf.function(statistics, jit_compile=compiled)
    found = run(per_variable)
    shapes = {name: list(value.shape) for name, value in found.items()}
    square = [2, objectives, objectives]
    assert shapes == {"norms": square[:2], "cosines": square, "cosine": [2], "defined": [2], "conflict": [2]}
    assert found["defined"].dtype == found["conflict"].dtype == tf.bool
    check(found, gradients, LAYERS)


def test_one_layer_of_all_is_the_report_of_harmonize(random_gradients):
    gradients = random_gradients(seed=5, objectives=3)
    _, report = harmonization.harmonize(gradients, harmonization.Sum())
    found = layer_statistics(report["variable_gram"], {"all": [0, 1, 2]})
    for name in found:
        np.testing.assert_allclose(found[name][0], report[name], rtol=1e-6, err_msg=name)


def test_the_groups_of_the_method_do_not_matter(random_gradients):
    gradients = random_gradients(seed=6)
    groups = {"one": [0], "other": [2]}  # and variable 1 in none
    _, report = harmonization.harmonize(gradients, harmonization.GradientRealignment(), groups=groups)
    check(layer_statistics(report["variable_gram"], LAYERS), gradients, LAYERS)
    for name, value in layer_statistics(report["variable_gram"], groups).items():
        np.testing.assert_allclose(value, report[name], rtol=1e-6, err_msg=name)


def test_a_layer_that_one_objective_does_not_reach_has_no_cosine(random_gradients):
    one, other = random_gradients(seed=7)
    gradients = [one, [other[0], None, other[2]]]
    _, report = harmonization.harmonize(gradients, harmonization.Sum())
    found = layer_statistics(report["variable_gram"], LAYERS)
    np.testing.assert_array_equal(found["defined"], [False, True])
    assert found["cosine"][0] == 0 and not found["conflict"][0]
    np.testing.assert_allclose(found["norms"][0], [np.linalg.norm(one[1]), 0], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_layer(random_gradients, bad):
    gradients = random_gradients(seed=8)
    per_variable = harmonization.harmonize(gradients, harmonization.Sum())[1]["variable_gram"].numpy()
    per_variable[1, 0] = bad
    per_variable[1, :, 0] = bad
    found = {name: value.numpy() for name, value in layer_statistics(tf.constant(per_variable), LAYERS).items()}
    assert not found["defined"][0] and found["cosine"][0] == 0 and not found["conflict"][0]
    assert not np.isfinite(found["norms"][0, 0]) and np.isfinite(found["norms"][0, 1])
    for name, value in expected_statistics(gradients, LAYERS["second"]).items():
        np.testing.assert_allclose(found[name][1], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("scale", [1e-8, 1e15])
def test_cosines_do_not_depend_on_scale(random_gradients, scale):
    one, other = random_gradients(seed=9)
    grams = [
        harmonization.harmonize([[factor * g for g in one], other], harmonization.Sum())[1]["gram"]
        for factor in (1.0, scale)
    ]
    found = gram_statistics(tf.stack(grams))
    np.testing.assert_allclose(found["cosine"][1], found["cosine"][0], rtol=1e-5)
    assert found["defined"].numpy().all()


@pytest.mark.parametrize(
    ("layers", "message"),
    [({}, "at least one layer"), ({"x": []}, "'x' should have indices from 0 to 2"), ({"x": [1, 3]}, r"Found \[1, 3\]"),
     ({"x": [-1]}, r"Found \[-1\]")],
)  # fmt: skip
def test_refuses_layers_that_are_none(layers, message):
    with pytest.raises(ValueError, match=message):
        layer_statistics(tf.zeros([3, 2, 2]), layers)
