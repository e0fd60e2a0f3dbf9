"""Several objectives' gradients in, one update out."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from harmonization.gram import Gradient, to_dense, variable_gram, widened
from harmonization.harmonizer import (
    Harmonizer,
    defined_pairs,
    gradient_norms,
    pairwise_cosines,
    smallest_over_pairs,
)

Groups = Mapping[str, Sequence[int]]
"""Names of groups of variables, with the indices of the variables in each."""


def harmonize(
    gradients: Sequence[Sequence[Gradient]],
    harmonizer: Harmonizer,
    groups: Groups | None = None,
    step: tf.Tensor | int | None = None,
) -> tuple[list[tf.Tensor | None], dict[str, tf.Tensor]]:
    """Combines the gradients of several objectives into one update.

    Per group of variables: `keep * sum_i weights_i * gradient_i`, where the weights and `keep`
    follow from the inner products of the gradients. The update of a step that is not kept is zero
    and not to be applied, since momentum and weight decay move weights even so; see `apply_if`.

    Pass the gradients of the global batch (all-reduce them first) if the result shall not depend on
    the number of replicas. The inner products are float32 sums, so that the norms of gradients have
    to lie in 1e-19 ... 1.8e19: above, the step is refused as not finite; below, a gradient counts
    as zero.

    Args:
      gradients: A list over objectives of lists over variables. Entries are floating-point tensors,
        `tf.IndexedSlices`, or `None` where an objective does not reach a variable, which counts as
        zero.
      harmonizer: The method.
      groups: `None` makes one group of all variables. Otherwise each group has a Gram matrix and
        weights of its own, and variables in no group get the plain sum; `{"encoder": [...]}` is the
        paper's open question "all variables or the shared encoder only". A step is kept only if
        every group keeps it, since half a step is none of the methods.
      step: [] int64 training step from 0, needed by methods with a schedule.

    Returns:
      The update and the report. The update is a list over variables of dense tensors in the
      gradients' dtype, or `None` where no objective has a gradient. The report holds tensors, those
      marked * with a leading `[groups]` axis in the order of `groups` unless that is `None`:
        gram*: [objectives, objectives] float32, inner products of the gradients.
        norms*: [objectives] float32.
        cosines*: [objectives, objectives] float32; zero where a gradient is zero.
        cosine*: [] float32, the smallest cosine of two objectives (of two objectives: the cosine);
          zero if none is defined.
        defined*: [] bool, whether there are two objectives whose gradients are not zero. Average
          `cosine` over these steps.
        conflict*: [] bool, whether two gradients point apart (`cosine < 0`).
        weights*: [objectives] float32, always finite.
        keep: [] bool, whether the step is taken.
        finite: [] bool; if False, `keep` is False, and `find_nonfinite` names the variable.
        variable_gram: [variables, objectives, objectives] float32, for statistics per layer.

    Raises:
      ValueError: If the gradients or groups are not as described, or the method needs something
        that is missing.
    """
    if not isinstance(harmonizer, Harmonizer):
        raise ValueError(
            "`harmonizer` should be a Harmonizer, as `harmonization.get` returns. "
            f"Found {harmonizer!r}."
        )
    gradients = to_dense(gradients)
    members = _members(groups, variables=len(gradients[0]))
    step = None if step is None else tf.cast(step, tf.int64)
    per_variable = variable_gram(gradients)
    grams = [tf.reduce_sum(tf.gather(per_variable, indices), axis=0) for indices in members]
    finite = _all_finite(per_variable) & _all_finite(tf.stack(grams))
    # Methods see a finite matrix, whatever comes: that of zero gradients, which all of them handle.
    judged = [tf.where(finite, gram, 0.0) for gram in grams]
    decisions = [harmonizer.decide(gram, step) for gram in judged]
    keep = tf.reduce_all(tf.stack([decision.keep for decision in decisions])) & finite
    report = _report(grams, judged, [decision.weights for decision in decisions])
    update = _update(gradients, members, report["weights"], keep)
    if groups is None:
        report = {key: value[0] for key, value in report.items()}
    return update, report | {"keep": keep, "finite": finite, "variable_gram": per_variable}


def _all_finite(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(tensor))


def _members(groups: Groups | None, variables: int) -> list[list[int]]:
    if groups is None:
        return [list(range(variables))]
    if not isinstance(groups, Mapping) or not groups:
        raise ValueError(
            "`groups` should be None or a dict from names to lists of variable indices. "
            f"Found {groups!r}."
        )
    owner = {}
    for name, indices in groups.items():
        if not len(indices):
            raise ValueError(f"Group {name!r} should have at least one variable. Found none.")
        for index in indices:
            _claim(owner, name, index, variables)
    return [list(indices) for indices in groups.values()]


def _claim(owner: dict[int, str], name: str, index: int, variables: int) -> None:
    if not 0 <= index < variables:
        raise ValueError(
            f"Group {name!r} should hold indices from 0 to {variables - 1}. Found {index}."
        )
    if index in owner:
        raise ValueError(
            "A variable should be in one group, once. "
            f"Found {index} in {owner[index]!r} and {name!r}."
        )
    owner[index] = name


def _report(grams, judged, weights) -> dict[str, tf.Tensor]:
    judged, pairs = tf.stack(judged), [defined_pairs(gram) for gram in judged]
    cosines = pairwise_cosines(judged)
    cosine = tf.stack(
        [smallest_over_pairs(*pair) for pair in zip(tf.unstack(cosines), pairs, strict=True)]
    )
    return {
        "gram": tf.stack(grams),
        "norms": gradient_norms(tf.stack(grams)),
        "cosines": cosines,
        "cosine": cosine,
        "defined": tf.reduce_any(tf.stack(pairs), axis=[1, 2]),
        "conflict": cosine < 0.0,
        "weights": tf.stack(weights),
    }


def _update(gradients, members, weights, keep) -> list[tf.Tensor | None]:
    plain = tf.ones([1, len(gradients)])
    gated = tf.where(keep, tf.concat([weights, plain], axis=0), 0.0)
    rows = [tf.unstack(row) for row in tf.unstack(gated)]
    row_of = {index: rows[group] for group, indices in enumerate(members) for index in indices}
    columns = enumerate(zip(*gradients, strict=True))
    return [_weighted_sum(column, row_of.get(index, rows[-1])) for index, column in columns]


def _weighted_sum(column, weights) -> tf.Tensor | None:
    terms = [
        _scaled(gradient, weight)
        for gradient, weight in zip(column, weights, strict=True)
        if gradient is not None
    ]
    if not terms:
        return None
    dtype = next(gradient.dtype for gradient in column if gradient is not None)
    return tf.cast(sum(terms[1:], start=terms[0]), dtype)


def _scaled(gradient: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    # NaN times a weight of zero has to be zero. `tf.where` on the sum would cost another pass.
    gradient = widened(gradient)
    return tf.math.multiply_no_nan(gradient, tf.cast(weight, gradient.dtype))
