"""Weights from losses equal to TorchJD's over short trainings; see tests/golden/torchjd."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

import harmonization
from harmonization import Group

pytestmark = pytest.mark.slow

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "torchjd"
sys.path.insert(0, str(GOLDEN))
import cases  # noqa: E402

STORED = np.load(GOLDEN / "outputs.npz")
SCALARIZERS = {
    "stch": lambda objectives: harmonization.STCH(mu=0.5, preferences=1.0 / objectives),
    "gls": lambda objectives: harmonization.GLS(),
    "uw": lambda objectives: harmonization.UncertaintyWeights(),
    "imtl_l": lambda objectives: harmonization.IMTLL(),
    "dwa": lambda objectives: harmonization.DWA(period=4),
    "famo": lambda objectives: harmonization.FAMO(),
}


@pytest.mark.parametrize("objectives", [2, 5])
@pytest.mark.parametrize("name", SCALARIZERS)
def test_weighs_the_losses_of_a_short_training_alike(name, objectives):
    method = SCALARIZERS[name](objectives)
    method.build(objectives, ("all",))
    initial = [variable.numpy() for variable in method.variables]

    @tf.function(autograph=False)
    def step(losses, after):
        decision = method.decide(Group(tf.eye(objectives), losses=losses))
        for variable, value in decision.state:
            variable.assign(value)
        if method.losses_after:
            method.after_step(after)
        return decision.weights

    for sequence, expected in zip(cases.losses(objectives)[:5], STORED[f"{name}_{objectives}"], strict=False):
        for variable, value in zip(method.variables, initial, strict=True):
            variable.assign(value)
        for losses, after in zip(sequence, np.roll(sequence, -1, axis=0), strict=True):
            weights = step(tf.constant(losses), tf.constant(after))
        np.testing.assert_allclose(weights, expected, rtol=1e-4)
