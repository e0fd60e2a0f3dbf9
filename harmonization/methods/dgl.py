"""DGL: the multimodal loss trains the fusion, the unimodal losses train the encoders."""

import math
from collections.abc import Sequence

import tensorflow as tf

from harmonization.groups import Groups
from harmonization.harmonizer import Decision, Group, Harmonizer


class DGL(Harmonizer):
    """Lets the multimodal loss train the fusion only, and the unimodal losses the rest only.

    Rule: in the fusion's groups w = 1 for the multimodal objective and 0 for the others; in all
      other groups w = 0 for the multimodal objective and alpha for each of the others.
    Source: Wei, Luo and Luo (2025, ICCV), "Boosting Multimodal Learning via Disentangled Gradient
      Learning" (DGL); alpha and its default as in the authors' program.
    Promises: the same gradients as two separate tapes, one through stopped features and one
      that skips the fusion. Linear in every gradient.
    Costs: that of two tapes written by hand, one backward pass each, unless the gradients are to be
      measured.
    Not for: fusion within the encoders, where no group of variables is the fusion's alone; the
      source has such a variant, but not in its program.

    The unimodal logits of the source go through the fusion itself, with the other modality removed;
    whether they do, or have heads of their own, is up to the model, and so is what counts as the
    fusion. Projections before a gate belong to the encoders or the fusion as you like; the authors'
    program trains them by neither.

    Every variable has to be in a group, since `harmonize` gives those in none the plain sum. The
    authors' program clips the global norm of all gradients to 40 before the step; that is the
    optimizer's (`global_clipnorm=40.0`).

    Args:
      multimodal: Index of the multimodal objective.
      fusion: Name of the fusion's group, or several.
      alpha: Weight of the unimodal objectives outside the fusion, > 0; the authors use 2 to 5,
        by data set.

    Raises:
      ValueError: If an option is out of its range.
    """

    changes_update = True
    example_groups = ("encoder", "fusion")

    def __init__(
        self,
        multimodal: int = 0,
        fusion: str | Sequence[str] = "fusion",
        alpha: float = 4.0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self._multimodal, self._alpha = int(multimodal), float(alpha)
        self._fusion = (fusion,) if isinstance(fusion, str) else tuple(fusion)
        if self._multimodal != multimodal or multimodal < 0:
            raise ValueError(f"`multimodal` should be the index of an objective. Found {multimodal}.")
        if not (math.isfinite(self._alpha) and self._alpha > 0):
            raise ValueError(f"`alpha` should be a finite number > 0. Found {alpha}.")
        if not self._fusion:
            raise ValueError("`fusion` should name at least one group. Found none.")

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`; raises a ValueError for an unknown name or index."""
        unknown = [group for group in self._fusion if group not in groups]
        if unknown:
            raise ValueError(
                f"`fusion` should name groups of variables, which are {', '.join(groups)}. "
                f"Found {', '.join(unknown)}. Pass `groups=` to `harmonize`."
            )
        if self._multimodal >= objectives:
            raise ValueError(
                f"`multimodal` should be below the number of objectives, {objectives}. Found {self._multimodal}."
            )

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError if no objective would train the group."""
        in_fusion = group.name in self._fusion
        objectives = range(group.size) if group.objectives is None else group.objectives
        own_weight = 1.0 if in_fusion else self._alpha
        weights = [own_weight if (objective == self._multimodal) == in_fusion else 0.0 for objective in objectives]
        if not any(weights):
            self._refuse(group, f"objectives {tuple(objectives)}")
        return Decision(tf.constant(weights, tf.float32))

    def needs_gram(self, groups: Groups | None) -> bool:
        """See `Harmonizer.needs_gram`: never."""
        del groups
        return False

    def finish(self, update: list[tf.Tensor | None], group: Group) -> list[tf.Tensor | None]:
        """See `Harmonizer.finish`; raises a ValueError if no objective trains the group."""
        if all(tensor is None for tensor in update):
            self._refuse(group, "none")
        return update

    def _refuse(self, group: Group, found: str) -> None:
        in_fusion = group.name in self._fusion
        needed = "the multimodal objective" if in_fusion else "a unimodal objective, or belong to `fusion`"
        raise ValueError(f"Group {group.name!r} should be reached by {needed}. Found {found}.")
