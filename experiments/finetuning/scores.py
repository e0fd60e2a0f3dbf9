"""How well a classifier of clips does on a split: the figures of single-label and of multi-label sets."""

import statistics
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf
from sklearn.metrics import average_precision_score, roc_auc_score

from experiments.classifiers.constant_answer import Chance, constant_answer, multi_label_constant_answer
from experiments.classifiers.scores import score
from experiments.finetuning.model import ClipClassifier
from experiments.finetuning.targets import is_counted, one_or_many_hot
from experiments.running.command_line import RunFailed

Scores = dict[str, float | int | None]
_NORMAL = statistics.NormalDist()


class Evaluator:
    """Scores a model on splits, on one device (our choice: also where several train).

    The logits of a clip are the mean over its views (VATT, A.2.5).

    Args:
      model: Its variables exist.
      clip_shape: Shape of what the model reads of a view.
      entry: The entry of a batch that it reads.
      multi_label: Whether clips may have several classes.
      batches: Makes the batches of a split: [batch, ...], or [batch, views, ...] with several views.

    Attributes:
      chance: What the best constant answer gets, by split; of the splits that have been scored.
    """

    def __init__(
        self,
        model: ClipClassifier,
        clip_shape: tuple[int, ...],
        entry: str,
        multi_label: bool,
        batches: Callable[[str], Iterable[dict[str, tf.Tensor]]],
    ):
        self.model, self.entry, self.multi_label, self.batches = model, entry, multi_label, batches
        self.clip_shape = list(clip_shape)
        self.chance: dict[str, Chance] = {}
        views = tf.TensorSpec([None, *clip_shape])
        self._logits = tf.function(lambda raw: model(raw), autograph=False, input_signature=[views])

    def __call__(self, split: str) -> Scores:
        """Scores the model as it is now; see `single_label_scores` and `multi_label_scores`.

        `clips` says how many clips the figures are of, `clips_left_out` how many have no label or not the modality.

        Raises:
          RunFailed: No clip of the split can be scored, or a logit is not finite.
        """
        logits, labels, left_out = self._predict(split)
        if not len(labels):
            needed = " with sound" if self.model.modality == "audio" else ""
            raise RunFailed(
                f"the split {split!r} has no labeled clip{needed} to score. Prepare a data set that has some."
            )
        if not np.isfinite(logits).all():
            raise RunFailed(f"the logits of the split {split!r} are not finite. Lower `finetune.learning_rate`.")
        score_all, answer = single_label_scores, constant_answer
        if self.multi_label:
            score_all, answer = multi_label_scores, multi_label_constant_answer
        labels = labels if self.multi_label else labels.argmax(axis=1)
        self.chance[split] = answer(labels)
        return {**score_all(logits, labels), "clips": len(labels), "clips_left_out": left_out}

    def _predict(self, split):
        logits, labels, left_out = [], [], 0
        for batch in self.batches(split):
            hot = one_or_many_hot(batch, self.model.classifier.units, self.multi_label)
            counted = is_counted(batch, hot, self.model.modality).numpy()
            views = tf.reshape(batch[self.entry], [len(counted), -1, *self.clip_shape])
            by_view = [self._logits(view).numpy() for view in tf.unstack(views, axis=1)]  # one by one, to save memory
            logits.append(np.mean(by_view, axis=0)[counted])
            labels.append(hot.numpy()[counted])
            left_out += int((~counted).sum())
        return np.concatenate(logits), np.concatenate(labels), left_out


def single_label_scores(logits: np.ndarray, labels: np.ndarray) -> Scores:
    """Scores predictions of one class each.

    Args:
      logits: float32 [clips, classes].
      labels: int [clips].

    Returns:
      `top1` and `top5`, shares of the clips whose label is the largest, or among the five largest logits (of equal ones,
      those of the first classes); `class_accuracy`, the mean of top-1 by class, over the `classes` that occur; `loss`,
      the mean cross-entropy.
    """
    plain = score(logits, labels)
    first_five = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    return {
        "top1": plain["accuracy"],
        "top5": float((first_five == labels[:, None]).any(axis=1).mean()),
        "class_accuracy": plain["class_accuracy"],
        "loss": plain["loss"],
        "classes": len(np.unique(labels)),
    }


def multi_label_scores(logits: np.ndarray, labels: np.ndarray) -> Scores:
    """Scores predictions of any number of classes each, class by class.

    A class without a positive or without a negative clip has no such figures and is skipped. Both readings of d' are
    there because the literature mixes them: VATT's own figures are of the first kind, those of the convolutional networks
    it compares itself to of the second.

    Args:
      logits: float32 [clips, classes].
      labels: 0 or 1, [clips, classes].

    Returns:
      `map` and `auc`, means over the `classes` that count; `d_prime_mean`, the mean of the classes' d'; `d_prime_of_mean`,
      the d' of `auc`; `loss`, the mean of the clips' summed binary cross-entropies; `classes_left_out`. Without any class
      that counts, the first four are `None`.
    """
    labels = labels > 0
    positives = labels.sum(axis=0)
    negatives = len(labels) - positives
    judged = np.flatnonzero((positives > 0) & (negatives > 0))
    precisions = [average_precision_score(labels[:, c], logits[:, c]) for c in judged]
    areas = [roc_auc_score(labels[:, c], logits[:, c]) for c in judged]
    pairs = (positives * negatives)[judged]
    mean = lambda values: float(np.mean(values)) if len(judged) else None  # noqa: E731
    return {
        "map": mean(precisions),
        "auc": mean(areas),
        "d_prime_mean": mean([d_prime(area, count) for area, count in zip(areas, pairs, strict=True)]),
        "d_prime_of_mean": d_prime(mean(areas), pairs.sum()) if len(judged) else None,
        "loss": float((np.logaddexp(0, logits.astype(np.float64)) - labels * logits).sum(axis=1).mean()),
        "classes": len(judged),
        "classes_left_out": labels.shape[1] - len(judged),
    }


def d_prime(area: float, pairs: int) -> float:
    """Returns sqrt(2) times the normal quantile of an area under the ROC curve.

    Of 0 and 1 it would be infinite: our choice, they are taken half a pair further in, as is usual in detection theory
    (Macmillan & Kaplan, Psychological Bulletin 98, 1985).

    Args:
      area: In [0, 1].
      pairs: Pairs of a positive and a negative clip that it was counted over.
    """
    half_a_pair = 0.5 / pairs
    return float(np.sqrt(2) * _NORMAL.inv_cdf(min(max(area, half_a_pair), 1 - half_a_pair)))
