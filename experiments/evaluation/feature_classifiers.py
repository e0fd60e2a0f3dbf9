"""The two linear classifiers that VATT reports on frozen features: of low rank, and support vector machines.

Both see the features as they are: the published code does not scale them.
"""

import numpy as np
import tensorflow as tf
import tqdm
from sklearn.svm import LinearSVC

from vatt.keras import keras

# All of the published code (vatt/utils/eval/evaluators.py), where the SVM is a comment.
RANK, DROPOUT, L2, LEARNING_RATE, BATCH = 128, 0.9, 0.1, 5e-4, 64
SVM_C = 6e-5
_ORDER, _DROPOUT = 0, 1  # what a draw is for


class LowRankClassifier:
    """A linear map to `RANK` dimensions, dropout, and a linear classifier, trained by Adam.

    The loss is the cross-entropy and an L2 penalty on the classifier's kernel; the last batch of an epoch holds what is
    left. All draws are functions of the seed, the epoch and the batch (the published code's are stateful).

    Args:
      dim: Size of the features.
      classes: Number of classes.
      seed: Of the weights, the order of the clips and the dropout.
    """

    def __init__(self, dim: int, classes: int, seed: int):
        self._seed = seed
        self._layers = [keras.layers.Dense(units, dtype=tf.float32) for units in (RANK, classes)]
        for layer, size in zip(self._layers, (dim, RANK), strict=True):
            layer.build([None, size])
        self._variables = [variable for layer in self._layers for variable in layer.trainable_variables]
        self._optimizer = keras.optimizers.Adam(LEARNING_RATE, jit_compile=False)
        self._optimizer.build(self._variables)
        specs = [tf.TensorSpec([None, dim]), tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32)]
        self._train_epoch = tf.function(self._epoch, input_signature=specs)

    def fit(self, features: np.ndarray, labels: np.ndarray, epochs: int, title: str) -> None:
        """Trains from scratch, with a progress bar.

        Args:
          features: float32 [clips, dim].
          labels: int [clips].
          epochs: How often every clip is seen.
          title: What the progress bar says.
        """
        self._start_anew()
        features, labels = tf.constant(features, tf.float32), tf.constant(labels, tf.int32)
        for epoch in tqdm.trange(epochs, desc=title, unit=" epochs"):
            self._train_epoch(features, labels, tf.random.fold_in(tf.constant([self._seed, 0]), epoch))

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Returns the probabilities of the classes, float32 [clips, classes]."""
        project, classify = self._layers
        return tf.nn.softmax(classify(project(tf.constant(features, tf.float32)))).numpy()

    def _start_anew(self):
        for place, layer in enumerate(self._layers):
            initializer = keras.initializers.GlorotNormal(seed=2 * self._seed + place)  # draws from the seed alone
            layer.set_weights([initializer(layer.kernel.shape), np.zeros(layer.bias.shape)])
        for variable in self._optimizer.variables:
            if variable is not self._optimizer.learning_rate:
                variable.assign(tf.zeros_like(variable))

    def _epoch(self, features, labels, key):
        clips = tf.size(labels)
        order = tf.random.experimental.stateless_shuffle(tf.range(clips), tf.random.fold_in(key, _ORDER))
        for start in tf.range(0, clips, BATCH):
            rows, draw = order[start : start + BATCH], tf.random.fold_in(tf.random.fold_in(key, _DROPOUT), start)
            self._step(tf.gather(features, rows), tf.gather(labels, rows), draw)

    def _step(self, features, labels, key):
        project, classify = self._layers
        with tf.GradientTape() as tape:
            hidden = tf.nn.experimental.stateless_dropout(project(features), DROPOUT, key, rng_alg="philox")
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, classify(hidden))
            loss = tf.reduce_mean(losses) + L2 * tf.reduce_sum(tf.square(classify.kernel))
        gradients = tape.gradient(loss, self._variables)
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))


def svm_scores(features: np.ndarray, labels: np.ndarray, tested: np.ndarray, classes: int, *, seed: int) -> np.ndarray:
    """Trains a linear support vector machine per class against the rest; returns what they say of other clips.

    Args:
      features: float32 [clips, dim], to learn from.
      labels: int [clips], at least two of them different.
      tested: float32 [others, dim].
      classes: Number of classes.
      seed: Of the order in which the solver goes through the clips.

    Returns:
      Signed distances, float64 [others, classes]; -inf for a class that was never seen.
    """
    machines = LinearSVC(C=SVM_C, random_state=seed).fit(features, labels)
    distances = machines.decision_function(tested)
    if distances.ndim == 1:  # of two classes scikit-learn gives the second one's
        distances = np.stack([-distances, distances], axis=1)
    scores = np.full((len(tested), classes), -np.inf)
    scores[:, machines.classes_] = distances
    return scores
