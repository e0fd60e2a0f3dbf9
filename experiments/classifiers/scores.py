"""How well a classifier does on a split: with both modalities, and with each alone."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import tensorflow as tf

from experiments.classifiers.constant_answer import Chance, constant_answer
from experiments.classifiers.model import Classifier
from experiments.running.command_line import RunFailed

Scores = dict[str, dict[str, float]]
"""`accuracy`, `class_accuracy` and `loss` under "multimodal", "audio" and "video"."""


class Evaluator:
    """Scores a model on splits, on one device (our choice: also where several train).

    Args:
      model: Its variables exist.
      specs: What the model reads of a batch, of any size.
      batches: Makes the batches of a split, with `label` int32 [batch].

    Attributes:
      chance: What the best constant answer gets, by split; of the splits that have been scored.
    """

    def __init__(
        self,
        model: Classifier,
        specs: Mapping[str, tf.TensorSpec],
        batches: Callable[[str], Iterable[dict[str, tf.Tensor]]],
    ):
        self.specs, self.batches = dict(specs), batches
        self.chance: dict[str, Chance] = {}
        self._logits = tf.function(lambda clips: model(clips), autograph=False, input_signature=[self.specs])

    def __call__(self, split: str) -> Scores:
        """Scores the model as it is now.

        Raises:
          RunFailed: No clip of the split has a label.
        """
        logits, labels = self._predict(split)
        if not len(labels):
            raise RunFailed(f"the split {split!r} has no labeled clip to score. Prepare a data set with labels.")
        self.chance[split] = constant_answer(labels)
        return {name: score(values, labels) for name, values in logits.items()}

    def _predict(self, split):
        logits, labels = {"multimodal": [], "audio": [], "video": []}, []
        for batch in self.batches(split):
            labeled = batch["label"].numpy() >= 0
            found = self._logits({name: batch[name] for name in self.specs})
            for name, values in found.items():
                logits[name].append(values.numpy()[labeled])
            labels.append(batch["label"].numpy()[labeled])
        return {name: np.concatenate(values) for name, values in logits.items()}, np.concatenate(labels)


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
