"""State of the methods that have some: what they learn from one step to the next."""

import math
from collections.abc import Mapping, Sequence

import tensorflow as tf

from harmonization.harmonizer import Group

MEAN_DECAY, SQUARE_DECAY, ADAM_EPSILON = 0.9, 0.999, 1e-8


def state_variables(initial: tf.Tensor, groups: Sequence[str], name: str) -> dict[str, tf.Variable]:
    """One variable per group of variables under its name, the same on all replicas.

    A variable for each group and not one with a row for each, so that every group's decision can
    set its own as a whole.

    Args:
      initial: Value of each.
      groups: Names of the groups.
      name: What the state is.
    """
    return {
        group: tf.Variable(
            initial,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            name=f"{name}_{group}",
        )
        for group in groups
    }


def check_made_for(state: Mapping[str, tf.Variable], objectives: int, groups: Sequence[str]) -> None:
    """Raises a ValueError unless `state_variables` made the state for so many objectives and groups."""
    made_for = next(iter(state.values())).shape[-1]
    if (made_for, set(state)) != (objectives, set(groups)):
        raise ValueError(
            f"The method's state was made for {made_for} objectives in the groups {list(state)}. Found "
            f"{objectives} objectives in {list(groups)}. Make a separate method for them."
        )


def own_entries(values: tf.Tensor, group: Group) -> tf.Tensor:
    """Those of the values, [..., all objectives], whose objectives take part in the group."""
    return values if group.objectives is None else tf.gather(values, group.objectives, axis=-1)


def with_own_entries(values: tf.Tensor, own: tf.Tensor, group: Group) -> tf.Tensor:
    """The values, [all objectives], with new ones for the objectives that take part in the group."""
    if group.objectives is None:
        return own
    places = tf.constant([[objective] for objective in group.objectives])
    return tf.tensor_scatter_nd_update(values, places, own)


def adam_step(
    slope: tf.Tensor, mean: tf.Tensor, square: tf.Tensor, updates: tf.Tensor, learning_rate: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """What Adam subtracts from a method's own parameters, and its next moments.

    Args:
      slope: Of what is minimized.
      mean: Of the slopes so far.
      square: Mean square of the slopes so far.
      updates: How many there have been; one number per parameter.
      learning_rate: Of the parameters.

    Returns:
      The step, and the next mean, square and updates; all in the shape of the slope.
    """
    updates += 1.0
    mean = MEAN_DECAY * mean + (1.0 - MEAN_DECAY) * slope
    square = SQUARE_DECAY * square + (1.0 - SQUARE_DECAY) * slope**2
    # 1 - decay^updates, which float32 gets wrong when written so.
    unbiased_mean = mean / -tf.math.expm1(updates * math.log(MEAN_DECAY))
    unbiased_square = square / -tf.math.expm1(updates * math.log(SQUARE_DECAY))
    return learning_rate * unbiased_mean / (tf.sqrt(unbiased_square) + ADAM_EPSILON), mean, square, updates
