"""One backward pass for all objectives, for methods that decide without the gradients."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from harmonization.backward import Backward, BackwardPass
from harmonization.decisions import all_finite, as_losses, finish, make_report, store
from harmonization.gram import first_nonfinite, squares
from harmonization.groups import Groups, members_of, ungrouped
from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.replicas import sum_over_replicas


def harmonize_in_one_pass(
    backward: Backward,
    losses: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    harmonizer: Harmonizer,
    groups: Groups | None,
    step: tf.Tensor | int | None,
    *,
    values: Sequence[tf.Tensor] | tf.Tensor,
    scores: Mapping[str, tf.Tensor] | None,
    keep: tf.Tensor | bool,
) -> tuple[list[tf.Tensor | None], dict[str, tf.Tensor]]:
    """Does what `harmonize` does with a method whose `needs_gram` is False, from one gradient of the weighted sum.

    Groups whose weights differ take a pass each, through their own variables only. Objectives that
    weigh zero throughout take part in none. See `harmonize_losses`.
    """
    members = members_of(groups, len(variables))
    with tf.init_scope():
        harmonizer.build(len(losses), tuple(members))
    values = as_losses(values, len(losses))
    about = Group(
        gram=None,
        step=None if step is None else tf.cast(step, tf.int64),
        losses=values,
        scores=scores,
        objectives=tuple(range(len(losses))),
    )
    asked = [about._replace(name=name, position=position) for position, name in enumerate(members)]
    decisions = [harmonizer.decide(group) for group in asked]
    update, unasked = _passes(backward, losses, variables, list(members.values()), decisions)
    update = sum_over_replicas(update)
    lengths = squares(update)
    finite = all_finite(tf.reduce_sum(lengths)) & all_finite(tf.gather(values, tf.constant(sorted(unasked), tf.int32)))
    taken = tf.reduce_all(tf.stack([*(decision.keep for decision in decisions), finite, keep]))
    store(decisions, taken)
    for group, indices in zip(asked, members.values(), strict=True):
        finish(harmonizer, group, update, indices)
    if unasked:  # such an objective would have had a gradient, though it counts nothing
        update = [tf.zeros_like(v) if each is None else each for v, each in zip(variables, update, strict=True)]
    unknown = tf.fill([len(variables), len(losses), len(losses)], float("nan"))
    report = make_report([unknown[0]] * len(members), decisions, asked, grouped=groups is not None)
    report |= {"keep": taken, "finite": finite, "variable_gram": unknown}
    # The first variable whose gradient is not finite, and the first loss that is not.
    return update, report | {"bad_variable": first_nonfinite(lengths), "bad_objective": first_nonfinite(values)}


def _passes(backward, losses, variables, members, decisions):
    """The weighted sum's gradient of each variable, and which objectives were skipped in some pass."""
    update, unasked = [None] * len(variables), set()
    by_weights, passes = _by_weights(members, decisions, len(losses), len(variables)), []
    for weights, indices in by_weights:
        constant = tf.get_static_value(weights)
        asked = [place for place in range(len(losses)) if constant is None or constant[place] != 0.0]
        unasked |= set(range(len(losses))) - set(asked)
        sources = [variables[index] for index in indices]
        passes.append(BackwardPass([losses[place] for place in asked], sources, [weights[place] for place in asked]))
    for (_, indices), found in zip(by_weights, backward(passes), strict=True):
        for index, gradient in zip(indices, found, strict=True):
            update[index] = gradient
    for indices, decision in zip(members, decisions, strict=True):
        if decision.scales is not None:
            for index, scale in zip(indices, tf.unstack(decision.scales), strict=True):
                update[index] = None if update[index] is None else update[index] * tf.cast(scale, update[index].dtype)
    return update, unasked


def _by_weights(
    members: Sequence[Sequence[int]], decisions: Sequence[Decision], objectives: int, variables: int
) -> list[tuple[tf.Tensor, list[int]]]:
    """Pairs of weights and the variables that have them; groups whose weights are known to be equal share a pass."""
    passes = {}
    for weights, indices in [
        *zip((each.weights for each in decisions), members, strict=True),
        (tf.ones([objectives]), ungrouped(members, variables)),
    ]:
        constant = tf.get_static_value(weights)
        key = id(weights) if constant is None else tuple(constant.tolist())
        if indices:
            passes.setdefault(key, (weights, []))[1].extend(indices)
    return list(passes.values())
