"""GradVac: pulling gradients toward the cosine that is usual for their pair."""

from collections.abc import Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.methods.pcgrad import visits
from harmonization.solvers.normalized import added_up, check_reduction, normalized, resolution, to_float32
from harmonization.state import check_made_for, state_variables

LARGEST_TARGET = 0.99


class GradVac(Harmonizer):
    """Raises the cosine of each gradient with every other one to a running average.

    Rule: as PCGrad, but if phi = cos(v_i, g_j) < target_ij,
      v_i += |v_i| (target sqrt(1 - phi^2) - phi sqrt(1 - target^2)) / (|g_j| sqrt(1 - target^2)) g_j;
      then target_ij += beta (phi - target_ij).
    Source: Wang et al. (2021, ICLR), "Gradient Vaccine: Investigating and Improving Multi-task
      Optimization in Massively Multilingual Models", Algorithm 1; beta's default is LibMTL's and
      TorchJD's.
    Promises: equals PCGrad while the targets are zero; nothing else.
    Costs: as PCGrad, and a matrix of targets per group of variables that checkpoints carry.
    Not for: objectives whose gradients are nearly parallel most of the time: targets close to 1 make
      the weights large. Nor for a first step that matters: the targets start uninformed.

    As in LibMTL and TorchJD, phi is measured with the gradient as changed so far (the same for two
    objectives), and target_ij and target_ji are apart. Our choices: a target above 0.99 or below
    -0.99 acts like that number, since the rule divides by zero at 1; a pair with a zero gradient
    has no cosine, and changes neither gradient nor target; nor has what is left of a gradient that was all but
    canceled, where TorchJD takes the cosine of rounding errors. The authors keep targets per layer: pass
    `groups` to have that.

    Args:
      beta: How fast the targets follow, from 0 (fixed) to 1 (the cosine of the step before).
      initial_target: Of all pairs, from -1 to 1.
      reduction: "sum" or "mean" of the changed gradients.
      seed: Of the random order, as in `PCGrad`.

    Attributes:
      targets: One [objectives, objectives] float32 variable per group's name, created by `build`; the
        diagonal means nothing.

    Raises:
      ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        beta: float = 0.5,
        initial_target: float = 0.0,
        reduction: str = "sum",
        seed: int = 0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        check_reduction(reduction)
        if not 0.0 <= beta <= 1.0:
            raise ValueError(f"`beta` should be from 0 to 1. Found {beta}.")
        if not -1.0 <= initial_target <= 1.0:
            raise ValueError(f"`initial_target` should be from -1 to 1. Found {initial_target}.")
        self._beta, self._initial_target = float(beta), float(initial_target)
        self._mean, self._seed = reduction == "mean", int(seed)
        self.targets: dict[str, tf.Variable] = {}

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`; raises a ValueError if the targets were made for others."""
        if not self.targets:
            initial = tf.fill([objectives, objectives], self._initial_target)
            self.targets = state_variables(initial, groups, "gradvac_targets")
        check_made_for(self.targets, objectives, groups)

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`.

        Raises:
          ValueError: If there are more than two objectives and no step, or `build` was not called.
        """
        if group.name not in self.targets:
            raise ValueError("GradVac has no targets yet. Call `build` first, or use `harmonize`.")
        variable = self.targets[group.name]
        # Pairs of the objectives that take part in the group, as [n, n, 2] indices.
        taking_part = group.objectives or tuple(range(variable.shape[0]))
        pairs = tf.stack(tf.meshgrid(taking_part, taking_part, indexing="ij"), axis=-1)
        before = tf.convert_to_tensor(variable)  # XLA cannot gather from the variable itself
        targets = tf.cast(tf.gather_nd(before, pairs), tf.float64)
        weights, targets = self._vaccinate(group.gram, targets, group.step)
        new = tf.tensor_scatter_nd_update(before, pairs, tf.cast(targets, tf.float32))
        return Decision(weights, state=[(variable, new)])

    def _vaccinate(self, gram, targets, step) -> tuple[tf.Tensor, tf.Tensor]:
        norms, cosines = normalized(gram)
        rows = tf.linalg.set_diag(tf.zeros_like(cosines), tf.ones_like(norms))
        present = tf.cast(norms > 0.0, tf.float64)
        rounds = visits(norms.shape[0], self._seed, step) * present[:, None] * present[None, :]
        rows, targets = tf.foldl(
            lambda state, chosen: _met(state[0], state[1], cosines, chosen, self._beta), rounds, (rows, targets)
        )
        weights = added_up(rows, norms)
        return to_float32(weights / norms.shape[0] if self._mean else weights), targets


def _met(rows, targets, cosines, chosen, beta: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Coefficients and targets after each gradient has met the one that is chosen for it."""
    cosine, length = _compared(rows, cosines, chosen)
    target = tf.reduce_sum(targets * chosen, axis=1)
    surprise = tf.where(length > 0.0, cosine - target, 0.0)
    rows += (length * _dose(cosine, target))[:, None] * chosen
    return rows, targets + (beta * surprise)[:, None] * chosen


def _compared(rows, cosines, chosen) -> tuple[tf.Tensor, tf.Tensor]:
    """Cosine of each changed gradient with the one it meets, and its length; 0, 0 if none is defined."""
    products = tf.matmul(rows, cosines)
    square = tf.reduce_sum(products * rows, axis=1)
    noise = resolution(rows.shape[0]) * tf.reduce_sum(rows**2, axis=1)
    defined = (square > noise) & (tf.reduce_sum(chosen, axis=1) > 0.0)
    length = tf.where(defined, tf.sqrt(tf.nn.relu(square)), 0.0)
    cosine = tf.math.divide_no_nan(tf.reduce_sum(products * chosen, axis=1), length)
    return tf.clip_by_value(cosine, -1.0, 1.0), length


def _dose(cosine: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """How much of the other unit gradient brings a unit vector from the cosine up to the target."""
    target = tf.clip_by_value(target, -LARGEST_TARGET, LARGEST_TARGET)
    sine, target_sine = tf.sqrt(1.0 - cosine**2), tf.sqrt(1.0 - target**2)
    return tf.where(cosine < target, sine * target / target_sine - cosine, 0.0)
