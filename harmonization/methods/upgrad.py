"""UPGrad: every gradient projected onto the cone that conflicts with none, then added up."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer
from harmonization.solvers.normalized import added_up, check_reduction, normalized, to_float32
from harmonization.solvers.quadratic import nonnegative_minimum


class UPGrad(GramHarmonizer):
    """Projects each gradient onto the cone of vectors that conflict with no gradient, then averages.

    Rule: v_i is the nearest vector to g_i with g_j . v_i >= 0 for all j; the update is their mean.
      For two objectives, v_i = g_i - min(0, g_i . g_j) / |g_j|^2 g_j.
    Source: Quinton and Rey (2024), "Jacobian Descent for Multi-Objective Optimization" (A_UPGrad),
      and its code, TorchJD.
    Promises: conflicts with no gradient; permutation-equivariant; linear under scaling of each
      gradient. For two objectives its sum equals PCGrad's and GR.
    Costs: one backward pass per objective and the Gram matrix; for more than two objectives n exact
      quadratic programs, solved together in the graph.
    Not for: gradients that nearly cancel: the weights grow large while the update vanishes.

    TorchJD adds 1e-4 of the trace to the diagonal of the Gram matrix, which costs linearity and the
    fourth digit; here only what float32 cannot resolve is, and that is corrected for. A zero
    gradient is neither projected nor projected upon.

    Args:
      reduction: "mean" (the paper's and TorchJD's) or "sum" of the projected gradients.

    Raises:
      ValueError: If `reduction` is not such.
    """

    def __init__(self, reduction: str = "mean", name: str | None = None):
        super().__init__(name=name)
        check_reduction(reduction)
        self._mean = reduction == "mean"

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms, cosines = normalized(gram)
        if norms.shape[0] == 2:
            taken_out = tf.nn.relu(-cosines)
        else:
            taken_out = nonnegative_minimum(cosines, cosines)
        rows = taken_out + tf.eye(norms.shape[0], dtype=tf.float64)
        weights = added_up(rows, norms)
        return to_float32(weights / norms.shape[0] if self._mean else weights)
