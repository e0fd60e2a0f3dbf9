"""Features and embeddings of media files and sentences, as NumPy arrays."""

import functools
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
import tqdm

import vatt
from data import FileClip
from experiments.inference.file_batches import FileBatches, printable
from experiments.inference.split_embeddings import joined
from experiments.running.command_line import RunFailed

_CLIP_MODALITIES = ("video", "audio")


class Embedder:
    """Runs the towers of a model, each on its own, in inference.

    Every result is a dict of float32 [rows, dim] under names like `features_video` (pooled features), `video_audio_video`
    (embedding in the video-audio space, not normalized) and `video_text_video`; whichever the model has.

    Args:
      model: The model.
    """

    def __init__(self, model: vatt.VATT):
        self.modalities = model.modalities
        self._tower = functools.cache(lambda modality: _tower(model, modality))

    def widths(self, modality: str) -> dict[str, int]:
        """Returns the names of a modality's results and their dims."""
        return {name: spec.shape[-1] for name, spec in self._tower(modality).structured_outputs.items()}

    def embed(self, modality: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Embeds one modality: rows of video, waveforms, or token ids [rows, words].

        Raises:
          RunFailed: A result is not finite.
        """
        found = {name: values.numpy() for name, values in self._tower(modality)(tf.convert_to_tensor(rows)).items()}
        for name, values in found.items():
            if not np.isfinite(values).all():
                raise RunFailed(
                    f"{name} is not finite: the checkpoint's weights are broken. Name an older one: "
                    "--checkpoint=RUN/checkpoints/ckpt-STEP."
                )
        return found

    def embed_present(self, modality: str, rows: Sequence[np.ndarray], present: np.ndarray) -> dict[str, np.ndarray]:
        """Embeds those rows that are `present` [rows] bool; the others are zeros."""
        results = {name: np.zeros((len(rows), dim), np.float32) for name, dim in self.widths(modality).items()}
        if present.any():
            there = np.stack([row for row, is_there in zip(rows, present, strict=True) if is_there])
            for name, values in self.embed(modality, there).items():
                results[name][present] = values
        return results


def _tower(model: vatt.VATT, modality: str):
    """Returns one modality's path through the model as a graph that takes any number of rows."""
    key = vatt.MODALITIES[modality]
    shape = model.input_shapes[key]
    spec = tf.TensorSpec([None, *shape], tf.int32 if modality == "text" else tf.float32)

    def run(rows):
        inputs = {key: rows[:, tf.newaxis] if modality == "text" else rows}
        return named_outputs(model(inputs, training=False), modality)

    return tf.function(run, autograph=False).get_concrete_function(spec)


def named_outputs(outputs: dict[str, dict[str, tf.Tensor]], modality: str) -> dict[str, tf.Tensor]:
    """Returns one modality's part of a model's outputs as [rows, dim] under `features_video` and the like."""
    mine = {f"{group}_{modality}": values[modality] for group, values in outputs.items() if modality in values}
    return {name: value[:, 0] if modality == "text" else value for name, value in mine.items()}


def embed_files(embedder: Embedder, batches: FileBatches) -> dict[str, np.ndarray]:
    """Embeds the clips of files, with a progress bar.

    Returns:
      One row per clip: `file` str, `start_seconds`, `end_seconds` float32, `has_video`, `has_audio` bool, and what
      `Embedder` says, zeros where the clip lacks the modality. Empty if no file could be used.

    Raises:
      RunFailed: An embedding is not finite.
    """
    rows = []
    expected = len(batches.files) * batches.windows if batches.windows else None
    with tqdm.tqdm(total=expected, desc="embedding", unit=" clips") as bar:
        for clips in batches:
            rows.append(_rows(embedder, clips))
            bar.update(len(clips))
    return joined(rows) if rows else {}


def _rows(embedder: Embedder, clips: Sequence[FileClip]) -> dict[str, np.ndarray]:
    facts = {
        "file": np.array([printable(clip.file) for clip in clips], dtype=str),
        "start_seconds": np.array([clip.start_seconds for clip in clips], np.float32),
        "end_seconds": np.array([clip.end_seconds for clip in clips], np.float32),
        "has_video": np.array([clip.has_video for clip in clips]),
        "has_audio": np.array([clip.has_audio for clip in clips]),
    }
    for modality in _CLIP_MODALITIES:
        if modality in embedder.modalities:
            rows = [getattr(clip, vatt.MODALITIES[modality]) for clip in clips]
            facts |= embedder.embed_present(modality, rows, facts[f"has_{modality}"])
    return facts


def embed_texts(embedder: Embedder, tokens: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Embeds sentences: batches of token ids [batch, words] -> `features_text`, `video_text_text` [sentences, dim]."""
    return joined([embedder.embed("text", batch) for batch in tokens])
