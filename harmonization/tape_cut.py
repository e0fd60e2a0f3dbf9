"""A recording cut in two: the Gram matrix from the part above the cut, then one backward pass through the part below."""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from harmonization.backward import Backward, BackwardPass, Cut, Gradients
from harmonization.decisions import all_added, all_finite, as_losses, combine, finish, make_report, store
from harmonization.gram import find_nonfinite, first_nonfinite, squares, variable_gram
from harmonization.groups import Groups, decide, members_of, ungrouped
from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.replicas import sum_over_replicas


class TapeCut:
    """Cuts a tape's recording at some tensors.

    What is computed from the returned tensors lies above the cut, all else below. A gradient taken from above
    ends at the cut, so that the part below is differentiated once, with the gradients at the cut combined. The
    sum of both is the gradient.

    Args:
      tape: A persistent tape that is recording.
      counted: Whether the gradients at the cut enter the Gram matrix, in addition to those of the variables above.
    """

    decides = True

    def __init__(self, tape: tf.GradientTape, counted: bool):
        self._tape, self.counted = tape, counted
        self.below: list[tf.Tensor] = []
        self.above: list[tf.Tensor] = []

    def __call__(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the tensor's copy above the cut."""
        with self._tape.stop_recording():
            copy = tf.identity(tensor)
        self._tape.watch(copy)
        self.below.append(tensor)
        self.above.append(copy)
        return copy

    def pull_back(self, cotangents: Sequence[Gradients], sources: Sequence[Sequence]) -> list[Gradients]:
        """See `Cut.pull_back`."""
        backward = Backward(self._tape)
        found = []
        for own, variables in zip(cotangents, sources, strict=True):
            pairs = [pair for pair in zip(self.below, own, strict=True) if pair[1] is not None]
            targets, factors = ([pair[place] for pair in pairs] for place in range(2))
            found.append(
                backward.recorded(BackwardPass(targets, variables, factors)) if pairs else [None] * len(variables)
            )
        return found


class RecomputedCut:
    """A cut below which no tape has recorded anything: that part is computed again when the gradients at the cut are known.

    So it can be computed in portions, one after the other, of which each is forgotten before the next ("gradient caching",
    arXiv 2101.06983).

    Args:
      above: The tensors at the cut, computed before and watched by the tape.
      pull_back: See `Cut.pull_back`; it computes what lies below again, once for all passes.
      decides: Whether the Gram matrix of what lies above decides; if not, that of all variables' gradients does.
      pull_back_parts: See `Cut.pull_back_parts`.
    """

    counted = True

    def __init__(
        self,
        above: Sequence[tf.Tensor],
        pull_back: Callable[[Sequence[Gradients], Sequence[Sequence]], list[Gradients]],
        decides: bool = False,
        pull_back_parts: Callable[..., tuple[list[Gradients], tf.Tensor]] | None = None,
    ):
        self.above, self.pull_back, self.decides = list(above), pull_back, decides
        self.pull_back_parts = pull_back_parts


def harmonize_at_cut(
    backward: Backward,
    losses: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    harmonizer: Harmonizer,
    groups: Groups | None,
    step: tf.Tensor | int | None,
    *,
    cut: Cut,
    values: Sequence[tf.Tensor] | tf.Tensor,
    scores: Mapping[str, tf.Tensor] | None,
    keep: tf.Tensor | bool,
) -> tuple[list[tf.Tensor | None], dict[str, tf.Tensor]]:
    """Does what `harmonize` does, but decides by the Gram matrix of what lies above a cut.

    The update is exact for the weights that it reports. See `harmonize_losses`.

    Raises:
      ValueError: A group has nothing that enters its Gram matrix, or as `harmonize`.
    """
    members = members_of(groups, len(variables))
    with tf.init_scope():
        harmonizer.build(len(losses), tuple(members))
    found = [backward.recorded(BackwardPass([loss], [*cut.above, *variables])) for loss in losses]
    at_cut = [row[: len(cut.above)] for row in found]
    above = [sum_over_replicas(row[len(cut.above) :]) for row in found]
    per_variable = variable_gram(above)
    # Every replica has clips of its own at the cut, so that their inner products add up.
    shared = sum_over_replicas(tf.reduce_sum(variable_gram(at_cut), axis=0)) if cut.counted else None
    asked = _groups(members, above, at_cut, per_variable, shared)
    grams = [group.gram for group in asked]
    finite = all_finite(per_variable) & all_finite(tf.stack(grams))
    about = dict(
        step=None if step is None else tf.cast(step, tf.int64), losses=as_losses(values, len(losses)), scores=scores
    )
    asked = [group._replace(gram=tf.where(finite, group.gram, 0.0), **about) for group in asked]
    decisions = [decide(harmonizer, group) for group in asked]
    taken = tf.reduce_all(tf.stack([*(decision.keep for decision in decisions), finite, keep]))
    update = combine(above, list(members.values()), decisions, taken)
    lower = _below(cut, at_cut, variables, list(members.values()), decisions, taken)
    update = all_added(update, sum_over_replicas(lower))
    lengths = squares(update)
    finite &= all_finite(tf.reduce_sum(lengths))
    taken &= finite
    store(decisions, taken)
    for group, indices in zip(asked, members.values(), strict=True):
        finish(harmonizer, group, update, indices)
    report = make_report(grams, decisions, asked, grouped=groups is not None)
    report |= {"keep": taken, "finite": finite, "variable_gram": _known(per_variable, above)}
    return update, report | _bad(per_variable, lengths)


def _groups(members, above, at_cut, per_variable, shared) -> list[Group]:
    """The groups with their Gram matrices; the gradients at the cut belong to each that has variables below it."""
    found = []
    for position, (name, indices) in enumerate(members.items()):
        reached = [[row[index] is not None for index in indices] for row in above]
        counts = shared is not None and not all(any(column) for column in zip(*reached, strict=True))
        gram = tf.reduce_sum(tf.gather(per_variable, indices), axis=0)
        present = [
            any(own) or (counts and any(each is not None for each in cotangents))
            for own, cotangents in zip(reached, at_cut, strict=True)
        ]
        if not any(present):
            raise ValueError(
                f"Group {name!r} should have variables above the cut, by whose gradients its weights are decided. Found none."
            )
        objectives = tuple(objective for objective, there in enumerate(present) if there)
        found.append(Group(gram + shared if counts else gram, name=name, position=position, objectives=objectives))
    return found


def _below(cut, at_cut, variables, members, decisions, keep) -> Gradients:
    """The update of what lies below the cut: one backward pass for each group, and one for variables in none."""
    update: Gradients = [None] * len(variables)
    rest, plain = ungrouped(members, len(variables)), Decision(tf.ones([len(at_cut)]))
    asked = [pair for pair in [*zip(decisions, members, strict=True), (plain, rest)] if pair[1]]
    # As many variables as there are cuts, and the same weights for each.
    cotangents = [
        combine(at_cut, [range(len(cut.above))], [decision._replace(scales=None)], keep) for decision, _ in asked
    ]
    found = cut.pull_back(cotangents, [[variables[index] for index in indices] for _, indices in asked])
    for (_, indices), gradients in zip(asked, found, strict=True):
        for index, gradient in zip(indices, gradients, strict=True):
            update[index] = gradient
    return update


def _known(per_variable, above) -> tf.Tensor:
    """The Gram matrices of the variables above the cut, NaN below it."""
    reached = [any(each is not None for each in column) for column in zip(*above, strict=True)]
    return tf.where(tf.constant(reached)[:, None, None], per_variable, float("nan"))


def _bad(per_variable, lengths) -> dict[str, tf.Tensor]:
    """The first gradient that is not finite; below the cut, where both objectives are one, the objective is -1."""
    variable, objective = find_nonfinite(per_variable)
    return {"bad_variable": tf.where(variable >= 0, variable, first_nonfinite(lengths)), "bad_objective": objective}
