"""IMTL-G: an update with the same projection onto every gradient."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer
from harmonization.solvers.equiangular import equiangular
from harmonization.solvers.normalized import normalized, resolution, to_float32


class IMTLG(GramHarmonizer):
    """Makes the update equally long along every gradient's direction, with weights that add up to 1.

    Rule: g_i . d / |g_i| is the same for all i, sum w = 1. For two objectives
      w = (|g_2|, |g_1|) / (|g_1| + |g_2|).
    Source: Liu et al. (2021, ICLR), "Towards Impartial Multi-task Learning", equation 6 (the
      gradient half of IMTL, without its learned loss scales).
    Promises: permutation-equivariant; weights that add up to 1; the same cosine with every gradient,
      if they are linearly independent.
    Costs: one backward pass per objective and the Gram matrix; for more than two objectives an
      eigendecomposition of n x n.
    Not for: many objectives: weights may be negative, in which case the update conflicts with all
      gradients alike, and their sum may come close to zero, which makes them large.

    Linearly dependent gradients get the least-squares solution for the unit gradients (our choice;
    TorchJD's pseudo-inverse weighs by length). Where the weights add up to nothing, as they do for
    gradients that cancel, the update is zero. A zero gradient weighs zero.
    """

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms, cosines = normalized(gram)
        weights = tf.math.divide_no_nan(equiangular(cosines), norms)
        total = tf.reduce_sum(weights)
        defined = tf.abs(total) > resolution(norms.shape[0]) * tf.reduce_sum(tf.abs(weights))
        return to_float32(tf.where(defined, weights / total, 0.0))
