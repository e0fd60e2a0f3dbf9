"""Gradient realignment (GR): conflicting gradients are projected onto each other's normal plane."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer, gradient_norms, pairwise_cosines


class GradientRealignment(GramHarmonizer):
    """Projects conflicting gradients onto each other's normal plane, then adds them up.

    Rule: w_i = 1 + sum_j max(0, -g_i . g_j) / |g_i|^2 over the other objectives j.
    Source: Wu et al. (2022, NeurIPS), "Scaling Multimodal Pre-Training via Cross-Modality Gradient
      Harmonization", Algorithm 1 (GR, "the hard way").
    Promises: for two objectives, an update that conflicts with neither gradient and equals PCGrad's
      and UPGrad's sums. Permutation-equivariant.
    Costs: one backward pass per objective, and the Gram matrix.
    Not for: gradients that always nearly oppose each other: the weights grow with the ratio of the
      norms, and the update of two opposite gradients is zero.

    If `g_va . g_vt < 0`, each gradient loses its component along the other original one, then both
    are added:

        g_va' = g_va - (g_va . g_vt / |g_vt|^2) g_vt
        g_vt' = g_vt - (g_vt . g_va / |g_va|^2) g_va

    The poster prints the coefficients without the vector at their end; we restore it, as the
    poster's text ("to the orthogonal direction") and PCGrad have it. As weights of the originals:
    `w_i = 1 - g_i . g_j / |g_i|^2`. The update conflicts with neither gradient, and GR equals
    PCGrad's sum, for two objectives.

    For more than two (our choice) every gradient is projected once against each conflicting
    original and all projections are subtracted together. That keeps the method symmetric and free
    of PCGrad's random order, but no longer promises that the update conflicts with no gradient. A
    zero gradient is neither projected nor projected upon.
    """

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms = gradient_norms(gram)
        # conflicts[i, j] * lengths[i, j] of g_j is taken out of g_i. Going through the cosine keeps
        # it below the ratio of the norms, however coarse the Gram matrix near the ends of float32.
        conflicts = tf.nn.relu(-pairwise_cosines(gram))
        lengths = tf.math.divide_no_nan(norms[:, None], norms[None, :])
        return 1.0 + tf.reduce_sum(conflicts * lengths, axis=0)
