"""From recorded losses to one update, with as few backward passes as the method allows."""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from harmonization.backward import Backward, BackwardPass, Cut, Gradients
from harmonization.gram import find_nonfinite
from harmonization.groups import Groups
from harmonization.harmonize import harmonize
from harmonization.harmonizer import Harmonizer
from harmonization.one_pass import harmonize_in_one_pass
from harmonization.part_gradients import check_parts, part_gradients, parts_here
from harmonization.replicas import replica_count, sum_over_replicas
from harmonization.tape_cut import harmonize_at_cut


@tf.autograph.experimental.do_not_convert
def harmonize_losses(
    tape: tf.GradientTape,
    losses: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    harmonizer: Harmonizer,
    groups: Groups | None = None,
    step: tf.Tensor | int | None = None,
    *,
    values: Sequence[tf.Tensor] | tf.Tensor,
    scores: Mapping[str, tf.Tensor] | None = None,
    keep: tf.Tensor | bool = True,
    measure: bool = True,
    cut: Cut | None = None,
    all_reduce: str = "after",
    unscale: Callable[[Gradients], Gradients] | None = None,
) -> tuple[Gradients, dict[str, tf.Tensor]]:
    """Takes the gradients of recorded losses and harmonizes them.

    There are three ways. All give the update that `harmonize` gives for the same weights, but for
    rounding:

    - A gradient of every loss, then `harmonize`.
    - One gradient of the weighted sum, if the method decides without gradients (see
      `Harmonizer.needs_gram`) and nothing is to be measured. An objective that weighs zero
      throughout is not differentiated; all that is asked of it is a finite loss.
    - A gradient of every loss down to a `cut` that decides only, a decision by these, and one
      gradient of the weighted sum from there on.

    Call it in the replica context. The last two ways sum over the replicas before they decide. With losses of shape [parts]
    the first way takes a gradient of every loss of every part, and the report has error bars.

    Args:
      tape: A persistent tape that has recorded the losses.
      losses: [] tensors, this replica's share of every objective; or [parts] tensors, of equal parts of its share of the
        batch: an even number of them, on all replicas together at least four.
      variables: The variables to train.
      harmonizer: The method.
      groups: As in `harmonize`.
      step: As in `harmonize`.
      values: [objectives], the losses summed over the replicas.
      scores: As in `harmonize`.
      keep: As in `harmonize`.
      measure: Take every loss's gradient also if the method does not need it, for the report's sake; without, parts are added
        up.
      cut: Where the recording was cut while it was made.
      all_reduce: "after" harmonizes the gradients of the global batch, "before" those of this replica.
      unscale: Applied to every list of gradients, such as the inverse of a loss scale; not with parts at a cut, nor
        with a cut that decides.

    Returns:
      The update and the report of `harmonize`. Where a gradient was not taken, `gram`, `norms` and
      `variable_gram` are NaN and no cosine is defined. With a cut they are those of what lies above it.
      The update of a step that is not kept must not be applied; see `apply_if`. The report also holds
        measured: [] bool, whether `gram` is known.
        bad_variable, bad_objective: [] int32, the first gradient that is not finite, as
          `find_nonfinite` has it; -1 if there is none, or where it is not known of which objective.

    Raises:
      ValueError: If the method needs parts and there are none, there are but they cannot be used, or as `harmonize`.
    """
    cut = cut if cut is not None and cut.above else None
    backward = Backward(tape, cut, unscale)
    options = dict(values=values, scores=scores, keep=keep)
    needs_gram = not isinstance(harmonizer, Harmonizer) or harmonizer.needs_gram(groups)
    parts = parts_here(losses)
    check_parts(parts, harmonizer, replica_count())
    if not needs_gram and not measure:
        if parts:
            with tape:
                losses = [tf.reduce_sum(loss) for loss in losses]
        update, report = harmonize_in_one_pass(backward, losses, variables, harmonizer, groups, step, **options)
        return update, report | {"measured": tf.constant(False)}
    _check_combination(parts, cut, all_reduce, unscale)
    if cut is not None and cut.decides:
        update, report = harmonize_at_cut(backward, losses, variables, harmonizer, groups, step, cut=cut, **options)
        return update, report | {"measured": tf.constant(True)}
    if parts:
        gradients, estimates = part_gradients(backward, losses, variables)
    else:
        gradients, estimates = backward([BackwardPass([loss], variables) for loss in losses]), None
        if all_reduce == "after":
            gradients = [sum_over_replicas(each) for each in gradients]
    options |= dict(losses=options.pop("values"), part_gram=estimates)
    update, report = harmonize(gradients, harmonizer, groups, step, **options)
    bad_variable, bad_objective = find_nonfinite(report["variable_gram"])
    return update, report | {
        "measured": tf.constant(True), "bad_variable": bad_variable, "bad_objective": bad_objective
    }  # fmt: skip


def _check_combination(parts: int | None, cut: Cut | None, all_reduce: str, unscale: Callable | None) -> None:
    cut_decides = cut is not None and cut.decides
    if unscale is not None and cut is not None and (parts or cut_decides):
        raise ValueError("`cut` should be used without `unscale` if it decides or losses have parts. Found both.")
    if parts and (all_reduce == "before" or cut_decides):
        raise ValueError(
            "`losses` of shape [parts] should be used with `all_reduce='after'`, and without a cut that decides. "
            f"Found {all_reduce!r}{' and such a cut' if cut_decides else ''}."
        )
