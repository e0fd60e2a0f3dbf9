"""Aligned-MTL: gradients made orthogonal and equally long, then added up."""

import tensorflow as tf

from harmonization.harmonizer import GramHarmonizer
from harmonization.solvers.normalized import EIGENVECTOR_ERROR, check_reduction, normalized, resolution, to_float32

SCALES = ("min", "median", "rmse")


class AlignedMTL(GramHarmonizer):
    """Replaces the gradients by the nearest orthogonal ones of one length, and adds those up.

    Rule: with the eigenvalues l and eigenvectors V of the Gram matrix,
      w = sqrt(l_min) V diag(1 / sqrt(l)) V^T (1, ..., 1), over eigenvalues above zero.
    Source: Senushkin et al. (2023, CVPR), "Independent Component Alignment for Multi-Task Learning",
      Algorithm 1; `scale` as in the authors' code (SamsungLabs/MTL).
    Promises: permutation-equivariant, homogeneous; if the gradients are linearly independent, the
      inner product of the update with every aligned gradient is the same.
    Costs: one backward pass per objective and the Gram matrix; for more than two objectives an
      eigendecomposition of n x n.
    Not for: gradients that are nearly dependent: the smallest eigenvalue sets the length of the
      update, which shrinks toward zero and jumps when the eigenvalue is taken for zero.

    An eigenvalue counts as zero below the error that float32 inner products leave in it, given the
    lengths of the gradients in its eigenvector; the authors compare with the largest eigenvalue
    instead, which loses short gradients next to long ones. XLA's eigendecomposition is exact to 1e-6
    of the largest eigenvalue only: there, of more than two objectives, gradients a hundred times
    shorter than the longest are aligned coarsely.

    Args:
      reduction: "sum" (the authors' code and LibMTL) or "mean" (TorchJD) of the aligned gradients.
      scale: Which eigenvalue sets their length: the smallest above zero ("min"), the (lower) median
        ("median") or the mean ("rmse").

    Raises:
      ValueError: If an argument is out of its range.
    """

    def __init__(self, reduction: str = "sum", scale: str = "min", name: str | None = None):
        super().__init__(name=name)
        check_reduction(reduction)
        if scale not in SCALES:
            raise ValueError(f"`scale` should be one of {SCALES}. Found {scale!r}.")
        self._mean, self._scale = reduction == "mean", scale

    def weights(self, gram: tf.Tensor) -> tf.Tensor:
        """See `GramHarmonizer.weights`."""
        norms, cosines = normalized(gram)
        objectives = norms.shape[0]
        lengths = tf.math.divide_no_nan(norms, tf.reduce_max(norms))
        decompose = _eigenvectors_of_two if objectives == 2 else _eigenvectors
        eigenvalues, vectors = decompose(lengths, cosines)
        noise = tf.linalg.matvec(vectors**2, lengths**2, transpose_a=True) + 1e-9
        kept = eigenvalues > resolution(objectives) * noise
        parts = tf.reduce_sum(vectors, axis=0)
        counted = kept & (tf.abs(parts) > objectives * EIGENVECTOR_ERROR)
        length = tf.sqrt(_square(eigenvalues, kept, self._scale))
        parts = tf.where(counted, length * parts / tf.sqrt(eigenvalues), 0.0)
        weights = tf.linalg.matvec(vectors, parts)
        return to_float32(weights / objectives if self._mean else weights)


def _eigenvectors(lengths: tf.Tensor, cosines: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.linalg.eigh(lengths[:, None] * cosines * lengths[None, :])


def _eigenvectors_of_two(lengths: tf.Tensor, cosines: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """As `_eigenvectors`, in closed form and exact for lengths however different."""
    squares, product = lengths**2, lengths[0] * lengths[1] * cosines[0, 1]
    angle = 0.5 * tf.atan2(2.0 * product, squares[0] - squares[1])
    cosine, sine = tf.cos(angle), tf.sin(angle)
    half = 0.5 * (squares[0] - squares[1])
    larger = 0.5 * (squares[0] + squares[1]) + tf.sqrt(half**2 + product**2)
    determinant = squares[0] * squares[1] * (1.0 - cosines[0, 1] ** 2)
    smaller = tf.math.divide_no_nan(determinant, larger)
    return tf.stack([smaller, larger]), tf.stack([[-sine, cosine], [cosine, sine]])


def _square(eigenvalues: tf.Tensor, kept: tf.Tensor, scale: str) -> tf.Tensor:
    """The square of the length of the aligned gradients, from ascending eigenvalues, [] float64."""
    rank = tf.math.count_nonzero(kept, dtype=tf.int32)
    if scale == "rmse":
        total = tf.reduce_sum(tf.where(kept, eigenvalues, 0.0))
        return tf.math.divide_no_nan(total, tf.cast(rank, tf.float64))
    ascending = tf.sort(tf.where(kept, eigenvalues, eigenvalues.dtype.max))
    place = tf.maximum(rank - 1, 0) // 2 if scale == "median" else 0
    return tf.where(rank > 0, tf.gather(ascending, place), 0.0)
