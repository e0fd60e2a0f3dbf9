"""One call for custom training loops: losses in, updated weights and a report out."""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from harmonization.apply import apply_if
from harmonization.backward import Backward, BackwardPass, Gradients
from harmonization.decisions import all_added, all_finite, refuse_overflow
from harmonization.groups import Groups
from harmonization.harmonize_losses import harmonize_losses
from harmonization.harmonizer import Harmonizer
from harmonization.replicas import sum_over_replicas


@tf.autograph.experimental.do_not_convert
def minimize(
    tape: tf.GradientTape,
    losses: Sequence[tf.Tensor] | Mapping[str, tf.Tensor],
    variables: Sequence[tf.Variable],
    optimizer,
    harmonizer: Harmonizer,
    groups: Groups | None = None,
    step: tf.Tensor | int | None = None,
    *,
    penalty: tf.Tensor | None = None,
    measure: bool = True,
    scores: Mapping[str, tf.Tensor] | None = None,
    losses_after: Callable[[], Sequence[tf.Tensor] | Mapping[str, tf.Tensor]] | None = None,
) -> dict[str, tf.Tensor]:
    """Computes the gradient of every loss, harmonizes them and applies the update.

    Call it in the replica context (inside `strategy.run`, or without any strategy). On several
    replicas the gradients are summed over them before they are harmonized, so that the result does
    not depend on their number; hence every replica passes its share of the global batch's losses,
    as everywhere in `tf.distribute`.

    Optimizers that scale the loss (`LossScaleOptimizer`) are supported: losses are scaled, and a step
    whose gradients overflow reaches the optimizer, which skips it and lowers the scale.

    Example:
        with tf.GradientTape(persistent=True) as tape:
            losses = [first_loss(model(x)), second_loss(model(x))]
        report = harmonization.minimize(tape, losses, model.trainable_variables, optimizer, method)

    Args:
      tape: A persistent tape that has recorded the losses.
      losses: [] tensors, one per objective; of a mapping, the values in their order. Or [parts] tensors, the shares of equal
        parts of this replica's batch, an even number of parts, on all replicas together at least four: then the report has
        error bars, and `Significant` works. Every part takes a backward pass per objective.
      variables: The variables to train.
      optimizer: A Keras optimizer, of Keras 2 (tf_keras) or Keras 3.
      harmonizer: The method.
      groups: As in `harmonize`.
      step: As in `harmonize`.
      penalty: [] tensor, a loss that is not harmonized, such as weight regularization: its gradient is
        added to the update of a step that is kept.
      measure: Whether to take every loss's gradient also if the method does not need it (see
        `Harmonizer.needs_gram`), so that the report knows norms and cosines.
        Without, such a method takes one backward pass of the weighted sum and its step costs what a plain one costs;
        see `harmonize_losses`.
      scores: As in `harmonize`.
      losses_after: Computes the losses of the same batch again; needed, and called after the update,
        if the method asks for it (`FAMO`).

    Returns:
      The report of `harmonize_losses`, and under "losses" the losses, [objectives] float32, summed
      over the replicas.

    Raises:
      ValueError: If the tape is not persistent, there is no loss or nothing to train, the method
        needs `losses_after`, or as `harmonize`.
    """
    losses = _listed(losses)
    _check(tape, losses, variables)
    if harmonizer.losses_after and losses_after is None:
        raise ValueError(f"{type(harmonizer).__name__} needs the losses after the update, too. Pass `losses_after=`.")
    _build(optimizer, variables)
    with tape:
        scaled = [_scaled(optimizer, loss) for loss in [*losses, penalty] if loss is not None]
    values = _summed(losses)
    update, report = harmonize_losses(
        tape,
        scaled[: len(losses)],
        variables,
        harmonizer,
        groups,
        step,
        values=values,
        scores=scores,
        measure=measure,
        unscale=lambda gradients: _unscaled(gradients, optimizer),
    )
    if penalty is not None:
        own = Backward(tape).recorded(BackwardPass([scaled[-1]], variables))
        update, report = _with_penalty(update, report, sum_over_replicas(_unscaled(own, optimizer)))
    _apply(optimizer, update, variables, report)
    if harmonizer.losses_after:
        harmonizer.after_step(_summed(_listed(losses_after())))
    return report | {"losses": values}


def _with_penalty(
    update: Gradients, report: dict[str, tf.Tensor], gradients: Gradients
) -> tuple[Gradients, dict[str, tf.Tensor]]:
    """Adds the penalty's gradients to the update, and refuses the step if they or the sum are not finite."""
    present = [each for each in gradients if each is not None]
    finite = tf.reduce_all(tf.stack([report["finite"], *map(all_finite, present)]))
    update, representable = refuse_overflow(all_added(update, gradients))
    finite &= representable
    return update, report | {"finite": finite, "keep": report["keep"] & finite}


def _listed(losses) -> list[tf.Tensor]:
    return list(losses.values() if isinstance(losses, Mapping) else losses)


def _summed(losses: list[tf.Tensor]) -> tf.Tensor:
    return sum_over_replicas(tf.stack([tf.reduce_sum(tf.cast(loss, tf.float32)) for loss in losses]))


def _check(tape: tf.GradientTape, losses: list[tf.Tensor], variables: Sequence[tf.Variable]) -> None:
    if not len(variables):
        raise ValueError("`variables` should hold what to train. Found nothing, or all of it is frozen.")
    if not losses:
        raise ValueError("`losses` should hold at least one loss. Found none.")
    if not getattr(tape, "_persistent", True):
        raise ValueError(
            "`tape` should be persistent, since every loss has a gradient of its own. "
            "Make it with tf.GradientTape(persistent=True)."
        )


def _build(optimizer, variables) -> None:
    # Variables cannot be created in the branch that applies the update.
    with tf.init_scope():
        if hasattr(optimizer, "build") and not getattr(optimizer, "built", False):
            optimizer.build(variables)


def _scaled(optimizer, loss: tf.Tensor) -> tf.Tensor:
    scale = getattr(optimizer, "get_scaled_loss", None) or getattr(optimizer, "scale_loss", None)
    return scale(loss) if scale else loss


def _unscaled(gradients: list[tf.Tensor | None], optimizer) -> list[tf.Tensor | None]:
    if hasattr(optimizer, "get_unscaled_gradients"):
        return optimizer.get_unscaled_gradients(gradients)
    scale = _keras_3_scale(optimizer)
    return gradients if scale is None else _times(gradients, 1.0 / scale)


def _keras_3_scale(optimizer) -> tf.Tensor | None:
    """The factor on losses that a Keras 3 optimizer takes out of the gradients when it applies them."""
    scale = getattr(optimizer, "dynamic_scale", None)
    scale = getattr(optimizer, "loss_scale_factor", None) if scale is None else scale
    return None if scale is None else tf.cast(tf.convert_to_tensor(scale), tf.float32)


def _times(gradients: list[tf.Tensor | None], factor: tf.Tensor) -> list[tf.Tensor | None]:
    return [None if each is None else each * tf.cast(factor, each.dtype) for each in gradients]


def _apply(optimizer, update, variables, report) -> None:
    keep = report["keep"]
    if hasattr(optimizer, "dynamic_scale") or getattr(optimizer, "dynamic", False):
        # It has to see the overflow in order to lower its scale, and skips such a step itself; one with a fixed scale does not.
        update = _times(update, tf.where(report["finite"], 1.0, float("nan")))
        keep = keep | ~report["finite"]
    scale = _keras_3_scale(optimizer)
    update = update if scale is None else _times(update, scale)
    apply_if(keep, optimizer, update, variables)
