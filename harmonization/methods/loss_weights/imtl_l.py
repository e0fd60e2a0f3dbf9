"""IMTL-L: every loss brought to the same scale by a learned factor."""

from harmonization.methods.loss_weights.learned_scales import LearnedScales


class IMTLL(LearnedScales):
    """Learns factors that bring all losses to 1.

    Rule: w_i = exp(s_i), where s_i is learned to minimize exp(s_i) L_i - s_i; s = 0 at first.
    Source: Liu et al. (2021, ICLR), "Towards Impartial Multi-task Learning", section 3.2 (the loss half
      of IMTL; `IMTLG` is the gradient half).
    Promises: positive weights; where they have settled, w_i L_i = 1 for every objective.
    Costs: one backward pass of the weighted loss, unless the gradients are to be measured, and four
      numbers of state per objective.
    Not for: losses that reach zero or may be negative: their weights grow to exp(60).

    The rule is that of `UncertaintyWeights` for classification but for a factor of 2 on the settled
    weights. The source trains s with the model's optimizer; our choice is an Adam of its own. A loss that is
    not finite moves nothing.

    Args:
      learning_rate: Of s.

    Raises:
      ValueError: If the learning rate is not a finite number >= 0.
    """

    def __init__(self, learning_rate: float = 0.025, name: str | None = None):
        super().__init__(1.0, learning_rate, name=name)
