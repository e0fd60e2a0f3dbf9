"""How well the gradients of a clip's two losses tell planted misalignment apart."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
import tqdm
from sklearn.metrics import roc_auc_score

import vatt
from experiments.inference.clip_scores import batch_scores, filled_up
from experiments.inference.score_names import SCORES
from experiments.inference.split_embeddings import joined

INDICATORS = {"encoder_gradient_cosine": "gradient cosine, shared encoder", **SCORES}
"""Names and titles; each is lower where a clip is thought misaligned."""
_FACTS = ("clip_id", "text_aligned", "audio_aligned")


def compiled_indicators(model: vatt.VATT, loss_options: Mapping[str, object]) -> Callable:
    """Returns what `clip_indicators` runs on a batch, so that many calls for one model can share its trace."""
    return tf.function(
        lambda clips: _batch_indicators(model, clips, loss_options), autograph=False, reduce_retracing=True
    )


def clip_indicators(
    model: vatt.VATT,
    batches: tf.data.Dataset,
    total: int,
    loss_options: Mapping[str, object],
    compute: Callable | None = None,
) -> dict[str, np.ndarray]:
    """Computes the indicators of every clip that has audio, text and a known truth.

    The gradients are the exact ones of the clip's own two loss terms, its negatives being the other clips of its batch,
    whose embeddings are differentiated too. A last batch that is smaller gets clips of the first one as negatives. All
    gradients are taken at inference, that is without DropToken, dropout and batch statistics (our choice: the indicator is
    then a function of the clip and its batch alone).

    Args:
      model: The model.
      batches: What `data.eval_batches` yields; the cost of a clip grows with the batch.
      total: How many clips it yields, for the progress bar.
      loss_options: Arguments of `vatt.losses`.
      compute: What `compiled_indicators` returned for them, to trace it once for many calls; `None` traces it here.

    Returns:
      `clip_id` str, `text_aligned`, `audio_aligned` int32 (1 or 0), and `INDICATORS` float32, all [clips].
    """
    compute = compute or compiled_indicators(model, loss_options)
    inputs = (*vatt.MODALITIES.values(), "has_audio", "has_text")
    found, first = [], None
    with tqdm.tqdm(total=total, desc="gradients per clip", unit=" clips") as bar:
        for batch in batches:
            values = {name: batch[name] for name in _FACTS}
            clips = {name: batch[name] for name in inputs}
            first, count = first or clips, len(clips["has_text"])
            values |= compute(filled_up(clips, first, len(first["has_text"])))
            values = {name: np.asarray(value)[:count] for name, value in values.items()}
            usable = values.pop("usable") & (values["text_aligned"] >= 0) & (values["audio_aligned"] >= 0)
            found.append({name: value[usable] for name, value in values.items()})
            bar.update(len(usable))
    clips = joined(found)
    return clips | {"clip_id": np.array([clip_id.decode() for clip_id in clips["clip_id"]], dtype=str)}


def _batch_indicators(model, clips, loss_options):
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(clips, training=False)
        terms = vatt.clip_losses(outputs, clips, **loss_options)
    losses = [term for term, _ in terms.values()]
    encoder = model.encoder.trainable_variables

    def clip_cosine(clip):
        choose = tf.one_hot(clip, tf.shape(losses[0])[0])
        options = dict(output_gradients=choose, unconnected_gradients="zero")
        return _cosine(*(tape.gradient(loss, encoder, **options) for loss in losses))

    clip_numbers = tf.range(tf.shape(losses[0])[0])
    cosines = tf.map_fn(clip_cosine, clip_numbers, fn_output_signature=tf.float32, parallel_iterations=1)
    scores = batch_scores(model.head, outputs, clips, loss_options)
    own = scores["feature_gradient_cosine"]  # a clip without negatives has no gradients: 0, as for the encoder
    return {
        "usable": tf.reduce_all([has for _, has in terms.values()], axis=0),
        "encoder_gradient_cosine": cosines,
        **scores,
        "feature_gradient_cosine": tf.where(tf.math.is_nan(own), 0.0, own),
    }


def _cosine(first, second):
    """Cosine of two lists of tensors, each taken as one vector; 0 if one of them vanishes."""
    norms = tf.sqrt(_dot(first, first)) * tf.sqrt(_dot(second, second))
    return tf.math.divide_no_nan(_dot(first, second), norms)


def _dot(first, second):
    pairs = zip(first, second, strict=True)
    return tf.add_n([tf.reduce_sum(tf.cast(a, tf.float32) * tf.cast(b, tf.float32)) for a, b in pairs])


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
