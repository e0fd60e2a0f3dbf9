"""The curriculum per clip: each clip's losses weigh as much as its own two gradients agree."""

from collections.abc import Mapping

import tensorflow as tf

import harmonization
import vatt
from experiments.pretraining.clip_trust import ClipTrust, Terms


class ClipCurriculum:
    """Gates or weighs every clip by the agreement of its own two gradients: `pretrain.granularity = "sample"`.

    The source speaks of sample triplets but prints an algorithm for mini-batches. This is our reading of the former, not
    the paper's: the same rule, with the same gamma, applied to `vatt.own_gradients` of each clip. They are gradients with
    respect to the pooled video feature, not to the weights, which keeps the encoder out of it; the weights of the clip
    then enter both losses, whose gradients are taken and harmonized as always.

    A clip without sound or without text has only one gradient, hence no agreement, and weighs 1. A clip that weighs 0
    stays a negative for the others. If nothing is left to learn from, the whole step is skipped, as when the step-level
    gate rejects it. The curriculum has no state, so a resumed run reproduces the original.

    Logged: `clip_alignment`, the mean indicator over the clips that have one; `clip_weight`, their mean weight, with a hard
    gate the share of them that is kept; `clips_judged`, their share of all clips. Without any they are 0, 1 and 0. The
    losses that are logged are those of all clips, so that they can be compared with another method's.

    Args:
      gate: Rule and gamma.
      softness: 0 for weights 0 and 1, or how soft the gate is; see `GradientCurriculum.sample_weights`.
    """

    fields = ("clip_alignment", "clip_weight", "clips_judged")

    def __init__(self, gate: harmonization.GradientCurriculum, softness: float = 0.0):
        self.gate, self.softness = gate, softness

    def __call__(
        self,
        head: tf.Module,
        embeddings: dict[str, dict[str, tf.Tensor]],
        clips: dict[str, tf.Tensor],
        terms: Terms,
        step: tf.Tensor,
        loss_options: Mapping[str, object],
    ) -> ClipTrust:
        """Judges the clips of a training step; call it in the replica context.

        Args:
          head: The model's.
          embeddings: What the model made of `clips`.
          clips: The batch.
          terms: The clips' own losses.
          step: [] int64, the training step from 0.
          loss_options: Arguments of `vatt.clip_losses`.
        """
        gradients = vatt.own_gradients(head, embeddings, clips, training=True, **loss_options)
        gram = _clip_gram(list(gradients.values()))
        weights = self.gate.sample_weights(gram, step, self.softness)
        counts = _counts(terms, weights, *self.gate.agreement(gram))
        counts, losses = harmonization.sum_over_replicas((counts, vatt.mean_losses(terms)))
        report = {
            "clip_alignment": tf.math.divide_no_nan(counts["alignment"], counts["judged"]),
            "clip_weight": 1.0 - tf.math.divide_no_nan(counts["withheld"], counts["judged"]),
            "clips_judged": counts["judged"] / counts["clips"],
        }
        return ClipTrust(weights, (counts["kept"] > 0.0) | (counts["has_loss"] == 0.0), losses, report)


def _clip_gram(gradients):
    """Inner products of each clip's gradients, [batch, objectives, objectives]; zeros where they are not finite."""
    rows = tf.stack(gradients, axis=1)
    gram = tf.reduce_sum(rows[:, :, tf.newaxis] * rows[:, tf.newaxis], axis=-1)  # accelerators round a matrix product
    # Such a clip weighs 1, so that what is wrong shows in the losses or in the gradients.
    return tf.where(tf.reduce_all(tf.math.is_finite(gram), axis=[1, 2], keepdims=True), gram, 0.0)


def _counts(terms, weights, alignment, judged):
    has_loss = tf.reduce_any([has for _, has in terms.values()], axis=0)
    columns = {
        "clips": tf.ones_like(weights),
        "judged": judged,
        "alignment": alignment,  # zero where a clip was not judged
        "withheld": 1.0 - weights,
        "has_loss": has_loss,
        "kept": has_loss & (weights > 0.0),
    }
    return {name: tf.reduce_sum(tf.cast(values, tf.float32)) for name, values in columns.items()}
