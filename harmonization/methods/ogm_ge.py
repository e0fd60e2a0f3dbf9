"""OGM-GE: slows down the encoder whose modality performs better alone, and adds noise to the gradients."""

import math
from collections.abc import Sequence

import tensorflow as tf

from harmonization.groups import Groups
from harmonization.harmonizer import Decision, Group, Harmonizer
from harmonization.randomness import random_key, standard_normal

SMALLEST_SCORE, SMALLEST_FACTOR = 1e-12, 1e-6


class OGMGE(Harmonizer):
    """Slows down the encoder whose modality performs better alone, and adds noise to the gradients.

    Rule: rho_m = s_m / (mean of the other modalities' s); k_m = 1 - tanh(alpha rho_m) if rho_m > 1,
      else 1. Update of group m = k_m sum_i g_i + noise of the standard deviation of sum_i g_i.
    Source: Peng, Wei, Deng, Wang and Hu (2022, CVPR), "Balanced Multimodal Learning via On-the-Fly
      Gradient Modulation", equations 8 to 10 (OGM) and the generalization enhancement (GE).
    Promises: never a factor above 1; without noise a direction that is the sum's.
    Costs: the scores, from logits at hand; with noise one random number per weight.
    Not for: Adam and its like, under which a slowly varying k cancels; fusion that leaves no logits
      of a modality of its own.

    `harmonize(..., scores={"audio": s_a, "video": s_v})` names the groups of the encoders. A score is
    the sum (or mean) over the global batch of softmax(logits of that modality alone)[label]. In the
    source these are the modality's part of the fusion's linear map plus half the bias. Groups
    without a score (the fusion) get the plain sum.

    The noise is drawn per variable with the standard deviation of its entries before k, as in the
    authors' program, which touches convolution kernels only; here the groups say which variables.
    It has mean zero and hits weak and strong encoder alike. A draw depends on seed, step, group and
    variable alone. A step that is not taken gets none.

    Our choices: for more than two modalities, the mean of the others' scores (the source has two);
    an undefined rho (no score is positive, or one is NaN) counts as balanced; k stays at 1e-6
    or above, so that the gradient can be recovered from the update; the standard deviation is that of
    the entries themselves, without the correction for samples, so that a variable of one entry gets
    no noise.

    Args:
      alpha: How hard the stronger modality is slowed down, > 0. The source tunes it for every data
        set and has no default; 0.8 is our choice.
      noise: Whether to add the noise (OGM-GE) or not (OGM).
      noise_steps: First step with noise and first step without it again; `None` means all steps.
      modulation_steps: The same for k. The authors' program does both up to epoch 50 of 100.
      seed: Of the noise.

    Raises:
      ValueError: If an option is out of its range.
    """

    changes_update = True
    example_groups = ("audio", "video")

    def __init__(
        self,
        alpha: float = 0.8,
        noise: bool = True,
        noise_steps: tuple[int, int] | None = None,
        modulation_steps: tuple[int, int] | None = None,
        seed: int = 0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self._alpha, self._noise, self._seed = float(alpha), bool(noise), int(seed)
        self._noise_steps, self._modulation_steps = noise_steps, modulation_steps
        self._groups = None
        if not (math.isfinite(self._alpha) and self._alpha > 0):
            raise ValueError(f"`alpha` should be a finite number > 0. Found {alpha}.")
        for steps in (noise_steps, modulation_steps):
            if steps is not None and (len(steps) != 2 or not 0 <= steps[0] < steps[1]):
                raise ValueError(
                    "`noise_steps` and `modulation_steps` should be None or (first step, step after the "
                    f"last). Found {steps}."
                )

    def build(self, objectives: int, groups: Sequence[str]) -> None:
        """See `Harmonizer.build`."""
        del objectives
        self._groups = tuple(groups)

    def decide(self, group: Group) -> Decision:
        """See `Harmonizer.decide`; raises a ValueError without scores, or without a step if needed."""
        self._check(group)
        return Decision(tf.fill([group.size], self._factor(group)))

    def needs_gram(self, groups: Groups | None) -> bool:
        """See `Harmonizer.needs_gram`: never."""
        del groups
        return False

    def finish(self, update: list[tf.Tensor | None], group: Group) -> list[tf.Tensor | None]:
        """See `Harmonizer.finish`: adds the noise."""
        if not self._noise or group.name not in group.scores:
            return update
        share = _within(self._noise_steps, group.step) / self._factor(group)
        keys = [random_key(self._seed, group.step, group.position, index) for index in range(len(update))]
        return [
            None if tensor is None else _noisy(tensor, share, key) for tensor, key in zip(update, keys, strict=True)
        ]

    def _factor(self, group: Group) -> tf.Tensor:
        """What the group's update is multiplied by (k), [] float32."""
        if group.name not in group.scores:
            return tf.ones([])
        scores = {name: tf.cast(score, tf.float32) for name, score in group.scores.items()}
        own = scores.pop(group.name)
        ratio = own / tf.maximum(tf.add_n(list(scores.values())) / len(scores), SMALLEST_SCORE)
        # 1 - tanh(x), which float32 rounds to zero from x = 9 on.
        slowed = 2.0 / (1.0 + tf.exp(tf.minimum(2.0 * self._alpha * ratio, 60.0)))
        slows = (ratio > 1.0) & (_within(self._modulation_steps, group.step) > 0.0)
        return tf.where(slows, tf.maximum(slowed, SMALLEST_FACTOR), 1.0)

    def _check(self, group: Group) -> None:
        if group.scores is None or len(group.scores) < 2:
            raise ValueError(
                "OGMGE needs a score for each of two or more groups. Pass `scores=` to `harmonize`. "
                f"Found {group.scores}."
            )
        unknown = set(group.scores) - set(self._groups or group.scores)
        if unknown:
            raise ValueError(
                f"`scores` should name groups of variables, which are {', '.join(self._groups)}. "
                f"Found {', '.join(sorted(unknown))}."
            )
        timed = self._noise or self._modulation_steps is not None
        if timed and group.step is None:
            raise ValueError("OGMGE needs the training step. Pass `step=` to `harmonize`, or noise=False.")


def _within(steps: tuple[int, int] | None, step: tf.Tensor | None) -> tf.Tensor:
    """1 within the steps, else 0; [] float32."""
    if steps is None:
        return tf.ones([])
    return tf.cast((step >= steps[0]) & (step < steps[1]), tf.float32)


def _noisy(update: tf.Tensor, share: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    wide = tf.cast(update, tf.float32)
    noise = share * tf.math.reduce_std(wide) * standard_normal(tf.shape(wide), key)
    return tf.cast(wide + noise, update.dtype)
