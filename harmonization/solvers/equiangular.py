"""The direction that makes the same angle with all gradients: the heart of IMTL-G and ConFIG."""

import tensorflow as tf

from harmonization.solvers.normalized import EIGENVECTOR_ERROR, resolution


def equiangular(cosines: tf.Tensor) -> tf.Tensor:
    """Coefficients of the unit gradients u_i in the x with u_i . x = 1 for all i.

    Where no such x exists (more gradients than dimensions, or opposite ones), the x of least
    squares, and of several the shortest: x = U^+ 1 for the matrix U of unit gradients, whose
    coefficients are (U U^T)^+ 1. Eigenvalues that float32 cannot tell from zero count as zero, and
    so does x where hardly anything of the ones is left.

    Args:
      cosines: [objectives, objectives] float64.

    Returns:
      [objectives] float64; zero for zero gradients. For two gradients its scale is arbitrary.
    """
    objectives = cosines.shape[0]
    if objectives == 2:
        return tf.linalg.diag_part(cosines)
    eigenvalues, vectors = tf.linalg.eigh(cosines)
    kept = eigenvalues > resolution(objectives)
    parts = tf.where(kept, tf.reduce_sum(vectors, axis=0), 0.0)
    enough = tf.norm(parts) > objectives * EIGENVECTOR_ERROR
    parts = tf.where(kept & enough, parts / eigenvalues, 0.0)
    return tf.linalg.matvec(vectors, parts)
