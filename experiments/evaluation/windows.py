"""Embeddings of the windows of a downstream set's clips; several splits are read in one pass."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tqdm

import data
import vatt
from experiments.evaluation.settings import Settings
from experiments.inference.split_embeddings import joined
from experiments.running.command_line import bad_input
from experiments.running.damaged_data import named_if_damaged

WINDOWS = 4
"""Windows of a clip that is tested, evenly spaced (VATT, A.2.5 and the published code)."""
SENTENCES = 32
"""Captions per clip that are read where all are needed: more than any clip of the sets has (MSR-VTT: 20 or 21)."""
_TOGETHER = "together"


class Walk:
    """Embeds the clips of several, possibly overlapping, splits in one pass; each clip is read once.

    Args:
      settings: What all tasks are given.
      prepared: The data set; it has the splits.
      splits: Names of the splits.
      modality: "video" or "audio": what is embedded.
      clips: Shape of a window.
      windows: Windows per clip; 1 is the middle one.
      text: Whether the captions are read.

    Attributes:
      rows: For each split, where its clips are among all: int [clips].

    Raises:
      BadInput: The records cannot give such windows.
    """

    def __init__(
        self,
        settings: Settings,
        prepared: data.PreparedDataset,
        splits: Sequence[str],
        modality: str,
        clips: data.ClipSpec,
        *,
        windows: int,
        text: bool = False,
    ):
        self._embedder, self._modality, self._windows = settings.embedder, modality, windows
        self._entry, self._text = vatt.MODALITIES[modality], text
        self._shape = settings.run.model.input_shapes[self._entry]
        everything, self.rows = together(prepared, splits)
        self._total = everything.split_sizes[_TOGETHER]
        self._files = everything.shard_paths[_TOGETHER]
        with bad_input():
            self._batches = data.eval_batches(
                everything, _TOGETHER, clips, settings.run.tokenizer if text else None,
                batch_size=max(1, settings.batch_size // windows), windows=windows, video=modality == "video",
            )  # fmt: skip

    def embed(self, title: str, *outputs: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Embeds all windows, with a progress bar.

        Args:
          title: What the progress bar says.
          *outputs: Which of the embedder's outputs, such as "features_video".

        Returns:
          By output, float32 [clips, windows, dim]; and by clip `label` int32 and, if captions are read, `text` int32
          [clips, candidates, words].

        Raises:
          RunFailed: An embedding is not finite, or a record is damaged.
        """
        found, facts, kept = [], [], ("label", "text") if self._text else ("label",)
        with tqdm.tqdm(total=self._total, desc=title, unit=" clips") as bar:
            for batch in named_if_damaged(self._batches, self._files):
                windows = tf.reshape(batch[self._entry], [-1, *self._shape])
                embedded = self._embedder.embed(self._modality, windows)
                found.append({name: self._by_clip(embedded[name]) for name in outputs})
                facts.append({name: batch[name].numpy() for name in kept})
                bar.update(len(batch["label"]))
        return joined(found), joined(facts)

    def _by_clip(self, rows):
        return rows.reshape(-1, self._windows, rows.shape[-1])


def together(
    prepared: data.PreparedDataset, splits: Sequence[str]
) -> tuple[data.PreparedDataset, dict[str, np.ndarray]]:
    """Puts splits that may share files together.

    Returns:
      The data set with one split, which reads every file of the splits once; and for each of them, where its clips are
      among that split's: int [clips].
    """
    lengths = {}
    for split in splits:
        lengths |= zip(prepared.shard_paths[split], prepared.shard_lengths[split], strict=True)
    starts = dict(zip(lengths, itertools.accumulate(lengths.values(), initial=0), strict=False))
    rows = {
        split: np.concatenate([starts[path] + np.arange(lengths[path]) for path in prepared.shard_paths[split]])
        for split in splits
    }
    everything = dataclasses.replace(
        prepared,
        split_sizes={_TOGETHER: sum(lengths.values())},
        shard_paths={_TOGETHER: tuple(lengths)},
        shard_lengths={_TOGETHER: tuple(lengths.values())},
    )
    return everything, rows
