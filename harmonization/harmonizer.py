"""Base classes of the harmonization methods: rules from a small matrix to a few numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from harmonization.options import RemembersOptions

SMALLEST_SQUARE = 1.17549435e-38
"""Smallest normal float32. A gradient with a smaller square (norm < 1.1e-19) counts as zero."""


class Group(NamedTuple):
    """The input of a method's decision about one group of variables.

    Objectives whose gradient is `None` in every variable of the group take no part in it: the rows
    and entries below are those of the others.

    Attributes:
      gram: [objectives, objectives] float32, finite, symmetric: the inner products of the
        objectives' gradients. A row of zeros (a gradient that happens to be zero) must be handled.
        `None` where the method decides before the gradients are taken; see `Harmonizer.needs_gram`.
      step: [] int64 training step from 0, or `None` if the caller passed none.
      losses: [objectives] float32 values of the objectives, or `None` if the caller passed none.
      variable_gram: [variables, objectives, objectives] float32, finite: the inner products in each
        variable of the group; `gram` is their sum. `None` without such a matrix of every variable.
      scores: Names of groups to [] float32, how well each group's modality performs alone, or `None`.
      gram_estimates: [blocks, objectives, objectives] float32, finite: independent estimates of the inner products of the
        expected gradients, from the parts of the batch, or `None`.
      name: The group's name; "all" if there are no groups.
      position: The group's place among the groups.
      objectives: Which of the caller's objectives take part, ascending; `None` means all.
    """

    gram: tf.Tensor | None
    step: tf.Tensor | None = None
    losses: tf.Tensor | None = None
    variable_gram: tf.Tensor | None = None
    scores: Mapping[str, tf.Tensor] | None = None
    gram_estimates: tf.Tensor | None = None
    name: str = "all"
    position: int = 0
    objectives: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """How many objectives take part."""
        return self.gram.shape[0] if self.objectives is None else len(self.objectives)


class Decision(NamedTuple):
    """What to do with the gradients of one group of variables.

    The update of variable k is `keep * scales[k] * sum_i weights[i] * gradient_i`.

    Attributes:
      weights: [objectives] float32, finite.
      keep: [] bool; False skips the whole step.
      scales: [variables] float32, finite; `None` means ones.
      state: Pairs of a variable of the method and its next value, assigned if the step is taken.
    """

    weights: tf.Tensor
    keep: tf.Tensor | bool = True
    scales: tf.Tensor | None = None
    state: Sequence[tuple[tf.Variable, tf.Tensor]] = ()


class Harmonizer(RemembersOptions, tf.Module):
    """Base class of the methods. A subclass implements `decide`.

    It is a `tf.Module`, so that a checkpoint carries the variables of a method that has state.

    Attributes:
      losses_after: Whether the method wants `after_step` called with the losses of the same batch
        under the updated weights, which costs an additional forward pass.
      needs_parts: Whether the method decides by the gradients of parts of the batch.
      changes_update: Whether `finish` does more than return the update; a method that overrides it says so.
      example_groups: Names of groups for an example, of methods for which groups matter; `None` for the others.
    """

    losses_after = False
    needs_parts = False
    changes_update = False
    example_groups: tuple[str, ...] | None = None

    @classmethod
    def example_options(cls, objectives: int = 2) -> dict[str, Any]:
        """Options for an example with this many objectives: none, unless a method with required options overrides it."""
        del objectives
        return {}

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """Creates the state, if the method has any; does nothing when called again.

        `harmonize` calls it. Call it yourself, in the scope of the `tf.distribute` strategy, before
        a checkpoint is restored.

        Args:
          objectives: How many there are.
          groups: Names of the groups of variables; `("all",)` if there are none.

        Raises:
          ValueError: If the method cannot serve them, or its state was made for others.
        """

    def needs_gram(self, groups: Mapping[str, Sequence[int]] | None) -> bool:
        """Whether `decide` has to see the gradients; by default yes.

        A method that says no decides before they are taken, so that one backward pass of the weighted
        sum serves all objectives. `decide` then gets a group without Gram matrices in which every
        objective takes part, since only gradients tell which variables an objective reaches.

        Args:
          groups: As in `harmonize`.
        """
        del groups
        return True

    def decide(self, group: Group) -> Decision:
        """Weights of the objectives in a group, and whether to take the step at all."""
        raise NotImplementedError(f"{type(self).__name__} should implement `decide`.")

    def split_gate(self) -> tuple["Harmonizer | None", "Harmonizer"]:
        """Returns the part that gates whole steps, or `None`, and the method without it.

        For callers that apply the gate to something other than steps, such as single samples.
        """
        return None, self

    def finish(self, update: list[tf.Tensor | None], group: Group) -> list[tf.Tensor | None]:
        """Post-processes a group's update, a list over its variables; by default unchanged."""
        del group
        return update

    def after_step(self, losses: tf.Tensor) -> None:
        """Learns from the losses after the update, [objectives] float32; by default nothing."""


def check_method(harmonizer: Any) -> None:
    """Raises a ValueError unless this is a method, made with its options."""
    if not isinstance(harmonizer, Harmonizer):
        raise ValueError(f"`harmonizer` should be a Harmonizer, as `harmonization.get` returns. Found {harmonizer!r}.")


class GramHarmonizer(Harmonizer):
    """Base class of the methods that need the Gram matrix only. A subclass implements `weights`."""

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """Weights of the objectives.

        Args:
          gram: [objectives, objectives] float32, finite, symmetric.

        Returns:
          [objectives] float32, finite.
        """
        raise NotImplementedError(f"{type(self).__name__} should implement `weights`.")

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`."""
        return Decision(self.weights(group.gram))


def gradient_norms(gram: tf.Tensor) -> tf.Tensor:
    """Euclidean norms of the objectives' gradients; exactly zero below 1.1e-19.

    Args:
      gram: [..., objectives, objectives] float32.

    Returns:
      [..., objectives] float32.
    """
    squares = tf.linalg.diag_part(gram)
    return tf.sqrt(tf.where(squares < SMALLEST_SQUARE, tf.zeros_like(squares), squares))


def pairwise_cosines(gram: tf.Tensor) -> tf.Tensor:
    """Cosines between the objectives' gradients, in [-1, 1]; zero where a gradient is zero.

    The value at zero is our choice. Divides by one norm after the other, since their product
    overflows float32 long before the Gram matrix does.

    Args:
      gram: [..., objectives, objectives] float32, finite.

    Returns:
      [..., objectives, objectives] float32, with ones on the diagonal where the gradient is not
      zero.
    """
    norms = gradient_norms(gram)
    by_row = tf.math.divide_no_nan(gram, norms[..., :, None])
    return tf.clip_by_value(tf.math.divide_no_nan(by_row, norms[..., None, :]), -1.0, 1.0)


def defined_pairs(gram: tf.Tensor) -> tf.Tensor:
    """Which pairs of different objectives can be compared: those without a zero gradient.

    Args:
      gram: [..., objectives, objectives] float32, finite.

    Returns:
      [..., objectives, objectives] bool, False on the diagonal.
    """
    present = gradient_norms(gram) > 0.0
    different = ~tf.eye(present.shape[-1], dtype=tf.bool)
    return different & present[..., :, None] & present[..., None, :]


def smallest_over_pairs(values: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
    """The smallest of the selected values, or zero if none is selected.

    Args:
      values: [..., objectives, objectives] float32.
      pairs: [..., objectives, objectives] bool.

    Returns:
      [...] float32.
    """
    smallest = tf.reduce_min(tf.where(pairs, values, values.dtype.max), axis=[-2, -1])
    return tf.where(tf.reduce_any(pairs, axis=[-2, -1]), smallest, 0.0)
