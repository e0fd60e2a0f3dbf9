"""Groups of variables: which objectives reach them, and what a method is told about them."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from harmonization.harmonizer import Decision, Group, Harmonizer

Groups = Mapping[str, Sequence[int]]
"""Names of groups of variables, with the indices of the variables in each."""


def members_of(groups: Groups | None, variables: int) -> dict[str, list[int]]:
    """Checks the groups and lists their variables; `None` becomes one group "all" of all variables.

    Args:
      groups: As in `harmonize`.
      variables: How many there are.

    Raises:
      ValueError: If a group is empty, an index is out of range, or a variable is in two groups.
    """
    if groups is None:
        return {"all": list(range(variables))}
    if not isinstance(groups, Mapping) or not groups:
        raise ValueError(
            f"`groups` should be None or a dict from names to lists of variable indices. Found {groups!r}."
        )
    owner = {}
    for name, indices in groups.items():
        if not len(indices):
            raise ValueError(f"Group {name!r} should have at least one variable. Found none.")
        for index in indices:
            _claim(owner, name, index, variables)
    return {name: list(indices) for name, indices in groups.items()}


def ungrouped(members: Sequence[Sequence[int]], variables: int) -> list[int]:
    """The indices of the variables that are in no group.

    Args:
      members: The indices of each group's variables.
      variables: How many there are.
    """
    grouped = {index for indices in members for index in indices}
    return [index for index in range(variables) if index not in grouped]


def indices_of(variables: Sequence[tf.Variable], parts: Mapping[str, object]) -> Groups:
    """Returns groups of variables in the form that `harmonize` takes, from layers or variables.

    Args:
      variables: All that are trained, in the order of the gradients.
      parts: Names of groups to their parts: layers, modules, variables, or lists of these.

    Raises:
      ValueError: If a part has no variable among `variables`.
    """
    place = {id(variable): index for index, variable in enumerate(variables)}
    groups = {}
    for name, part in parts.items():
        owned = _owned(part, "trainable_variables")
        groups[name] = [index for key, index in place.items() if key in owned]
        if not groups[name]:
            raise ValueError(f"Group {name!r} should have a trainable variable. Found none in {part!r}.")
    return groups


def check_names(groups: Mapping[str, object] | None) -> None:
    """Raises a ValueError unless groups have names."""
    if groups is not None and not isinstance(groups, Mapping):
        raise ValueError(f"`groups` should be a dict of names to layers or variables. Found {groups!r}.")


def places_of(variables: Sequence[tf.Variable], parts: Mapping[str, object]) -> dict[str, list[int]]:
    """Which variables belong to each part, trained or frozen, as a file can say it; see `indices_of`.

    Raises:
      ValueError: If a part has no variables, such as a layer that is not built yet.
    """
    groups = {}
    for name, part in parts.items():
        owned = _owned(part, "variables")
        groups[name] = [index for index, variable in enumerate(variables) if id(variable) in owned]
        if not groups[name]:
            raise ValueError(
                f"Group {name!r} should have variables to be saved. Found none: call the model once before."
            )
    return groups


def _owned(part, which: str) -> set[int]:
    """The ids of a part's variables; what has no attribute `which` is a variable itself."""
    return {id(variable) for each in tf.nest.flatten(part) for variable in getattr(each, which, [each])}


def split(
    about: Group, members: Mapping[str, list[int]], gradients: Sequence[Sequence[tf.Tensor | None]]
) -> list[Group]:
    """What a method is told about each group.

    Args:
      about: Holds `gram` [groups, objectives, objectives], and `variable_gram` and `gram_estimates` of all variables.
      members: Names of the groups, with the indices of their variables.
      gradients: A list over objectives of lists over variables.
    """
    return [
        about._replace(
            gram=gram,
            variable_gram=tf.gather(about.variable_gram, indices),
            gram_estimates=(
                None
                if about.gram_estimates is None
                else tf.reduce_sum(tf.gather(about.gram_estimates, indices), axis=0)
            ),
            name=name,
            position=position,
            objectives=_present(gradients, indices),
        )
        for position, (gram, (name, indices)) in enumerate(zip(tf.unstack(about.gram), members.items(), strict=True))
    ]


def decide(harmonizer: Harmonizer, group: Group) -> Decision:
    """Asks the method about a group; an objective that takes no part in it gets the weight zero.

    Args:
      harmonizer: The method.
      group: Has the rows of all objectives.
    """
    objectives = group.gram.shape[0]
    if not group.objectives:
        return Decision(tf.zeros([objectives]))
    if len(group.objectives) == objectives:
        return harmonizer.decide(group)
    decision = harmonizer.decide(_narrowed(group))
    places = tf.constant([[objective] for objective in group.objectives])
    return decision._replace(weights=tf.scatter_nd(places, decision.weights, [objectives]))


def _present(gradients, indices: Sequence[int]) -> tuple[int, ...]:
    """The objectives that reach at least one of the variables."""
    return tuple(
        objective for objective, row in enumerate(gradients) if any(row[index] is not None for index in indices)
    )


def _narrowed(group: Group) -> Group:
    """The group with the rows of the objectives that take part in it."""
    rows = tf.constant(group.objectives)
    return group._replace(
        gram=_submatrix(group.gram, rows),
        variable_gram=None if group.variable_gram is None else _submatrix(group.variable_gram, rows),
        losses=None if group.losses is None else tf.gather(group.losses, rows),
        gram_estimates=None if group.gram_estimates is None else _submatrix(group.gram_estimates, rows),
    )


def _submatrix(matrix: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.gather(matrix, rows, axis=-2), rows, axis=-1)


def _claim(owner: dict[int, str], name: str, index: int, variables: int) -> None:
    if not 0 <= index < variables:
        raise ValueError(f"Group {name!r} should hold indices from 0 to {variables - 1}. Found {index}.")
    if index in owner:
        raise ValueError(f"A variable should be in one group, once. Found {index} in {owner[index]!r} and {name!r}.")
    owner[index] = name
