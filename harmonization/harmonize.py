"""Several objectives' gradients in, one update out."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from harmonization.decisions import (
    all_finite,
    as_losses,
    combine,
    finish,
    make_report,
    refuse_overflow,
    store,
    too_long,
)
from harmonization.gram import Gradient, to_dense, variable_gram
from harmonization.groups import Groups, decide, members_of, split
from harmonization.harmonizer import Group, Harmonizer, check_method
from harmonization.significance import checked_estimates


@tf.autograph.experimental.do_not_convert
def harmonize(
    gradients: Sequence[Sequence[Gradient]],
    harmonizer: Harmonizer,
    groups: Groups | None = None,
    step: tf.Tensor | int | None = None,
    *,
    losses: Sequence[tf.Tensor] | tf.Tensor | None = None,
    scores: Mapping[str, tf.Tensor] | None = None,
    keep: tf.Tensor | bool = True,
    part_gram: tf.Tensor | None = None,
) -> tuple[list[tf.Tensor | None], dict[str, tf.Tensor]]:
    """Combines the gradients of several objectives into one update.

    Per group of variables: `keep * sum_i weights_i * gradient_i`, where the weights and `keep`
    follow from the inner products of the gradients. The update of a step that is not kept is zero
    and must not be applied, since momentum and weight decay would still move weights; see `apply_if`.
    Such a step does not change the method's state either.

    Pass the gradients of the global batch (all-reduce them first) if the result must not depend on
    the number of replicas. The inner products are float32 sums, so the norms of gradients have to
    lie in 1e-19 ... 1.8e19: above, the step is refused as not finite; below, a gradient counts as
    zero.

    Args:
      gradients: A list over objectives of lists over variables. Entries are floating-point tensors,
        `tf.IndexedSlices`, or `None` where an objective does not reach a variable, which counts as
        zero. An objective that reaches no variable of a group takes no part in its decision.
      harmonizer: The method.
      groups: `None` makes one group of all variables. Otherwise each group has a separate Gram matrix
        and separate weights, and variables in no group get the plain sum; `{"encoder": [...]}` is the
        paper's open question "all variables or the shared encoder only". A step is kept only if
        every group keeps it, since half a step is none of the methods.
      step: [] int64 training step from 0, needed by methods with a schedule or random draws.
      losses: [objectives] values of the objectives, needed by methods that weigh by them.
      scores: Names of groups to [] float32, how well each group's modality performs alone, for `OGMGE`.
      keep: [] bool; False skips the step whatever the method decides, for instance because the batch has
        nothing to learn from.
      part_gram: [variables, parts * objectives, parts * objectives] float32, inner products of the gradients of equal
        parts of the batch, from the function of this name; for error bars, and needed by `Significant`. Or [variables,
        blocks, objectives, objectives] float32, as in `part_gradients`.

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
        weights*: [objectives] float32, always finite; zero for an objective that takes no part.
        keep: [] bool, whether the step is taken.
        finite: [] bool, whether the gradients and the update are; if False, `keep` is False, and `find_nonfinite`
          names the variable unless only the update is not.
        variable_gram: [variables, objectives, objectives] float32, for statistics per layer.
      With `part_gram` it also holds
        cosine_error*: [] float32, an upper estimate of the standard error of `cosine`; see `part_statistics`.
        conflict_p*: [] float32, the p-value of the conflict; see `part_statistics`.

    Raises:
      ValueError: If the gradients or groups are not as described, or the method needs something
        that is missing.
    """
    check_method(harmonizer)
    gradients = to_dense(gradients)
    members = members_of(groups, variables=len(gradients[0]))
    with tf.init_scope():
        harmonizer.build(len(gradients), tuple(members))
    with tf.name_scope("gram"):  # the names by which a profile tells the parts apart
        per_variable = variable_gram(gradients)
    grams = [tf.reduce_sum(tf.gather(per_variable, one), axis=0) for one in members.values()]
    finite = all_finite(per_variable) & all_finite(tf.stack(grams))
    about = Group(
        # Methods see finite matrices, whatever comes: zero gradients, which all of them handle.
        gram=tf.where(finite, tf.stack(grams), 0.0),
        variable_gram=tf.where(finite, per_variable, 0.0),
        step=None if step is None else tf.cast(step, tf.int64),
        losses=as_losses(losses, len(gradients)),
        scores=scores,
        gram_estimates=checked_estimates(part_gram, per_variable, finite),
    )
    asked = split(about, members, gradients)
    decisions = [decide(harmonizer, group) for group in asked]
    finite &= ~too_long(tf.unstack(about.gram), decisions)
    taken = tf.reduce_all(tf.stack([*(decision.keep for decision in decisions), finite, keep]))
    update = combine(gradients, list(members.values()), decisions, taken)
    for group, indices in zip(asked, members.values(), strict=True):
        finish(harmonizer, group, update, indices)
    update, representable = refuse_overflow(update)
    finite, taken = finite & representable, taken & representable
    store(decisions, taken)
    report = make_report(grams, decisions, asked, grouped=groups is not None)
    return update, report | {"keep": taken, "finite": finite, "variable_gram": per_variable}
