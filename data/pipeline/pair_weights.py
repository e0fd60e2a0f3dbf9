"""How much the text and the sound of each clip count in training, as measured beforehand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from data.errors import DataError
from data.pipeline.training_order import TRAINING_SPLIT
from data.records.prepared_dataset import PreparedDataset
from data.records.stored_clips import read_stored_clips, shards_of

Clip = dict[str, tf.Tensor]


_LAST = 2**63 - 1
"""After all hashes."""


@dataclasses.dataclass(frozen=True, eq=False)
class PairWeights:
    """Weights of the pairs of video and text and of video and audio of the training clips of a set.

    Attributes:
      clip_ids: Names of clips, each once. A clip that is not among them counts in full.
      text: float32 [clips], from 0 to 1; a text of weight 0 is taken from its clip.
      audio: The same for the sound.
    """

    clip_ids: Sequence[str]
    text: np.ndarray
    audio: np.ndarray

    def require_clips(self, prepared: PreparedDataset, path: str) -> None:
        """Checks that these are the training clips of a set, which reads all its records once, without decoding.

        Args:
          prepared: The data set.
          path: Where the weights are from, for the message.

        Raises:
          DataError: Some clips are missing, on either side, or a record is damaged.
        """
        stored = {clip.clip_id for shard in shards_of(prepared, [TRAINING_SPLIT]) for clip in read_stored_clips(shard)}
        listed = set(self.clip_ids)
        unknown, missing = sorted(listed - stored), sorted(stored - listed)
        if unknown or missing:
            counts = ((unknown, "that are not in it"), (missing, "missing"))
            found = " and ".join(f"{len(names):,} {what}, such as {names[0]!r}" for names, what in counts if names)
            raise DataError(
                f"{path} should list the {len(stored):,} clips of the split {TRAINING_SPLIT} of {prepared.directory}. "
                f"Found {found}. Rank that split with experiments.rank_clips."
            )


class PairLookup:
    """Applies weights to the clips of an input pipeline.

    Args:
      weights: The weights; `None` to count all clips in full, for a set of a mixture that has no weights.
    """

    def __init__(self, weights: PairWeights | None):
        weights = weights or PairWeights((), np.zeros(0), np.zeros(0))
        ids = [clip_id.encode("utf-8", "surrogateescape") for clip_id in weights.clip_ids]
        # Sorted hashes and not a lookup table, which a worker of the data service does not find. Of a billion clips, the
        # chance that any two have the same hash is 5 %.
        hashes = _hashed(tf.constant(ids, tf.string, [len(ids)])).numpy()
        order = np.argsort(hashes)
        self._hashes = tf.constant([*hashes[order], _LAST], tf.int64)
        self._text, self._audio = (
            tf.constant([*np.asarray(values)[order], 1.0], tf.float32) for values in (weights.text, weights.audio)
        )

    def apply(self, clip_id: tf.Tensor, clip: Clip) -> Clip:
        """Returns a clip with `text_weight` and `audio_weight`, float32, and without what weighs 0."""
        own = _hashed(clip_id)
        row = tf.searchsorted(self._hashes, own[tf.newaxis])[0]
        listed = self._hashes[row] == own
        text, audio = (tf.where(listed, weights[row], 1.0) for weights in (self._text, self._audio))
        return {
            **clip,
            "has_text": clip["has_text"] & (text > 0.0),
            "has_audio": clip["has_audio"] & (audio > 0.0),
            "text_weight": text,
            "audio_weight": audio,
        }


def _hashed(clip_ids):
    return tf.strings.to_hash_bucket_strong(clip_ids, _LAST, key=(0, 0))


def lookups(weights: Sequence[PairWeights | None] | None, sets: int) -> list[PairLookup | None]:
    """Returns the lookup of each of the sets; all have one if any has weights, so that their clips are alike.

    Raises:
      DataError: There are not as many as there are sets.
    """
    given = [None] * sets if weights is None else list(weights)
    if len(given) != sets:
        raise DataError(f"pair_weights should have one entry for each of the {sets} sets. Found {len(given)}.")
    return [PairLookup(each) if any(given) else None for each in given]
