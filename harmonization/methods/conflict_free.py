"""ConFIG: a direction with the same cosine to every gradient, as long as they agree on it."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer
from harmonization.solvers.equiangular import equiangular
from harmonization.solvers.normalized import normalized, to_float32


class ConFIG(GramHarmonizer):
    """Takes the direction with equal cosines to all gradients, at the length of their projections.

    Rule: x = U^+ (1, ..., 1) / its length, U the unit gradients; d = (sum_i g_i . x) x. For two
      objectives w_i = (|g_1| + |g_2|) / (2 |g_i|).
    Source: Liu et al. (2025, ICLR), "ConFIG: Towards Conflict-free Training of Physics Informed
      Neural Networks", equations 2 and 3; code tum-pbs/ConFIG. Without the momentum of M-ConFIG.
    Promises: permutation-equivariant; linear under scaling of each gradient; if the gradients are
      linearly independent, the same positive cosine with each.
    Costs: one backward pass per objective and the Gram matrix; for more than two objectives an
      eigendecomposition of n x n.
    Not for: more objectives than the group has independent directions: the least-squares direction
      may conflict.

    The authors take the pseudo-inverse of the gradients; its coefficients follow from the Gram
    matrix alone, so that d is a weighted sum like every other. Where the directions cancel, the
    update is zero. A zero gradient weighs zero. Directions that are dependent up to what float32 inner products can
    tell count as dependent.
    """

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms, cosines = normalized(gram)
        shares = equiangular(cosines)
        if norms.shape[0] == 2:
            factor = tf.math.divide_no_nan(tf.reduce_sum(norms), tf.reduce_sum(shares))
        else:
            projections = tf.linalg.matvec(cosines, shares)
            square = tf.tensordot(shares, projections, 1)
            factor = tf.math.divide_no_nan(tf.tensordot(norms, projections, 1), square)
        return to_float32(factor * tf.math.divide_no_nan(shares, norms))
