"""What a method is given where its page draws it, tries it out and computes an example."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import harmonization

ANGLES_DEGREES = np.linspace(0.0, 180.0, 361)
LENGTHS = (1.0, 2.0)
GOLDEN = ((-4.0, 1.0, 1.0), (6.0, 1.0, 1.0))
"""Two gradients in conflict; TorchJD states its methods' results on them, too."""
AGREEING = ((2.0, 1.0, 0.0), (1.0, 0.0, 0.0))
TRIED = range(1, 4)
"""Numbers of objectives that a method is tried with."""
SCORES = (0.6, 0.5)
"""Of the groups of variables, in turn."""
ARGUMENTS = ("step", "losses", "scores")
"""Further arguments of `harmonize` about the step, besides gradients and groups."""


class Situation(NamedTuple):
    """The setting of a method's picture, and of its golden value.

    Attributes:
      caption: Says in a few words what the picture assumes.
      options: Of the method in the picture, where they differ from `example_options` and the defaults.
      losses: Of the two objectives.
      draws: Steps to look at; more than one for methods with random numbers. The first makes the curve.
      settling: Steps before the first that counts; for methods with state.
    """

    caption: str = "the defaults"
    options: Mapping[str, Any] = {}
    losses: Sequence[float] = (1.0, 2.0)
    draws: int = 1
    settling: int = 0


SITUATIONS = {
    "sum": Situation("w = (1, 1)"),
    "mean": Situation("w = (½, ½)"),
    "reweight": Situation("w = (1.5, 0.5)"),
    "gr": Situation("projects if they conflict"),
    "cl": Situation("no step above 107°", {"schedule": -0.3}),
    "both": Situation("no step above 143°", {"schedule": -0.8}),
    "pcgrad": Situation("sum of the projections"),
    "gradvac": Situation("targets 0.5", {"beta": 0.0, "initial_target": 0.5}),
    "mgda": Situation("shortest combination"),
    "cagrad": Situation("c = 0.5"),
    "imtl_g": Situation("equal projections"),
    "nash_mtl": Situation("clipped to length 1"),
    "aligned_mtl": Situation("sum, scale = min"),
    "upgrad": Situation("mean of the projections"),
    "dualproj": Situation("the mean, projected"),
    "config": Situation("equal cosines"),
    "fairgrad": Situation("α = 2"),
    "pcd": Situation("τ = 0.1, steady lengths", {"decay": 0.0}),
    "sdmgrad": Situation("λ = 0.3, settled at 0°", settling=20),
    "db_mtl": Situation("losses 1 and 2"),
    "cr_mogm": Situation("MGDA with steady weights", {"momentum": 0.0}),
    "rlw": Situation("step 0; points: other steps", draws=30),
    "uw": Situation("settled, losses 1 and 2", settling=400),
    "imtl_l": Situation("settled, losses 1 and 2", settling=400),
    "dwa": Situation("losses unchanged: the sum", {"period": 1}, settling=3),
    "gls": Situation("losses 1 and 2"),
    "stch": Situation("losses 1 and 2, μ = 1"),
    "famo": Situation("first step, losses 1 and 2"),
    "gradnorm": Situation("settled, losses equal", {"learning_rate": 0.0005}, losses=(1.0, 1.0), settling=1500),
    "mmpareto": Situation("γ = 1 (default 1.5)", {"gamma": 1.0}),
    "dgl": Situation("encoder, α = 1 (default 4)", {"alpha": 1.0}),
    "ogm_ge": Situation("scores 0.6, 0.5; points: with noise", {"noise_steps": (1, 30)}, draws=30),
}
"""Settings that show more than the default one does; a method need not be here."""


class Turned(NamedTuple):
    """A method's updates as the second gradient turns away from the first, which is (1, 0).

    Attributes:
      gradients: [lengths, angles, 2] float32, the second gradient.
      updates: [lengths, draws, angles, 2] float32.
      keep: [lengths, angles] bool, whether the step is taken.
    """

    gradients: np.ndarray
    updates: np.ndarray
    keep: np.ndarray


def situation(name: str) -> Situation:
    """The setting of a method's picture."""
    return SITUATIONS.get(name, Situation())


def example_options(name: str, objectives: int = 2) -> dict[str, Any]:
    """Options with which a page shows the method."""
    return harmonization.METHODS[name].example_options(objectives)


def groups_of(name: str) -> tuple[str, ...] | None:
    """Names of the groups of variables with which a page shows the method; the picture shows the first."""
    return harmonization.METHODS[name].example_groups


def scores_of(name: str) -> dict[str, float]:
    """Scores of the groups."""
    return dict(zip(groups_of(name) or ("all",), itertools.cycle(SCORES), strict=False))


def updates_by_angle(name: str) -> Turned:
    """Turns the second gradient through `ANGLES_DEGREES`, with each of `LENGTHS`."""
    setting, angles = situation(name), np.deg2rad(ANGLES_DEGREES)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    gradients = np.array([length * directions for length in LENGTHS], np.float32)
    points = [
        (turned, step)
        for row in gradients
        for turned, step in (
            *[(row[0], 0)] * setting.settling,
            *((turned, step) for step in range(setting.draws) for turned in row),
        )
    ]
    updates, keep = _run(name, np.array([turned for turned, _ in points]), np.array([step for _, step in points]))
    shape = (len(LENGTHS), setting.draws, len(angles), 2)
    updates = updates.reshape(len(LENGTHS), -1, 2)[:, setting.settling :].reshape(shape)
    keep = keep.reshape(len(LENGTHS), -1)[:, setting.settling :].reshape(shape[:-1])
    return Turned(gradients, updates, keep.all(axis=1))


def _run(name: str, turned: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    harmonizer = harmonization.get(name, **{**example_options(name), **situation(name).options})
    first = tf.constant([1.0, 0.0])

    def updated(point):
        update, report = harmonized(name, harmonizer, [first, point[0]], point[1])
        return update, report["keep"]

    @tf.function
    def run(turned, steps):
        signature = (tf.float32, tf.bool)
        # One after the other, since some methods learn from step to step.
        return tf.map_fn(updated, (turned, steps), fn_output_signature=signature, parallel_iterations=1)

    updates, keep = run(turned, steps.astype(np.int64))
    return updates.numpy(), keep.numpy()


def harmonized(
    name: str,
    harmonizer: harmonization.Harmonizer,
    gradients: Sequence[tf.Tensor],
    step: tf.Tensor | int,
    without: Sequence[str] = (),
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Harmonizes gradients in the method's situation.

    Args:
      name: A key of `harmonization.METHODS`.
      harmonizer: The method.
      gradients: One vector per objective; every group of variables has them.
      step: [] training step.
      without: Those of `ARGUMENTS` that are not given.

    Returns:
      The update of the first group's variable, and the report.
    """
    losses = itertools.islice(itertools.cycle(situation(name).losses), len(gradients))
    given = {"step": step, "losses": list(losses), "scores": scores_of(name)}
    groups = groups_of(name)
    update, report = harmonization.harmonize(
        [[gradient] * len(groups or ("all",)) for gradient in gradients],
        harmonizer,
        groups=groups and {group: [index] for index, group in enumerate(groups)},
        **{key: value for key, value in given.items() if key not in without},
    )
    return update[0], report


def golden(name: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """Weights and update of the first step on the gradients `GOLDEN`, and whether it is taken."""
    harmonizer = harmonization.get(name, **example_options(name))
    update, report = harmonized(name, harmonizer, [tf.constant(row) for row in GOLDEN], 0)
    weights = report["weights"][0] if groups_of(name) else report["weights"]
    return weights.numpy(), update.numpy(), bool(report["keep"])


def needs(name: str) -> list[str]:
    """What the method needs, found by trying it out: what it looks at or is refused without."""
    harmonizer = harmonization.get(name, **example_options(name))
    found = ["Gram matrix"] * _depends_on_gradients(name)
    for key in () if _accepts(name, 3, without=ARGUMENTS) else ARGUMENTS:
        if not _accepts(name, 3, without=(key,)):
            found.append(f"{key} (for more than two objectives)" if _accepts(name, 2, without=(key,)) else key)
    found += ["losses after the step"] * harmonizer.losses_after
    found += ["groups"] * (groups_of(name) is not None)
    harmonizer.build(2, groups_of(name) or ("all",))
    return found + ["state"] * bool(harmonizer.variables)


def objectives(name: str) -> str:
    """How many objectives the method takes, found by trying 1 to 3."""
    accepted = [count for count in TRIED if _accepts(name, count)]
    if accepted == list(TRIED):
        return "any"
    return f"{accepted[0]} or more" if accepted == list(TRIED)[accepted[0] - 1 :] else "one per weight"


def _accepts(name: str, objectives: int, without: Sequence[str] = ()) -> bool:
    # What is asked with `without` is not how many objectives there may be.
    options = example_options(name, objectives) if without else example_options(name)
    rows = [tf.one_hot(index, objectives) for index in range(objectives)]
    try:
        harmonized(name, harmonization.get(name, **options), rows, 0, without)
    except ValueError:
        return False
    return True


def _depends_on_gradients(name: str) -> bool:
    """Whether weights, state or the decision to take the step change with the gradients."""
    outcomes = []
    for gradients in (GOLDEN, AGREEING):
        harmonizer = harmonization.get(name, **example_options(name))
        _, report = harmonized(name, harmonizer, [tf.constant(row) for row in gradients], 0)
        outcomes.append([value.numpy() for value in (report["weights"], report["keep"], *harmonizer.variables)])
    return not all(np.allclose(*pair) for pair in zip(*outcomes, strict=True))
