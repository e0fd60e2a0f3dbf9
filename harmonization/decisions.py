"""From the decisions about groups of variables to an update and a report."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from harmonization.diagnostics import gram_statistics
from harmonization.gram import runs_on_cpus_alone, widened
from harmonization.harmonizer import Decision, Group, Harmonizer, gradient_norms
from harmonization.significance import estimate_statistics

_LARGE_NUMBERS = 2**20  # a sum of that many takes milliseconds: compiling it pays


def all_finite(tensor: tf.Tensor) -> tf.Tensor:
    """Whether all numbers of a tensor are finite, [] bool."""
    return tf.reduce_all(tf.math.is_finite(tensor))


def all_added(ones: Sequence[tf.Tensor | None], others: Sequence[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """The sums of two lists of gradients, variable by variable, in the first one's dtype; `None` counts as zero."""
    return [_added(*pair) for pair in zip(ones, others, strict=True)]


def _added(one: tf.Tensor | None, other: tf.Tensor | None) -> tf.Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + tf.cast(other, one.dtype)


def as_losses(losses: Sequence[tf.Tensor] | tf.Tensor | None, objectives: int) -> tf.Tensor | None:
    """The losses as one tensor, [objectives] float32; raises a ValueError if there is not one per objective."""
    if losses is None:
        return None
    if isinstance(losses, (list, tuple)):
        losses = tf.stack([tf.cast(loss, tf.float32) for loss in losses])
    losses = tf.cast(losses, tf.float32)
    if losses.shape != [objectives]:
        raise ValueError(f"`losses` should hold one number per objective, [{objectives}]. Found {losses.shape}.")
    return losses


def store(decisions: Sequence[Decision], keep: tf.Tensor) -> None:
    """Assigns the methods' next state if the step is taken."""
    for variable, value in (pair for decision in decisions for pair in decision.state):
        variable.assign(tf.where(keep, value, variable))


def combine(
    gradients: Sequence[Sequence[tf.Tensor | None]],
    members: Sequence[Sequence[int]],
    decisions: Sequence[Decision],
    keep: tf.Tensor,
) -> list[tf.Tensor | None]:
    """Weighs the gradients as decided and adds them up; variables in no group get the plain sum.

    Args:
      gradients: A list over objectives of lists over variables.
      members: The indices of each group's variables.
      decisions: One per group.
      keep: [] bool; False makes the update zero.
    """
    variables = len(gradients[0])
    plain = tf.unstack(tf.where(keep, tf.ones([len(gradients)]), 0.0))
    weights = [plain] * variables
    for indices, decision in zip(members, decisions, strict=True):
        for index, own in zip(indices, _weights_by_variable(decision, len(indices), keep), strict=True):
            weights[index] = own
    with tf.name_scope("weighted_sum"):  # the name by which a profile tells it apart
        return [weighted_sum(column, own) for column, own in zip(zip(*gradients, strict=True), weights, strict=True)]


def weighted_sum(column: Sequence[tf.Tensor | None], weights: Sequence[tf.Tensor]) -> tf.Tensor | None:
    """Sums the objectives' gradients of one variable.

    Every operation of a graph on a CPU writes its result to memory: two for each objective. So XLA makes one operation of
    the sum there if the variable is large. It changes nothing in a step that XLA compiles as a whole. Where there are other
    devices, the sum is left to whatever compiles the step.

    Args:
      column: A list over objectives; `None` counts as zero.
      weights: [] float32, one per objective. A gradient whose weight is zero counts as zero, even where it is not finite.

    Returns:
      A dense tensor in the gradients' dtype, or `None` if no objective has a gradient.
    """
    present = [(one, weight) for one, weight in zip(column, weights, strict=True) if one is not None]
    if not present:
        return None
    size = present[0][0].shape.num_elements()
    one_pass = size is not None and size >= _LARGE_NUMBERS and _compiles_on_cpu()
    gradients, scales = zip(*present, strict=True)
    if not one_pass:
        return _one_by_one(gradients, scales)
    return _in_one_pass(tuple((one.dtype, *one.shape) for one in gradients))(gradients, scales)


def _one_by_one(gradients: Sequence[tf.Tensor], weights: Sequence[tf.Tensor]) -> tf.Tensor:
    total = _scaled(gradients[0], weights[0])
    for gradient, weight in zip(gradients[1:], weights[1:], strict=True):
        # One after the other: each term has a temporary as large as the variable.
        with tf.control_dependencies([total]):
            total += _scaled(gradient, weight)
    return tf.cast(total, gradients[0].dtype)


@functools.cache
def _in_one_pass(_: tuple) -> Callable[..., tf.Tensor]:
    """The compiled sum: one function for all variables of one dtype and shape, so that XLA compiles it once."""
    return tf.function(_one_by_one, autograph=False, jit_compile=True)


def _scaled(gradient: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    # NaN times a weight of zero has to be zero. `tf.where` on the sum would cost another pass.
    gradient = widened(gradient)
    return tf.math.multiply_no_nan(gradient, tf.cast(weight, gradient.dtype))


def _compiles_on_cpu() -> bool:
    """Whether CPUs are all there is, and this TensorFlow has XLA for them."""
    return runs_on_cpus_alone() and _has_xla()


@functools.cache
def _has_xla() -> bool:
    try:
        with tf.init_scope():
            tf.function(tf.negative, autograph=False, jit_compile=True)(tf.zeros([]))
    except (tf.errors.OpError, ValueError):
        return False
    return True


def _weights_by_variable(decision: Decision, variables: int, keep) -> list[list[tf.Tensor]]:
    gated = tf.where(keep, decision.weights, 0.0)
    if decision.scales is None:
        return [tf.unstack(gated)] * variables
    return [tf.unstack(scale * gated) for scale in tf.unstack(decision.scales)]


def finish(harmonizer: Harmonizer, group: Group, update: list[tf.Tensor | None], indices: Sequence[int]) -> None:
    """Lets the method post-process its group's part of the update, in place."""
    finished = harmonizer.finish([update[index] for index in indices], group)
    for index, tensor in zip(indices, finished, strict=True):
        update[index] = tensor


def too_long(grams: Sequence[tf.Tensor], decisions: Sequence[Decision]) -> tf.Tensor:
    """Whether weighted gradients are longer than float32 can say, [] bool; their sum may be infinite."""
    lengths = []
    for gram, decision in zip(grams, decisions, strict=True):
        length = tf.reduce_sum(tf.abs(decision.weights) * gradient_norms(gram))
        lengths.append(length if decision.scales is None else length * tf.reduce_max(tf.abs(decision.scales)))
    return ~all_finite(tf.stack(lengths))


def refuse_overflow(update: list[tf.Tensor | None]) -> tuple[list[tf.Tensor | None], tf.Tensor]:
    """Replaces an update by zeros if float16, the one type of a smaller range than the arithmetic's, cannot hold it.

    Returns:
      The update, a list over variables, and whether it was finite, [] bool.
    """
    narrow = [each for each in update if each is not None and each.dtype == tf.float16]
    if not narrow:
        return update, tf.constant(True)
    finite = tf.reduce_all(tf.stack([all_finite(each) for each in narrow]))
    # A product and not `tf.where`, which would need zeros as large as the variable.
    kept = [None if each is None else tf.math.multiply_no_nan(each, tf.cast(finite, each.dtype)) for each in update]
    return kept, finite


def make_report(
    grams: Sequence[tf.Tensor], decisions: Sequence[Decision], asked: Sequence[Group], grouped: bool
) -> dict[str, tf.Tensor]:
    """The part of the report that has a leading `[groups]` axis, if there are groups; see `harmonize`."""
    weights = tf.stack([decision.weights for decision in decisions])
    stacked = tf.stack(grams)
    report = {"gram": stacked, **gram_statistics(stacked), "weights": weights}
    if asked[0].gram_estimates is not None:
        found = [estimate_statistics(group.gram_estimates, group.gram) for group in asked]
        report |= {key: tf.stack([each[key] for each in found]) for key in ("cosine_error", "conflict_p")}
    return report if grouped else {key: value[0] for key, value in report.items()}
