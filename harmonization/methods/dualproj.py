"""DualProj: the mean gradient projected onto the cone that conflicts with no gradient (GEM)."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer
from harmonization.solvers.normalized import normalized, to_float32
from harmonization.solvers.quadratic import nonnegative_minimum


class DualProj(GramHarmonizer):
    """Takes the vector nearest to the mean gradient that conflicts with no gradient.

    Rule: d is the nearest vector to g_0 = mean of g_i with g_j . d >= 0 for all j. For two
      objectives, w_i = max(1, -g_1 . g_2 / |g_i|^2) / 2.
    Source: Lopez-Paz and Ranzato (2017, NeurIPS), "Gradient Episodic Memory for Continual Learning",
      equation 11, as an update for several objectives in TorchJD.
    Promises: conflicts with no gradient; permutation-equivariant; homogeneous; the mean gradient
      itself wherever that conflicts with none; weights of 1 / n at least.
    Costs: one backward pass per objective and the Gram matrix; for more than two objectives an exact
      quadratic program in the graph.
    Not for: fairness: an objective that the mean conflicts with gains nothing, to first order.

    A zero gradient is nothing to conflict with and keeps its weight of 1 / n.
    """

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms, cosines = normalized(gram)
        lengths = tf.math.divide_no_nan(norms, tf.reduce_max(norms))
        products = tf.linalg.matvec(cosines, lengths)
        if norms.shape[0] == 2:
            added = tf.nn.relu(-products)
        else:
            # In units of the sum of the lengths, which no product exceeds.
            total = tf.maximum(tf.reduce_sum(lengths), 1.0)
            added = total * nonnegative_minimum(cosines, (products / total)[None])[0]
        return to_float32((1.0 + tf.math.divide_no_nan(added, lengths)) / norms.shape[0])
