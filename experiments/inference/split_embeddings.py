"""Features and embeddings of all clips of a split, as NumPy arrays."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tqdm

import vatt
from experiments.running.command_line import RunFailed

_FACTS = ("clip_id", "label", "text_aligned", "audio_aligned", "has_audio", "has_text")


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """A model's embeddings of a split; row i of every array belongs to the same clip.

    Attributes:
      facts: `clip_id` str, `label`, `text_aligned`, `audio_aligned` int32 (-1: unknown), `has_audio`, `has_text` bool.
      features: Pooled features of `video` and `audio`, float32 [clips, feature_dim].
      video_audio: Embeddings of `video` and `audio` in the video-audio space, float32 [clips, dim], not normalized.
      video_text: The same of `video` in the video-text space, and `text`, the clip's `caption_query`; where both are
        embedded also `audio`, whose place there no loss has trained (`audio_near_text` of the model's head).
    """

    facts: Mapping[str, np.ndarray]
    features: Mapping[str, np.ndarray]
    video_audio: Mapping[str, np.ndarray]
    video_text: Mapping[str, np.ndarray]


def embed(
    model: vatt.VATT,
    batches: tf.data.Dataset,
    total: int,
    modalities: Sequence[str] = tuple(vatt.MODALITIES),
    title: str = "clips",
) -> Embeddings:
    """Runs a model over all batches, without DropToken, dropout or batch statistics.

    Args:
      model: The model.
      batches: What `data.eval_batches` yields, one window per clip; no remainder is dropped.
      total: How many clips it yields, for the progress bar.
      modalities: Which of `video`, `audio` and `text` are embedded.
      title: What the progress bar says.

    Raises:
      RunFailed: An embedding is not finite.
    """
    compute = tf.function(lambda clips: _outputs(model, clips), autograph=False, reduce_retracing=True)
    inputs = [vatt.MODALITIES[name] for name in modalities]
    facts, outputs = [], []
    with tqdm.tqdm(total=total, desc=title, unit=" clips") as bar:
        for batch in batches:
            outputs.append(tf.nest.map_structure(np.asarray, compute({name: batch[name] for name in inputs})))
            facts.append({name: batch[name].numpy() for name in _FACTS})
            bar.update(len(facts[-1]["clip_id"]))
    facts = joined(facts)
    facts["clip_id"] = np.array([clip_id.decode() for clip_id in facts["clip_id"]], dtype=str)
    result = Embeddings(facts, **{name: joined([output[name] for output in outputs]) for name in outputs[0]})
    _require_finite(result, title)
    return result


def caption_query(captions: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Makes one query of a clip's candidate captions: the mean of their l2-normalized embeddings.

    Our choice: MIL-NCE trains a clip against all its sentences together, and single ones may speak of nothing in it.

    Args:
      captions: `[batch, candidates, dim]`.
      present: bool [batch, candidates], False for padding.

    Returns:
      `[batch, dim]`, zeros for a clip without any caption.
    """
    weights = tf.cast(present, captions.dtype)[..., tf.newaxis]
    total = tf.reduce_sum(tf.math.l2_normalize(captions, axis=-1) * weights, axis=1)
    return total / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)


def _outputs(model, clips):
    outputs = model(clips, training=False)
    if "text" in clips:
        present = tf.reduce_any(clips["text"] > 0, axis=-1)
        outputs["video_text"]["text"] = caption_query(outputs["video_text"]["text"], present)
        outputs["features"].pop("text")  # per caption, and nothing uses it
        if "audio" in outputs["video_audio"]:
            outputs["video_text"]["audio"] = model.head.audio_near_text(outputs["video_audio"]["audio"])
    return outputs


def joined(batches: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Returns the arrays of all batches, each name's `[rows, ...]` one after the other; the first batch has the names."""
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _require_finite(result, title):
    for space in ("features", "video_audio", "video_text"):
        for modality, values in getattr(result, space).items():
            if not np.isfinite(values).all():
                raise RunFailed(
                    f"the embeddings of {title} are not finite ({space}, {modality}): the checkpoint's weights are "
                    "broken. Evaluate an older one: name it in the file checkpoints/checkpoint."
                )
