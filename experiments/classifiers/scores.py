"""How well a classifier does on a split: with both modalities, and with each alone."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import tensorflow as tf

from experiments.classifiers.constant_answer import Chance, constant_answer
from experiments.classifiers.counted import counted
from experiments.classifiers.model import Classifier
from experiments.classifiers.recipes import ALL
from experiments.running.command_line import RunFailed

Scores = dict[str, dict[str, float]]
"""`accuracy`, `class_accuracy` and `loss` under "multimodal", "audio" and "video"."""


class Evaluator:
    """Scores a model on splits, on one device (our choice: also where several train).

    Args:
      model: Its variables exist.
      specs: What the model reads of a batch, of any size.
      batches: Makes the batches of a split, as `data.eval_batches`.

    Attributes:
      chance: What the best constant answer gets on the labeled clips, by split; of the splits that have been scored.
      clips: How many clips the scores are of, "multimodal", "audio" and "video", by split.
      clips_left_out: Likewise, how many have no label, or not the modality.
    """

    def __init__(
        self,
        model: Classifier,
        specs: Mapping[str, tf.TensorSpec],
        batches: Callable[[str], Iterable[dict[str, tf.Tensor]]],
    ):
        self.specs, self.batches = dict(specs), batches
        self.chance: dict[str, Chance] = {}
        self.clips: dict[str, dict[str, int]] = {}
        self.clips_left_out: dict[str, dict[str, int]] = {}
        self._logits = tf.function(lambda clips: model(clips), autograph=False, input_signature=[self.specs])

    def __call__(self, split: str) -> Scores:
        """Scores the model as it is now.

        Raises:
          RunFailed: No clip of the split has a label, or none of these has sound.
        """
        logits, labels, counts = self._predict(split)
        for name, what in {"multimodal": "labeled clip", "audio": "labeled clip with sound"}.items():
            if not counts[name].any():
                raise RunFailed(f"the split {split!r} has no {what} to score. Prepare a data set that has some.")
        self.chance[split] = constant_answer(labels[counts["multimodal"]])
        self.clips[split] = {name: int(where.sum()) for name, where in counts.items()}
        self.clips_left_out[split] = {name: int((~where).sum()) for name, where in counts.items()}
        return {name: score(values[counts[name]], labels[counts[name]]) for name, values in logits.items()}

    def _predict(self, split):
        """Returns logits by part, labels, and by part which clips count, of all clips."""
        logits, labels, counts = {name: [] for name in ALL}, [], {name: [] for name in ALL}
        for batch in self.batches(split):
            found = self._logits({name: batch[name] for name in self.specs})
            for name, where in counted(batch).items():
                logits[name].append(found[name].numpy())
                counts[name].append(where.numpy())
            labels.append(batch["label"].numpy())
        logits, counts = ({name: np.concatenate(values) for name, values in each.items()} for each in (logits, counts))
        return logits, np.concatenate(labels), counts


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Scores predictions.

    Args:
      logits: float32 [clips, classes].
      labels: int32 [clips].

    Returns:
      `accuracy`, the share of clips whose largest logit is the label's; `class_accuracy`, the mean of the shares by
      class, over the classes that occur; `loss`, the mean cross-entropy.
    """
    logits = logits.astype(np.float64)
    right = logits.argmax(axis=1) == labels
    clips, hits = (np.bincount(labels, weights, logits.shape[1]) for weights in (None, right))
    occurring = clips > 0
    highest = logits.max(axis=1)
    log_sum = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return {
        "accuracy": float(right.mean()),
        "class_accuracy": float((hits[occurring] / clips[occurring]).mean()),
        "loss": float((log_sum - logits[np.arange(len(labels)), labels]).mean()),
    }
