"""Gradient-Blending: losses weighed by how much each still generalizes for how much it overfits."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

import harmonization
from harmonization import Decision, Group

LEAST_OVERFITTING = 0.1


class GradientBlending(harmonization.Harmonizer):
    """Weighs each loss by its generalization per squared overfitting over the super-epoch before.

    Rule: w_i in proportion to max(G_i, 0) / O_i^2; G_i is how much loss i fell on the validation split in the
      super-epoch, O_i how much the gap between its validation and its training loss grew.
    Source: Wang, Tran and Feiszli (CVPR 2020, "What Makes Training Multi-modal Classification Networks Hard?"), the
      online variant.
    Promises: weights >= 0 that sum to the number of losses, so that equal weights are the uniform sum.
    Costs: the losses on the validation split, once per super-epoch.
    Not for: small validation splits, whose losses are noise.

    Our choices. The paper trains a copy of every modality's model and of the joint one through each super-epoch to
    measure G and O; here they are read off the run itself, whose unimodal heads have losses of their own. The training
    loss is the mean over the last epoch's steps, with augmentation and as the weights went, not a second pass. Before
    the first super-epoch both losses count as log(classes), a uniform guess's. |O| counts as 0.1 at least, since the
    ratio has no bound. If no loss has fallen, the weights stay.

    Args:
      super_epoch: Epochs between two changes of the weights.

    Raises:
      ValueError: `super_epoch` is not positive.
    """

    def __init__(self, super_epoch: int = 5, name: str | None = None):
        super().__init__(name=name)
        if super_epoch < 1:
            raise ValueError(f"`super_epoch` should be at least 1. Found {super_epoch}.")
        self.super_epoch, self.blend, self.previous = super_epoch, None, None

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        if self.blend is None:
            options = dict(trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
            self.blend = tf.Variable(tf.ones([objectives]), name="blend", **options)
            # The training and the validation losses at the end of the super-epoch before.
            self.previous = tf.Variable(tf.zeros([2, objectives]), name="previous", **options)

    def start(self, classes: int) -> None:
        """Sets the losses before the first step; call it after `build`, before a checkpoint is restored."""
        self.previous.assign(tf.fill(self.previous.shape, math.log(classes)))

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`."""
        return Decision(
            tf.identity(self.blend) if group.objectives is None else tf.gather(self.blend, group.objectives)
        )

    def end_epoch(self, epoch: int, training_losses: np.ndarray, validation_losses: np.ndarray) -> None:
        """Changes the weights if a super-epoch has ended.

        Args:
          epoch: Epochs done.
          training_losses: [objectives], means over the epoch.
          validation_losses: [objectives], after the epoch.
        """
        if epoch % self.super_epoch:
            return
        before, now = self.previous.numpy(), np.stack([training_losses, validation_losses])
        self.blend.assign(blend_weights(before, now, self.blend.numpy()))
        self.previous.assign(now)


def blend_weights(before: np.ndarray, now: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the weights after a super-epoch, [objectives].

    Args:
      before: [2, objectives], training and validation losses at its start.
      now: The same at its end.
      weights: The weights during it.
    """
    generalization = np.maximum(before[1] - now[1], 0.0)
    overfitting = (now[1] - now[0]) - (before[1] - before[0])
    ratios = generalization / np.maximum(np.abs(overfitting), LEAST_OVERFITTING) ** 2
    return len(ratios) * ratios / ratios.sum() if ratios.sum() > 0 else weights
