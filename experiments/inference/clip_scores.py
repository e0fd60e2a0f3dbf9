"""How well a clip's video fits its text and its sound, as a trained model sees it."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
import tqdm

import vatt
from experiments.inference.score_names import SCORES
from experiments.inference.split_embeddings import caption_query
from experiments.running.command_line import RunFailed


def batch_scores(
    head: tf.Module,
    outputs: dict[str, dict[str, tf.Tensor]],
    clips: dict[str, tf.Tensor],
    loss_options: Mapping[str, object],
) -> dict[str, tf.Tensor]:
    """Computes the scores of a batch at inference, without a backward pass through the encoder.

    Args:
      head: The model's head.
      outputs: What `VATT.call` returned for `clips`, not in training.
      clips: The batch. The gradients' negatives are its other clips; a similarity depends on its own clip alone.
      loss_options: Arguments of `vatt.losses`.

    Returns:
      `SCORES`, float32 [batch]. The similarities are cosines, of the text by `caption_query`; the gradient cosine is that
      of `vatt.own_gradients`. NaN where the clip lacks the text or the sound for it, or has no gradient.
    """
    fine, coarse = outputs["video_audio"], outputs["video_text"]
    captions = tf.reduce_any(clips["text"] > 0, axis=-1)
    has_text = tf.reduce_any(captions, axis=-1) & clips["has_text"]
    with_text = _cosine(coarse["video"], caption_query(coarse["text"], captions), has_text)
    with_audio = _cosine(fine["video"], fine["audio"], clips["has_audio"])
    gradients = vatt.own_gradients(head, outputs, clips, training=False, **loss_options)
    return {
        "feature_gradient_cosine": _cosine(*gradients.values(), has_text & clips["has_audio"]),
        "video_text_similarity": with_text,
        "video_audio_similarity": with_audio,
        "summed_similarity": with_text + with_audio,
    }


def _cosine(first, second, present):
    """Cosines of rows; NaN where one of them is missing or zero."""
    norms = tf.norm(first, axis=-1) * tf.norm(second, axis=-1)
    return tf.where(
        present & (norms > 0.0), tf.math.divide_no_nan(tf.reduce_sum(first * second, axis=-1), norms), float("nan")
    )


def score_clips(
    model: vatt.VATT, batches: tf.data.Dataset, batch_size: int, total: int, loss_options: Mapping[str, object]
) -> dict[str, np.ndarray]:
    """Scores all clips of a split, in the order of its records; keeps nothing of a clip but its name and its scores.

    A last batch that is smaller than the others is filled up with the first clips, so that each clip has equally many
    negatives.

    Args:
      model: The model.
      batches: What `data.eval_batches` yields.
      batch_size: Clips per batch, at most `total`.
      total: How many clips it yields.
      loss_options: Arguments of `vatt.losses`.

    Returns:
      `clip_id` str and `SCORES` float32, all [total].

    Raises:
      RunFailed: The model's embeddings are not finite.
    """
    compute = tf.function(lambda clips: _scores_of(model, clips, loss_options), autograph=False, reduce_retracing=True)
    inputs = (*vatt.MODALITIES.values(), "has_audio", "has_text")
    names, scores, first = [], [], None
    with tqdm.tqdm(total=total, desc="scores", unit=" clips") as bar:
        for batch in batches:
            count = len(batch["clip_id"])
            clips = {name: batch[name] for name in inputs}
            first = first or clips
            values, finite = compute(filled_up(clips, first, batch_size))
            if not finite:
                raise RunFailed(
                    "the embeddings are not finite: the checkpoint's weights are broken. Name an older checkpoint."
                )
            names += [clip_id.decode("utf-8", "surrogateescape") for clip_id in batch["clip_id"].numpy()]
            scores.append({name: value.numpy()[:count] for name, value in values.items()})
            bar.update(count)
    joined = {name: np.concatenate([values[name] for values in scores]) for name in SCORES}
    return {"clip_id": np.array(names, dtype=str), **joined}


def _scores_of(model, clips, loss_options):
    outputs = model(clips, training=False)
    finite = [tf.reduce_all(tf.math.is_finite(values)) for values in tf.nest.flatten(outputs)]
    return batch_scores(model.head, outputs, clips, loss_options), tf.reduce_all(finite)


def filled_up(clips: dict[str, tf.Tensor], first: dict[str, tf.Tensor], batch_size: int) -> dict[str, tf.Tensor]:
    """Returns a batch with clips of the first one behind it, so that the last one has as many negatives as the others."""
    missing = batch_size - len(clips["has_text"])
    return (
        {name: tf.concat([values, first[name][:missing]], axis=0) for name, values in clips.items()}
        if missing
        else clips
    )
