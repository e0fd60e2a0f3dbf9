"""Linear probes: how much a linear classifier reads from frozen features."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from experiments.classifiers.constant_answer import constant_answer

_ITERATIONS = 1000
_TOLERANCE = 1e-3  # a tenth of the default's time, the same accuracy to a clip or two
_SMALL = 1_000_000  # values; below, threads cost more than they bring, on a busy machine a hundred times more


def linear_probe(
    train_features: np.ndarray, train_labels: np.ndarray, test_features: np.ndarray, test_labels: np.ndarray
) -> dict | None:
    """Trains a linear classifier on standardized features and tests it.

    Multinomial logistic regression. The protocol of VATT, frozen backbone and linear classifier, with scikit-learn's
    solver and default penalty in place of the published low-rank one (our choice: nothing to tune, seconds on a CPU).

    Args:
      train_features: `[train_clips, dim]`.
      train_labels: int [train_clips], -1 for clips without a class, which are skipped.
      test_features: `[test_clips, dim]`.
      test_labels: int [test_clips], likewise.

    Returns:
      `top1`, the share of the test clips that get their class; `chance`, what the best constant answer gets; `classes` of
      the training set; `train_clips`; `test_clips`, which `top1` and `chance` are over. `None` where there is nothing to
      test or fewer than two classes to learn.
    """
    train, test = train_labels >= 0, test_labels >= 0
    classes = len(np.unique(train_labels[train]))
    if classes < 2 or not test.any():
        return None
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_ITERATIONS, tol=_TOLERANCE))
    with threadpool_limits(1 if train_features.size < _SMALL else None):
        classifier.fit(train_features[train], train_labels[train])
    return {
        "top1": float(classifier.score(test_features[test], test_labels[test])),
        "chance": constant_answer(test_labels[test])["top1"],
        "classes": classes,
        "train_clips": int(train.sum()),
        "test_clips": int(test.sum()),
    }
