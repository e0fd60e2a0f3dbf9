"""Forms of the contrastive losses that reckon with false pairs; controls for the methods that judge clips by gradients."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from vatt.contrastive.clip_pairs import NEVER, PairLogits, gather, gather_mask

_NONE_SHARE = 0.3
_SOFT_SHARE = 0.5
_TARGET_TEMPERATURE = 0.02
_LEAST_WEIGHT = 0.25
_VARIANCE_FACTOR = 0.5


class RobustForm(NamedTuple):
    """A form of the losses that looks at the whole batch before it looks at the pairs of a clip.

    Attributes:
      constants: From the positives `[batch, candidates]` as in `PairLogits`, bool [batch] of the clips that have a loss, and the
        temperature, a float32 for each clip, [batch], through which no gradient passes.
      terms: From the pairs of some clips and their constants, float32 [clips].
    """

    constants: Callable[[tf.Tensor, tf.Tensor, float], tf.Tensor]
    terms: Callable[[PairLogits, tf.Tensor], tf.Tensor]


def nce_or_none(pairs: PairLogits, none: tf.Tensor) -> tf.Tensor:
    """Returns the losses of MIL-NCE with one more positive, "none of the candidates": float32 [clips].

    With P the clip's own candidates, N its negatives and n the score of "none":

        -log((sum_P exp(v.t / tau) + n) / (sum_P exp(v.t / tau) + n + sum_N exp(v'.t' / tau)))

    A clip whose candidates score far below n hardly pulls them, but still pushes its negatives away. n is the 0.3 quantile
    of the clips' own sums over P in the global batch, as a constant: it follows the model's scale, and a clip there
    counts half. Our choice; choosing the threshold as the 0.3 quantile of the batch's own pairs follows the alignable
    prompt bucket of Lin et al., "Multi-granularity Correspondence Learning from Long-term Noisy Videos", ICLR 2024.
    """
    positive = tf.reduce_logsumexp(pairs.positives, axis=1)
    chosen = tf.reduce_logsumexp(tf.stack([positive, none], axis=1), axis=1)
    negatives = [tf.where(pairs.own, NEVER, logits) for logits in (pairs.from_video, pairs.from_other)]
    negative = tf.reduce_logsumexp(tf.concat(negatives, axis=2), axis=[1, 2])
    return tf.reduce_logsumexp(tf.stack([chosen, negative], axis=1), axis=1) - chosen


def _none_scores(positives, valid, temperature):
    """The score of "none", the same for all clips of the global batch."""
    sums = tf.stop_gradient(tf.reduce_logsumexp(positives, axis=1))
    return tf.fill(tf.shape(sums), _quantile(sums, valid, _NONE_SHARE))


def _quantile(values, valid, share):
    """The one of the global batch's valid values that this share of them, rounded down, come before."""
    valid = gather_mask(valid)
    ordered = tf.sort(tf.where(valid, gather(values), -NEVER))
    count = tf.reduce_sum(tf.cast(valid, tf.float32))
    return tf.gather(ordered, tf.cast(tf.floor(share * count), tf.int32))


def robust_xid(pairs: PairLogits, weights: tf.Tensor) -> tf.Tensor:
    """Returns the losses of weighted cross-modal instance discrimination with soft targets: float32 [clips].

    Source: Morgado et al., "Robust Audio-Visual Instance Discrimination", CVPR 2021. A clip's loss is the sum over both
    directions of the cross entropy between the softmax over all clips of the batch and a target,

        T(j | i) = (1 - 0.5) [i = j] + 0.5 S(j | i),

    times a weight. S, against false negatives, is the "swapped" estimate: of the opposite direction, the softmax at
    temperature 0.02. The weight, against false positives, is 0.25 + 0.75 F(s), divided by its mean, with s the similarity of
    the clip's own pair and F the cumulative distribution function of a normal distribution that has the mean of s over the
    batch and half of its variance. Targets and weights are constants.

    The numbers 0.5, 0.02, 0.25 and 0.5 are those of public descriptions of the paper's code; we could not check them in its text.

    Our choices: the embeddings of the global batch, where the paper keeps a memory of slowly moving ones of all clips; of
    several candidates the sum of their exponentials, and for s the most similar one. With targets and weights of 1 it is
    "symmetric_nce".
    """
    exist = _any_candidate(pairs.from_video) & _any_candidate(pairs.from_other)
    own = tf.cast(pairs.own[:, 0], tf.float32)
    losses = []
    for logits, opposite in ((pairs.from_video, pairs.from_other), (pairs.from_other, pairs.from_video)):
        sharpened = _over_candidates(opposite * (pairs.temperature / _TARGET_TEMPERATURE))
        soft = tf.nn.softmax(tf.where(exist, tf.stop_gradient(sharpened), NEVER))
        target = (1.0 - _SOFT_SHARE) * own + _SOFT_SHARE * soft
        log_shares = tf.nn.log_softmax(_over_candidates(logits))
        losses.append(-tf.reduce_sum(tf.where(exist, target * log_shares, 0.0), axis=1))
    return weights * tf.add_n(losses)


def _over_candidates(logits):
    return tf.reduce_logsumexp(logits, axis=1)


def _any_candidate(logits):
    return tf.reduce_any(logits > NEVER / 2, axis=1)


def _pair_weights(positives, valid, temperature):
    similarity = tf.stop_gradient(tf.reduce_max(positives, axis=1)) * temperature
    counted = tf.cast(gather_mask(valid), tf.float32)
    similarities = tf.where(counted > 0.0, gather(similarity), 0.0)
    mean = _mean(similarities, counted)
    deviation = tf.sqrt(_VARIANCE_FACTOR * _mean((similarities - mean) ** 2, counted))

    def weigh(values):
        return _LEAST_WEIGHT + (1.0 - _LEAST_WEIGHT) * _normal_cdf(tf.math.divide_no_nan(values - mean, deviation))

    return tf.where(valid, weigh(similarity), 0.0) / _mean(weigh(similarities), counted)


def _mean(values, counted):
    return tf.reduce_sum(values * counted) / tf.maximum(tf.reduce_sum(counted), 1.0)


def _normal_cdf(values):
    return 0.5 * (1.0 + tf.math.erf(values / math.sqrt(2.0)))


ROBUST_FORMS: Mapping[str, RobustForm] = {
    "nce_or_none": RobustForm(_none_scores, nce_or_none),
    "robust_xid": RobustForm(_pair_weights, robust_xid),
}
"""Forms of the losses by name."""
