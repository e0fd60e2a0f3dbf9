"""How well the gradients of a clip's two losses tell planted misalignment apart."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
import tqdm
from sklearn.metrics import roc_auc_score

import vatt
from experiments.embeddings import caption_query
from vatt.losses import clip_losses

# Indicators, each lower where a clip is thought misaligned.
INDICATORS = {
    "encoder_gradient_cosine": "gradient cosine, shared encoder",
    "feature_gradient_cosine": "gradient cosine, pooled video feature",
    "video_text_similarity": "similarity of video and text",
    "video_audio_similarity": "similarity of video and sound",
    "summed_similarity": "sum of both similarities",
}
_FACTS = ("clip_id", "text_aligned", "audio_aligned")


def clip_indicators(
    model: vatt.VATT, batches: tf.data.Dataset, total: int, loss_options: Mapping[str, object]
) -> dict[str, np.ndarray]:
    """Computes the indicators of every clip that has sound, text and a known truth.

    The gradients are the exact ones of the clip's own two loss terms, its negatives being the other clips of its batch,
    whose embeddings are differentiated too. They are taken at inference, that is without DropToken, dropout and batch
    statistics (our choice: the indicator is then a function of the clip and its batch alone).

    Args:
      model: The model.
      batches: What `data.eval_batches` yields; the cost of a clip grows with the batch.
      total: How many clips it yields, for the progress bar.
      loss_options: Arguments of `vatt.losses`.

    Returns:
      `clip_id` str, `text_aligned`, `audio_aligned` int32 (1 or 0), and `INDICATORS` float32, all [clips].
    """
    compute = tf.function(
        lambda clips: _batch_indicators(model, clips, loss_options), autograph=False, reduce_retracing=True
    )
    inputs = (*vatt.MODALITIES.values(), "has_audio", "has_text")
    found = []
    with tqdm.tqdm(total=total, desc="gradients per clip", unit=" clips") as bar:
        for batch in batches:
            values = {name: batch[name] for name in _FACTS}
            values |= compute({name: batch[name] for name in inputs})
            values = {name: np.asarray(value) for name, value in values.items()}
            usable = values.pop("usable") & (values["text_aligned"] >= 0) & (values["audio_aligned"] >= 0)
            found.append({name: value[usable] for name, value in values.items()})
            bar.update(len(usable))
    joined = {name: np.concatenate([values[name] for values in found]) for name in found[0]}
    joined["clip_id"] = np.array([clip_id.decode() for clip_id in joined["clip_id"]], dtype=str)
    return joined


def _batch_indicators(model, clips, loss_options):
    with tf.GradientTape(persistent=True) as tape:
        features = {name: model.encode(name, clips[key]) for name, key in vatt.MODALITIES.items()}
        spaces = model.head(features, training=False)
        terms = clip_losses(spaces, clips, **loss_options)
    losses = [term for term, _ in terms.values()]
    encoder = model.encoder.trainable_variables

    def clip_cosines(clip):
        choose = tf.one_hot(clip, tf.shape(losses[0])[0])
        by_objective = [
            tape.gradient(loss, [*encoder, features["video"]], output_gradients=choose, unconnected_gradients="zero")
            for loss in losses
        ]
        own = [gradients.pop()[clip] for gradients in by_objective]
        return _cosine(*by_objective), _cosine([own[0]], [own[1]])

    clip_numbers = tf.range(tf.shape(losses[0])[0])
    encoder_cosine, feature_cosine = tf.map_fn(
        clip_cosines, clip_numbers, fn_output_signature=(tf.float32, tf.float32), parallel_iterations=1
    )
    return {
        "usable": tf.reduce_all([has for _, has in terms.values()], axis=0),
        "encoder_gradient_cosine": encoder_cosine,
        "feature_gradient_cosine": feature_cosine,
        **_similarities(spaces, clips),
    }


def _similarities(spaces, clips):
    fine, coarse = spaces["video_audio"], spaces["video_text"]
    query = caption_query(coarse["text"], tf.reduce_any(clips["text"] > 0, axis=-1))
    with_text, with_audio = _similarity(coarse["video"], query), _similarity(fine["video"], fine["audio"])
    return {
        "video_text_similarity": with_text,
        "video_audio_similarity": with_audio,
        "summed_similarity": with_text + with_audio,
    }


def _cosine(first, second):
    """Cosine of two lists of tensors, each taken as one vector; 0 if one of them vanishes."""
    norms = tf.sqrt(_dot(first, first)) * tf.sqrt(_dot(second, second))
    return tf.math.divide_no_nan(_dot(first, second), norms)


def _dot(first, second):
    pairs = zip(first, second, strict=True)
    return tf.add_n([tf.reduce_sum(tf.cast(a, tf.float32) * tf.cast(b, tf.float32)) for a, b in pairs])


def _similarity(first, second):
    return tf.reduce_sum(tf.math.l2_normalize(first, axis=-1) * tf.math.l2_normalize(second, axis=-1), axis=-1)


def separation(clips: Mapping[str, np.ndarray]) -> dict:
    """Measures how well each indicator tells misaligned clips from those that are aligned in sound and in text.

    Args:
      clips: What `clip_indicators` returned.

    Returns:
      `clips` counts the clips of each kind: `all`, `aligned`, `misaligned` (in text, sound or both), `text_only`,
      `audio_only`; `auc` gives, per indicator and kind of misalignment, the area under the ROC curve of "a low value
      means misaligned": 1 is perfect, 0.5 chance; `None` where one of the two classes is missing.
    """
    text, audio = clips["text_aligned"] == 1, clips["audio_aligned"] == 1
    aligned = text & audio
    kinds = {"misaligned": ~aligned, "text_only": ~text & audio, "audio_only": text & ~audio}
    counts = {"all": len(text), "aligned": aligned, **kinds}
    return {
        "clips": {name: int(np.sum(value)) for name, value in counts.items()},
        "auc": {
            name: {kind: _auc(clips[name], members, aligned) for kind, members in kinds.items()} for name in INDICATORS
        },
    }


def _auc(values, misaligned, aligned):
    if not misaligned.any() or not aligned.any():
        return None
    chosen = misaligned | aligned
    return float(roc_auc_score(misaligned[chosen], -values[chosen]))
