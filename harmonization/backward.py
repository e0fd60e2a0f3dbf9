"""Backward passes through what a tape has recorded and, where the recording is cut, through what lies below the cut."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import tensorflow as tf

from harmonization.decisions import all_added
from harmonization.significance import Parts

Gradients = list[tf.Tensor | None]
"""One gradient per variable; `None` where the variable is not reached."""


class BackwardPass(NamedTuple):
    """A weighted sum to differentiate.

    Attributes:
      targets: What is summed.
      sources: What the sum is differentiated by.
      factors: The weight, or the gradient, of each target; `None` for ones.
    """

    targets: Sequence[tf.Tensor]
    sources: Sequence
    factors: Sequence[tf.Tensor] | None = None


class Cut(Protocol):
    """Where a recording is cut in two; see `TapeCut` and `RecomputedCut`.

    Attributes:
      above: The tensors at the cut, as the part above it starts from them.
      decides: Whether the weights are decided by the Gram matrix of what lies above the cut.
      counted: Whether the gradients at the cut enter that matrix, in addition to those of the variables above.
    """

    above: Sequence[tf.Tensor]
    decides: bool
    counted: bool

    def pull_back(self, cotangents: Sequence[Gradients], sources: Sequence[Sequence]) -> list[Gradients]:
        """Returns the gradients of what lies below the cut.

        Args:
          cotangents: A list over passes of the gradients at the cut, one per tensor of `above`.
          sources: A list over passes of the variables.
        """

    def pull_back_parts(
        self, cotangents: Sequence[Gradients], variables: Sequence, parts: Parts
    ) -> tuple[list[Gradients], tf.Tensor]:
        """Returns what `pull_back` returns, and products of the gradients of different parts of the batch.

        Needed only where losses have the shape [parts].

        Args:
          cotangents: A list over objectives, as in `pull_back`.
          variables: The variables.
          parts: How the batch is split.

        Returns:
          A list over objectives of lists over variables, and [variables, blocks, objectives, objectives] float32: the sums over
          the parts of a block of their products with the sum of the parts before them.
        """


class Backward:
    """Takes gradients of recorded tensors.

    Args:
      tape: A persistent tape.
      cut: Where its recording is cut, if anywhere.
      unscale: Applied to every list of gradients, such as the inverse of a loss scale.
    """

    def __init__(
        self, tape: tf.GradientTape, cut: Cut | None = None, unscale: Callable[[Gradients], Gradients] | None = None
    ):
        self._tape, self.cut, self._unscale = tape, cut, unscale

    def recorded(self, each: BackwardPass) -> Gradients:
        """Returns dense gradients of one sum, down to the cut."""
        factors = each.factors
        if factors is not None:
            factors = [tf.cast(factor, target.dtype) for factor, target in zip(factors, each.targets, strict=True)]
        found = self._tape.gradient(list(each.targets), list(each.sources), output_gradients=factors)
        return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]

    def __call__(self, passes: Sequence[BackwardPass]) -> list[Gradients]:
        """Returns dense gradients of each sum, through the cut."""
        found = [self.recorded(each) for each in passes] if self.cut is None else self._through(passes)
        return found if self._unscale is None else [self._unscale(gradients) for gradients in found]

    def _through(self, passes):
        at = len(self.cut.above)
        found = [self.recorded(each._replace(sources=[*self.cut.above, *each.sources])) for each in passes]
        below = self.cut.pull_back([row[:at] for row in found], [each.sources for each in passes])
        return [all_added(row[at:], other) for row, other in zip(found, below, strict=True)]
