"""Gradients of the parts of a batch, and what they say about its expected gradients."""

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from harmonization.backward import Backward, BackwardPass, Gradients
from harmonization.decisions import all_added
from harmonization.gram import cross_gram, widened
from harmonization.harmonizer import Harmonizer
from harmonization.replicas import replica_count, sum_over_replicas
from harmonization.significance import Parts
from harmonization.tape_cut import TapeCut


class LossParts:
    """Splits the gradients of losses by the examples whose outputs they come through.

    A loss of a batch need not be a sum over its examples, but its gradient is one over their outputs. So it also splits a
    contrastive loss, whatever pairs an example takes part in.

    Example:
        with tf.GradientTape(persistent=True) as tape:
            parts = harmonization.LossParts(tape, model(x))
            losses = [first_loss(parts.outputs), second_loss(parts.outputs)]
        report = harmonization.minimize(tape, parts.split(losses, 4), model.trainable_variables, optimizer, method)

    Args:
      tape: A persistent tape that is recording.
      outputs: A nested structure of floating-point tensors [batch, ...].

    Attributes:
      outputs: The same, for the losses to start from: what does not come through them has no gradient. 16-bit outputs come as
        float32, since the losses are split before an optimizer scales them, and their gradients might vanish in float16.
    """

    def __init__(self, tape: tf.GradientTape, outputs: Any):
        self._tape, self._cut = tape, TapeCut(tape, counted=False)
        self.outputs = tf.nest.map_structure(lambda output: self._cut(widened(output)), outputs)

    def split(
        self,
        losses: Sequence[tf.Tensor] | Mapping[str, tf.Tensor],
        parts: int,
        rows_of: Callable[[int, tf.Tensor], tf.Tensor] | None = None,
    ) -> list[tf.Tensor] | dict[str, tf.Tensor]:
        """Returns losses of shape [parts], as `minimize` takes them; the parts differ in their gradients only.

        Args:
          losses: [] each, computed from `outputs`.
          parts: How many.
          rows_of: Picks those of a part, by its number, of a tensor [batch]; `None` deals the rows out in turn.
        """
        rows_of = rows_of or (lambda part, values: values[part::parts])
        listed = list(losses.values()) if isinstance(losses, Mapping) else list(losses)
        cotangents = [self._tape.gradient(loss, self._cut.above) for loss in listed]
        with self._tape:
            found = [self._split(*each, parts, rows_of) for each in zip(listed, cotangents, strict=True)]
        return dict(zip(losses, found, strict=True)) if isinstance(losses, Mapping) else found

    def _split(self, loss, cotangents, parts, rows_of):
        pairs = [pair for pair in zip(self._cut.below, cotangents, strict=True) if pair[1] is not None]
        if not pairs:
            return tf.fill([parts], tf.stop_gradient(tf.cast(loss, tf.float32) / parts))
        by_example = tf.add_n([_dot(output, tf.stop_gradient(cotangent)) for output, cotangent in pairs])
        linear = tf.stack([tf.reduce_sum(rows_of(part, by_example)) for part in range(parts)])
        return tf.stop_gradient(tf.cast(loss, tf.float32) / parts - linear) + linear


def _dot(one, other):
    """Inner products of the rows of two tensors, [batch] float32."""
    products = tf.cast(one, tf.float32) * tf.cast(other, tf.float32)
    return tf.reduce_sum(products, axis=list(range(1, products.shape.rank)))


def check_parts(here: int | None, harmonizer: Harmonizer, replicas: int) -> None:
    """Checks that a method gets what it needs, and that so many parts on each of so many replicas allow a test.

    Raises:
      ValueError: They do not.
    """
    if here is None:
        if getattr(harmonizer, "needs_parts", False):
            raise ValueError(
                f"{type(harmonizer).__name__} judges a conflict by the gradients of parts of the batch. Pass losses of shape "
                "[parts] to `minimize`, or `gradient_parts=` to `compile`: 4 or more on one replica, 2 on each of several."
            )
    elif not isinstance(here, numbers.Integral) or here < 2 or here % 2 or here * replicas < 4:
        raise ValueError(
            "The parts of the batch should be an even number on each replica, at least four together. "
            f"Found {here!r} on each of {replicas}."
        )


def parts_here(losses: Sequence[tf.Tensor]) -> int | None:
    """Returns how many parts of this replica's batch the losses tell apart; `None` if they are [] each.

    Raises:
      ValueError: The losses have different shapes, or other ones.
    """
    shapes = [loss.shape.as_list() if loss.shape.rank else [] for loss in losses]
    if any(shape != shapes[0] or len(shape) > 1 or None in shape for shape in shapes):
        raise ValueError(
            f"`losses` should all be [], or all have one number for each part of the batch. Found {shapes}."
        )
    return shapes[0][0] if shapes[0] else None


def part_gradients(
    backward: Backward, losses: Sequence[tf.Tensor], variables: Sequence[tf.Variable]
) -> tuple[list[Gradients], tf.Tensor]:
    """Takes the gradient of every loss of every part of the batch.

    Only products of parts of one replica are needed, so that no part's gradient leaves its replica. Call it in the replica
    context.

    Args:
      backward: Takes the gradients.
      losses: [parts] each, the shares of this replica's parts.
      variables: The variables to train.

    Returns:
      The gradients of the global batch, a list over objectives of lists over variables, and [variables, blocks, objectives,
      objectives] float32, independent estimates of the inner products of the expected gradients; see `estimate_statistics`.
    """
    here = losses[0].shape[0]
    parts = Parts(here * replica_count(), here)
    passes = [[_one_part(loss, part, variables) for loss in losses] for part in range(parts.here)]
    if backward.cut is None:
        rows = [backward(each) for each in passes]
        gradients, products = _totals(rows), _block_products(rows, parts)
    else:
        gradients, products = _through_cut(backward, passes, parts)
    return [sum_over_replicas(each) for each in gradients], _estimates(products, parts)


def _one_part(loss, part, variables):
    return BackwardPass([loss], variables, [tf.one_hot(part, loss.shape[0], dtype=loss.dtype)])


def _through_cut(backward, passes, parts):
    cut = backward.cut
    at, variables = len(cut.above), passes[0][0].sources
    rows = [
        [backward.recorded(each._replace(sources=[*cut.above, *variables])) for each in objectives]
        for objectives in passes
    ]
    found = _totals(rows)
    below, products = cut.pull_back_parts([row[:at] for row in found], variables, parts)
    gradients = [all_added(row[at:], other) for row, other in zip(found, below, strict=True)]
    above = [[row[at:] for row in objectives] for objectives in rows]
    return gradients, products + _block_products(above, parts)


def _totals(rows: list[list[Gradients]]) -> list[Gradients]:
    """The sums over the parts, a list over objectives of lists over variables."""
    first, *others = rows
    for part in others:
        first = [all_added(*rows) for rows in zip(first, part, strict=True)]
    return first


def _block_products(rows: list[list[Gradients]], parts: Parts) -> tf.Tensor:
    """As `Cut.pull_back_parts` has them, from the gradients of all parts."""
    found = []
    for start in range(0, parts.here, parts.block):
        earlier, *others = rows[start : start + parts.block]
        products = []
        for own in others:
            products.append(cross_gram(earlier, own))
            earlier = _totals([earlier, own])
        found.append(tf.add_n(products))
    return tf.stack(found, axis=1)


def _estimates(products: tf.Tensor, parts: Parts) -> tf.Tensor:
    """Mean products of different parts in each block of all replicas, for the whole batch."""
    both_ways = products + tf.linalg.matrix_transpose(products)
    own = both_ways * (parts.count**2 / (parts.block * (parts.block - 1)))
    replica = tf.distribute.get_replica_context()
    place = tf.one_hot(replica.replica_id_in_sync_group, replica.num_replicas_in_sync)
    everyones = sum_over_replicas(place[None, :, None, None, None] * own[:, None])
    return tf.reshape(everyones, [products.shape[0], -1, *products.shape[2:]])
