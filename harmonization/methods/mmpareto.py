"""MMPareto: a direction that serves the multimodal and the unimodal loss, at no less than the sum's length."""

import math

import tensorflow as tf

from harmonization.harmonizer import (
    Decision,
    Group,
    Harmonizer,
    defined_pairs,
    gradient_norms,
    pairwise_cosines,
    smallest_over_pairs,
)
from harmonization.methods.mgda import MGDA

SCOPES = ("tensor", "encoder")
ROUNDING = 1e-6
"""Below this share of its terms a squared length is what float32 rounding left of zero."""
LARGEST_FACTOR = 1e30


class MMPareto(Harmonizer):
    """Makes the update of an encoder conflict with neither loss, then at least as long as their sum.

    Rule: h = n sum_i a_i g_i, where a is the min-norm point of the simplex if two gradients conflict
      (cosine <= 0), else 1 / n. Update = gamma lambda h, lambda = max(1, |sum_i g_i| / |h|).
    Source: Wei and Hu (2024, ICML), "MMPareto: Boosting Multimodal Learning with Innocent Unimodal
      Assistance"; what its text leaves open follows the behavior of the authors' program.
    Promises: without conflict exactly gamma times the sum. h conflicts with no gradient; the update
      does not either with scope="encoder". Permutation-equivariant; linear in a common scale.
    Costs: one backward pass per objective, and the Gram matrix of every variable, which is at hand;
      the authors' program makes one backward pass more.
    Not for: Adam and its like, under which a constant gamma and a slowly varying lambda cancel; and
      a claim of gain without the control: the sum at gamma times the encoders' learning rate.

    Give every encoder a separate group. Groups that two or more objectives reach are treated;
    where the multimodal loss and that of the modality do, n is 2. A group that one objective
    reaches (the heads, the fusion) gets its plain gradient, without gamma, as in the source.

    With scope="tensor", as in the authors' program, the conflict is judged over the encoder but
    lambda is each variable's own: |sum_i g_i| and |h| in variable k are square roots of 1' G_k 1 and
    w' G_k w. The update then is no longer h times a number and may conflict. With scope="encoder",
    lambda >= 1 of itself. Where the cosine passes zero, the update of gradients of unequal lengths
    jumps from their sum toward the shorter one, as the source's does.

    Our choices: a zero gradient takes no part, so that it neither conflicts nor stops the others (in
    the source's formula a zero gradient, having cosine 0, would get all the weight); n counts those
    that are left. Where h is zero, or what rounding left of zero, lambda is 1 and not infinite.
    More than two objectives in a group are our generalization.

    Args:
      gamma: Factor on the update in groups of two or more objectives, > 0.
      scope: "tensor" or "encoder": what lambda is computed over.

    Raises:
      ValueError: If an option is out of its range.
    """

    example_groups = ("encoder",)

    def __init__(self, gamma: float = 1.5, scope: str = "tensor", name: str | None = None):
        super().__init__(name=name)
        self._gamma, self._scope = float(gamma), scope
        self._min_norm = MGDA()
        if not (math.isfinite(self._gamma) and self._gamma > 0):
            raise ValueError(f"`gamma` should be a finite number > 0. Found {gamma}.")
        if scope not in SCOPES:
            raise ValueError(f"`scope` should be one of {', '.join(SCOPES)}. Found {scope!r}.")

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`."""
        if group.gram.shape[0] < 2:
            return Decision(tf.ones(group.gram.shape[:1]))
        weights = self._common_direction(group.gram)
        if self._scope == "encoder":
            return Decision(self._gamma * _lengthening(group.gram, weights) * weights)
        if group.variable_gram is None:
            raise ValueError(
                "MMPareto with scope='tensor' needs the Gram matrix of every variable. Use scope='encoder'."
            )
        return Decision(self._gamma * weights, scales=_lengthening(group.variable_gram, weights))

    def _common_direction(self, gram: tf.Tensor) -> tf.Tensor:
        """Weights of the gradients in h, [objectives] float32."""
        pairs = defined_pairs(gram)
        smallest = smallest_over_pairs(pairwise_cosines(gram), pairs)
        conflict = tf.reduce_any(pairs) & (smallest <= 0.0)
        return tf.where(conflict, self._min_norm_weights(gram), 1.0)

    def _min_norm_weights(self, gram: tf.Tensor) -> tf.Tensor:
        if gram.shape[0] == 2:
            return 2.0 * _min_norm_of_two(gram)
        present = gradient_norms(gram) > 0.0
        count = tf.math.count_nonzero(present, dtype=tf.float32)
        # A long gradient at right angles to all others is one that the min-norm point ignores.
        absent = tf.where(present, 0.0, tf.minimum(1e6 * tf.linalg.trace(gram), 1e38))
        return count * self._min_norm.weights(gram + tf.linalg.diag(absent))


def _min_norm_of_two(gram: tf.Tensor) -> tf.Tensor:
    """The shortest convex combination of two conflicting gradients, [2] float32."""
    # float64, since the squares of short and long gradients do not fit one float32 scale.
    gram = tf.cast(gram, tf.float64)
    parts = tf.stack([gram[1, 1], gram[0, 0]]) - gram[0, 1]
    weights = tf.math.divide_no_nan(parts, tf.reduce_sum(parts))
    return tf.cast(tf.clip_by_value(weights, 0.0, 1.0), tf.float32)


def _lengthening(gram: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """lambda: the sum's length over that of the weighted sum, at least 1.

    Args:
      gram: [..., objectives, objectives] float32.
      weights: [objectives] float32.

    Returns:
      [...] float32.
    """
    gram, weights = tf.cast(gram, tf.float64), tf.cast(weights, tf.float64)
    terms = gram * weights[:, None] * weights[None, :]
    total, weighted = tf.reduce_sum(gram, axis=[-2, -1]), tf.reduce_sum(terms, axis=[-2, -1])
    defined = weighted > ROUNDING * tf.reduce_sum(tf.abs(terms), axis=[-2, -1])
    ratio = tf.sqrt(tf.nn.relu(total) / tf.where(defined, weighted, 1.0))
    factor = tf.where(defined, tf.clip_by_value(ratio, 1.0, LARGEST_FACTOR), 1.0)
    return tf.cast(factor, tf.float32)
