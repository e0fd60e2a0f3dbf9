"""The gradients of each clip's own losses with respect to its own pooled video feature."""

import tensorflow as tf

from vatt.contrastive.losses import clip_losses
from vatt.keras import keras


def own_gradients(
    head: keras.layers.Layer,
    outputs: dict[str, dict[str, tf.Tensor]],
    batch: dict[str, tf.Tensor],
    training: bool,
    **loss_options: object,
) -> dict[str, tf.Tensor]:
    """Returns, per objective, d(clip i's own term) / d(clip i's own pooled video feature) in row i, for all clips at once.

    The pooled video feature is the last thing that both losses share on their way back into the encoder, so that a pass
    back through the head is enough: the encoder is not run, neither forward nor back.

    One pass serves all clips because each clip's term depends on its feature in only one way. The embeddings of the other
    clips, its negatives, are constants; so are the batch norms' statistics, by which each clip's embeddings depend on all
    clips' features (our choice: they differ from the exact derivative by the share of one clip in the statistics). All
    else is exact, and the values of the embeddings and of the terms are those of the step itself.

    Args:
      head: The model's head.
      outputs: What `VATT.call` returned.
      batch: As in `vatt.losses`. Negatives and statistics are those of all replicas.
      training: Normalize by the statistics of the batch, or by the moving averages, which are constants anyway.
      **loss_options: `temperature`, `form` and `clips_at_a_time` of `vatt.clip_losses`.

    Returns:
      `{"video_audio": ..., "video_text": ...}`, float32 [batch, feature_dim]; zeros for a clip without a term.
    """
    feature = tf.stop_gradient(outputs["features"]["video"])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(feature)
        spaces = head({"video": feature}, constant_statistics=training)
        terms = clip_losses(
            {space: {**outputs[space], **spaces[space]} for space in spaces}, batch, own_video_only=True, **loss_options
        )
        totals = {name: tf.reduce_sum(values) for name, (values, _) in terms.items()}
    return {name: tape.gradient(total, feature) for name, total in totals.items()}
