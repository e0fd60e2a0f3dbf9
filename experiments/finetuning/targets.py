"""What a clip's logits are compared with: labels, smoothed or mixed; how a clip counts; the losses."""

import tensorflow as tf

import harmonization


def one_or_many_hot(clips: dict[str, tf.Tensor], classes: int, multi_label: bool) -> tf.Tensor:
    """Returns the labels of a batch as float32 [batch, classes], 1 for a clip's own; zeros where there are none."""
    return clips["labels"] if multi_label else tf.one_hot(clips["label"], classes)


def is_counted(clips: dict[str, tf.Tensor], labels: tf.Tensor, modality: str) -> tf.Tensor:
    """Returns which clips of a batch can be learned from, bool [batch]: those with a label and the modality."""
    labeled = tf.reduce_any(labels > 0, axis=-1)
    return labeled & clips["has_audio"] if modality == "audio" else labeled


def symmetric_beta(alpha: float, seed: tf.Tensor, shape: list[int | tf.Tensor]) -> tf.Tensor:
    """Draws from Beta(alpha, alpha), alpha above 0.5: float32 of `shape` in [0, 1].

    Ulrich's polar method: one coordinate of a point on a sphere in 2 alpha + 1 dimensions. Two uniform draws and no
    rejection, so that XLA compiles it, which it does not do with TensorFlow's stateless gamma draws.

    Source: G. Ulrich, Computer generation of distributions on the m-sphere, Applied Statistics 33 (1984).

    Args:
      alpha: Both parameters of the distribution.
      seed: int32 [2]; all draws are functions of it.
      shape: Of the draws.
    """
    radius, angle = tf.unstack(tf.random.stateless_uniform([2, *shape], seed, alg="philox"))
    length = tf.sqrt(1.0 - radius ** (2.0 / (2.0 * alpha - 1.0)))
    return 0.5 + 0.5 * length * tf.cos(2.0 * 3.141592653589793 * angle)


def mix(
    raw: tf.Tensor, labels: tf.Tensor, counted: tf.Tensor, alpha: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes each clip with the one before it in the batch, whose order is random, and their labels alike.

    Mixup (Zhang et al., ICLR 2018) as in VATT, A.3. Our choice, where that is silent: a share per clip, and the
    neighbor as partner. A clip stays as it is where one of the two is not counted, and in a batch of one.

    Args:
      raw: float32 [batch, ...].
      labels: float32 [batch, classes].
      counted: bool [batch].
      alpha: The shares are drawn from Beta(alpha, alpha).
      seed: int32 [2].

    Returns:
      `raw` and `labels`, mixed.
    """
    shares = symmetric_beta(alpha, seed, [tf.shape(raw)[0]])
    shares = tf.where(counted & tf.roll(counted, 1, axis=0), shares, 1.0)

    def mixed(values: tf.Tensor) -> tf.Tensor:
        own = tf.reshape(shares, [-1, *[1] * (values.shape.rank - 1)])
        return own * values + (1.0 - own) * tf.roll(values, 1, axis=0)

    return mixed(raw), mixed(labels)


def balancing_weights(labels: tf.Tensor) -> tf.Tensor:
    """Returns each clip's mean, over its labels, of 1 / (count of the label in the global batch), float32 [batch].

    "Inverse label occurrence" of VATT's published code; mixed labels count by their shares. Call it in the replica
    context: the counts are of all replicas.
    """
    counts = harmonization.sum_over_replicas(tf.reduce_sum(labels, axis=0))
    rarity = tf.linalg.matvec(labels, tf.math.divide_no_nan(1.0, counts))
    return tf.math.divide_no_nan(rarity, tf.reduce_sum(labels, axis=-1))


def clip_losses(logits: tf.Tensor, labels: tf.Tensor, multi_label: bool, smoothing: float = 0.0) -> tf.Tensor:
    """Returns each clip's loss, float32 [batch]: binary cross-entropies summed over the classes, or one softmax's.

    Args:
      logits: float32 [batch, classes].
      labels: float32 [batch, classes].
      multi_label: Whether classes are independent.
      smoothing: Share of a single label that is spread over all classes.
    """
    if multi_label:
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits), axis=-1)
    smoothed = (1.0 - smoothing) * labels + smoothing / labels.shape[-1]
    return tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
