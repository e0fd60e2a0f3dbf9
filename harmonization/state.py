"""State of the methods that have some: what they learn from one step to the next."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from harmonization.harmonizer import Group


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
